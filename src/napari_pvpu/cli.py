"""The command ``napari-pvpu``: segment, evaluate, train and list models without a screen.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

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
    ErrorsInOneLine,
    ManyTargets,
)
from napari_pvpu.cli_replay import replay
from napari_pvpu.cli_segment import segment

__all__ = ["app"]

app = typer.Typer(
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    add_completion=False,
    help="Cut objects out of images with clicks, scribbles and boxes.",
)


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
