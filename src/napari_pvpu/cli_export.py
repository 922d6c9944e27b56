"""The command ``export``: label images into the formats of other programs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from napari_pvpu.cli_parsing import repeat_flag
from napari_pvpu.errors import ExportError

__all__ = ["ManyScales", "export"]

_FORMATS = "tiff, ome-zarr, imagej, coco, coco-rle, geojson, csv"


class ManyScales(TyperCommand):
    """Takes several values after one ``--scale`` and ``--units``, as well as flags repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = repeat_flag(args, {"--scale"}, _is_number)
        if "--units" in args:
            from napari_pvpu.export.units import is_unit

            args = repeat_flag(args, {"--units"}, is_unit)
        return super().parse_args(ctx, args)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def export(
    labels: Annotated[
        Path, typer.Argument(help="Label image: TIFF, PNG, NPY, or the folder of an OME-Zarr.")
    ],
    out: Annotated[
        list[Path], typer.Option(help="File to write; may be repeated, for several formats.")
    ],
    format_name: Annotated[
        list[str] | None,
        typer.Option("--format", help=f"{_FORMATS}. For each --out; by default by its suffix."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Image to measure intensities in, for csv.")
    ] = None,
    channel_axis: Annotated[
        int | None, typer.Option(help="Of the image, if its shape leaves it open.")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="Of the labels, such as TYX. By default as the file says.")
    ] = None,
    scale: Annotated[
        list[float] | None,
        typer.Option(help="Size of a pixel along each axis, or along the last ones."),
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option(help="Units of that: one for space, or one for each axis or the last ones."),
    ] = None,
) -> None:
    """Write the objects of a label image for other programs.

    Scale and units are taken from the labels' file where it has them and the options do not.
    """
    from napari_pvpu.export.formats import export_labels, format_of
    from napari_pvpu.export.label_image import as_label_image
    from napari_pvpu.export.reading import read_image, read_label_image

    formats = list(format_name or map(format_of, out))
    if len(formats) != len(out):
        raise ExportError(
            f"{len(formats)} formats were given for {len(out)} files; give one for each --out, or "
            "none"
        )
    if image is not None and "csv" not in formats:
        raise ExportError("--image is for the table of measurements only; add --out NAME.csv")
    found = read_label_image(labels)
    found = as_label_image(found, axes=axes, scale=_one_or_all(scale), units=_one_or_all(units))
    pixels = None if image is None else read_image(image)
    for path, name in zip(out, formats, strict=True):
        export_labels(path, found, pixels, format_name=name, channel_axis=channel_axis)
        typer.echo(f"{path}: {name}")


def _one_or_all(given: list[Any] | None) -> Any:
    """Pass on a single value as such: it counts for rows, columns and depth."""
    if not given:
        return None
    return given[0] if len(given) == 1 else given
