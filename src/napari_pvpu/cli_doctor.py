"""The command ``napari-pvpu doctor``: one page about this machine for a bug report."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from napari_pvpu.cli_parsing import Model  # noqa: TC001 - read at run time
from napari_pvpu.waiting import wait_passively

__all__ = ["doctor"]


def doctor(
    model: Model = "pvpu-nano",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.")] = None,
    screen: Annotated[
        bool, typer.Option("--screen/--no-screen", help="Ask Qt, OpenGL and npe2, too.")
    ] = True,
) -> None:
    """Check this installation: versions, devices against the CPU, weights, store, window.

    Ends with 1 if something is wrong. The page belongs into a bug report; it names folders.
    """
    wait_passively()
    from napari_pvpu.doctor import examine

    page = examine(model, screen=screen)
    text = json.dumps(page.to_dict(), indent=2) + "\n" if as_json else page.as_markdown()
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(f"{out}: {len(page.problems)} problems found")
    if page.problems:
        raise typer.Exit(1)
