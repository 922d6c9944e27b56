"""The command ``napari-pvpu replay``: do a recorded session again without a screen."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

__all__ = ["replay"]


def replay(
    session: Annotated[Path, typer.Argument(help="Session file.")],
    image: Annotated[Path, typer.Option(help="The image that it was made on.")],
    out: Annotated[Path, typer.Option(help="Label image to write, .tif.")],
    model: Annotated[
        str | None, typer.Option(help="Model, if it is not the one named in the session.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, mps; by default as in the session.")
    ] = None,
    until_damage: Annotated[
        bool, typer.Option("--until-damage", help="Take what comes before a damaged line.")
    ] = False,
    any_result: Annotated[
        bool, typer.Option("--any", help="Take objects that come out otherwise, too.")
    ] = False,
) -> None:
    """Do a recorded session again and write its labels, the same bit for bit."""
    from napari_pvpu.export.tiff import write_tiff
    from napari_pvpu.journal import read_journal
    from napari_pvpu.replay import read_recorded_image, were_rounded
    from napari_pvpu.replay import replay as do_again
    from napari_pvpu.segmenter import Segmenter

    recorded = read_journal(session, until_damage=until_damage)
    pixels = read_recorded_image(image, recorded.header["image"], recorded.header.get("levels"))
    made_with = recorded.header["model"]
    segmenter = Segmenter(
        model or str(made_with["name"]),
        device=device or made_with["device"] or "auto",
        store=were_rounded(made_with),
    )
    done = do_again(recorded, pixels, segmenter, exact=not any_result)
    write_tiff(out, done.labels, axes="".join((*done.source.plane_axes, "YX")))
    typer.echo(f"{out}: {len(done.objects)} objects from {len(recorded.operations)} steps")
