"""The command ``napari-pvpu``: segment, evaluate, train and list models without a screen.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from napari_pvpu.cli_cache import cache
from napari_pvpu.cli_data import check_data, contact_sheet, pack, train
from napari_pvpu.cli_doctor import doctor
from napari_pvpu.cli_embed import ManyScalesAndSizes, embed
from napari_pvpu.cli_evaluate import evaluate, evaluate_all, model_card, report
from napari_pvpu.cli_export import ManyScales, export
from napari_pvpu.cli_models import convert, models
from napari_pvpu.cli_onnx import export_onnx
from napari_pvpu.cli_parsing import (
    Device,
    Em,
    ErrorsInOneLine,
    ManyTargets,
    Model,
    Threshold,
    numbers,
    point,
    with_polarity,
)
from napari_pvpu.cli_replay import replay
from napari_pvpu.errors import PromptError, PvpuError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["app"]

app = typer.Typer(
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    add_completion=False,
    help="Cut objects out of images with clicks, scribbles and boxes.",
)


def segment(
    image: Annotated[Path, typer.Argument(help="PNG, TIFF, WebP or JPEG.")],
    out: Annotated[Path, typer.Option(help="Label image to write: .tif or .png.")],
    click: Annotated[list[str] | None, typer.Option(metavar="R,C")] = None,
    negative_click: Annotated[list[str] | None, typer.Option(metavar="R,C")] = None,
    box: Annotated[list[str] | None, typer.Option(metavar="R0,C0,R1,C1")] = None,
    negative_box: Annotated[list[str] | None, typer.Option(metavar="R0,C0,R1,C1")] = None,
    scribble: Annotated[list[str] | None, typer.Option(metavar="'R,C R,C ...'")] = None,
    negative_scribble: Annotated[list[str] | None, typer.Option(metavar="'R,C R,C ...'")] = None,
    model: Model = "pvpu-nano",
    device: Device = "auto",
    em: Em = False,
    threshold: Threshold = 0.5,
    runtime: Annotated[str, typer.Option(help="torch, or a folder from export-onnx.")] = "torch",
) -> None:
    """Segment one object of an image with prompts given in pixels (row, column).

    Every option for a prompt may be repeated. Boxes count first, then scribbles, then clicks;
    positive ones before negative ones of the same kind.
    """
    from napari_pvpu.evaluation.dataset import read_image
    from napari_pvpu.prompts import Box, Click, Scribble
    from napari_pvpu.segmenter import Segmenter

    prompts: list[Box | Scribble | Click] = []
    for text, positive in with_polarity(box, negative_box):
        top, left, bottom, right = numbers(text, 4)
        prompts.append(Box((top, left), (bottom, right), positive))
    for text, positive in with_polarity(scribble, negative_scribble):
        prompts.append(Scribble(tuple(point(word) for word in text.split()), positive))
    for text, positive in with_polarity(click, negative_click):
        prompts.append(Click(point(text), positive))
    if not prompts:
        raise PromptError("no prompt was given; use --click, --box or --scribble")
    if out.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise PvpuError(f"labels cannot be written as {out.name!r}; use a name in .tif or .png")
    session = Segmenter(model, device=device, runtime=runtime).open(read_image(image))
    session.threshold = threshold
    session.value_propagation = em
    for prompt in prompts:
        session.add(prompt)
    score, timing = session.score or 0.0, session.last_timing
    object_id = session.accept()
    _write_labels(out, session.labels)
    area = int((session.labels == object_id).sum())
    typer.echo(f"{out}: {area} pixels, expected IoU {score:.2f}, {timing.total_ms:.0f} ms")


def _write_labels(path: Path, labels: NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        from PIL import Image

        Image.fromarray(labels).save(path)
        return
    import tifffile

    tifffile.imwrite(path, labels, compression="zlib")


app.command()(segment)
app.command(cls=ManyTargets)(evaluate)
app.command(cls=ManyTargets)(evaluate_all)
app.command()(report)
app.command()(model_card)
app.command()(train)
app.command()(pack)
app.command()(check_data)
app.command()(contact_sheet)
app.command()(convert)
app.command(cls=ManyScales)(export)
app.command()(replay)
app.command(cls=ManyScalesAndSizes)(embed)
app.add_typer(cache)
app.command()(doctor)
app.command()(export_onnx)
app.add_typer(models)

if __name__ == "__main__":
    app()
