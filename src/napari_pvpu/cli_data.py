"""Commands around training, made from the table that both of their command lines share."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pvpu.training.options import COMMANDS, Command, Option
from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_typer", "check_data", "contact_sheet", "pack", "train"]


def as_typer(command: Command) -> Callable[..., None]:
    """Make a function of which typer makes a command.

    Parameters
    ----------
    command : Command
        Its options become keyword parameters.
    """

    def run(**values: Any) -> None:
        wait_passively()  # torch is imported below
        from napari_pvpu.training.launch import launch

        plain = {
            option.name: (values[option.name] or []) if option.several else values[option.name]
            for option in command.options
        }
        text, code = launch(command, plain)
        typer.echo(text, nl=False, err=code == 2)
        if code:
            raise typer.Exit(code)

    parameters = [_parameter(option) for option in command.options]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__name__ = command.name.replace("-", "_")
    run.__doc__ = inspect.cleandoc(command.help)
    return run


def _parameter(option: Option) -> inspect.Parameter:
    kind: Any = list[option.kind] if option.several else option.kind  # type: ignore[name-defined]
    default: Any = inspect.Parameter.empty if option.needed else option.default
    if option.default is None and not option.needed:
        kind = kind | None
    told: Any
    if option.argument:
        told = typer.Argument(help=option.help)
    else:
        flag = "/".join(option.flags)
        told = typer.Option(
            flag, min=option.least, max=option.most, help=option.help, metavar=option.metavar
        )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, told],
    )


_BY_NAME = {command.name: as_typer(command) for command in COMMANDS}

train = _BY_NAME["train"]
pack = _BY_NAME["pack"]
check_data = _BY_NAME["check-data"]
contact_sheet = _BY_NAME["contact-sheet"]
