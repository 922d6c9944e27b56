"""How the command line reads its words: options that commands share, coordinates, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from napari_pvpu.errors import PromptError, PvpuError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = [
    "Device",
    "Em",
    "ErrorsInOneLine",
    "ManyTargets",
    "Model",
    "Seed",
    "Threshold",
    "numbers",
    "point",
    "repeat_flag",
    "with_polarity",
]


Model = Annotated[str, typer.Option(help="Name of a model, or path of a YAML or weights file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Em = Annotated[bool, typer.Option("--em/--no-em", help="EM value propagation.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.")]
Threshold = Annotated[float, typer.Option(help="On the probability.")]


class ErrorsInOneLine(TyperGroup):
    """Shows our own errors as one line on stderr and ends with 2, as for a wrong option."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PvpuError as error:
            typer.echo(f"napari-pvpu: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error


class ManyTargets(TyperCommand):
    """Takes several numbers after one ``--targets``, as well as the flag repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, repeat_flag(args, {"--targets"}, _is_number))


def repeat_flag(
    args: list[str], flags: Collection[str], belongs: Callable[[str], bool]
) -> list[str]:
    """Write a flag once for each of the values that follow it.

    Command-line parsers of this family give an option a fixed number of values;
    ``--targets 0.8 0.9`` becomes ``--targets 0.8 --targets 0.9``.

    Parameters
    ----------
    args : list of str
        The command line. Nothing after ``--`` is touched.
    flags : collection of str
        Flags that take one or more values.
    belongs : callable
        Tells whether a further word is a value of the flag.

    Returns
    -------
    list of str
    """
    out: list[str] = []
    flag = None
    values = 0
    for index, word in enumerate(args):
        if word == "--":
            return out + args[index:]
        if word in flags:
            flag, values = word, 0
            out.append(word)
        elif flag is not None and values == 0:
            values = 1
            out.append(word)
        elif flag is not None and belongs(word):
            out += [flag, word]
        else:
            flag = None
            out.append(word)
    return out


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def with_polarity(positive: list[str] | None, negative: list[str] | None) -> list[tuple[str, bool]]:
    return [(text, True) for text in positive or ()] + [(text, False) for text in negative or ()]


def numbers(text: str, count: int) -> tuple[float, ...]:
    """Numbers separated by commas."""
    try:
        values = tuple(float(word) for word in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise PromptError(f"{text!r} is not {count} numbers with commas between, such as 120,88")
    return values


def point(text: str) -> tuple[float, float]:
    row, col = numbers(text, 2)
    return row, col
