"""Options of an evaluation on the command line, from the table that all of its programs share."""

from __future__ import annotations

import functools
import inspect
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pvpu.evaluation.options import OPTIONS, Option

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["with_settings"]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Put the options of an evaluation in the place of a command's parameter ``options``.

    Parameters
    ----------
    command : callable
        Has a parameter ``options`` (dict by names of `OPTIONS`). An option that it has a parameter
        of its own for is left to that.

    Returns
    -------
    callable
        With the signature that typer reads.
    """
    own = inspect.signature(command, eval_str=True)
    shared = [option for option in OPTIONS if option.name not in own.parameters]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        options = {option.name: _plain(values.pop(option.name)) for option in shared}
        command(**values, options=options)

    parameters: list[inspect.Parameter] = []
    for name, parameter in own.parameters.items():
        parameters += map(_parameter, shared) if name == "options" else [parameter]
    # By keyword, so that an option may follow a parameter without a default, and the reverse.
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _parameter(option: Option) -> inspect.Parameter:
    kind: Any = option.kind
    if option.choices:
        words = {word: word for word in option.choices}
        kind = StrEnum(option.name.title(), words)  # type: ignore[misc, no-redef]
    default = option.default
    if option.choices and default is not None:
        default = kind(default)
    if option.several:
        kind, default = list[kind], list(default)
    if default is None:
        kind = kind | None
    flag = option.flag
    if option.kind is bool and option.negatable:
        flag = f"{flag}/--no-{flag[2:]}"
    told = typer.Option(flag, min=option.least, help=option.help)
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, told],
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, StrEnum) else value
