"""The command ``napari-pvpu export-onnx``: a model as two ONNX files."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from napari_pvpu.waiting import wait_passively

__all__ = ["export_onnx"]


def export_onnx(
    model: Annotated[str, typer.Argument(help="A preset, or path of a YAML or weights file.")],
    out: Annotated[Path, typer.Option(help="Folder for the three files.")],
) -> None:
    """Write a model's encoder and decoder as ONNX, and a JSON file that says how to use them.

    The folder is also what `Segmenter(MODEL, runtime=FOLDER)` takes. Needs the extra "onnx".
    """
    wait_passively()
    from napari_pvpu.model_files import load_network
    from napari_pvpu.onnx_export import export_onnx as export

    about = export(load_network(model), out)
    size = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    typer.echo(f"{out}: {about['model']} for views of {about['view_size']}, {size / 1e6:.1f} MB")
