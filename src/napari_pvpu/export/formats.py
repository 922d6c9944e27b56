"""The formats by name and by suffix of file, and one function that writes any of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from napari_pvpu.errors import ExportError
from napari_pvpu.export.coco import write_coco
from napari_pvpu.export.geojson import write_geojson
from napari_pvpu.export.imagej_rois import write_imagej_rois
from napari_pvpu.export.ome_zarr import write_ome_zarr
from napari_pvpu.export.table import write_table
from napari_pvpu.export.tiff import write_tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.export.label_image import About, LabelImage, Labels

__all__ = ["FORMATS", "Format", "export_labels", "format_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format that labels are written in.

    Attributes
    ----------
    name : str
        By which it is asked for.
    title : str
        For menus.
    suffixes : tuple of str
        Ends of file names; the first is the usual one.
    write : callable
        ``write(path, labels, **about)``.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    write: Callable[..., None]


_write_run_lengths = partial(write_coco, segmentation="rle")

FORMATS = {
    each.name: each
    for each in (
        Format("tiff", "Labels TIFF", (".tif", ".tiff"), write_tiff),
        Format("ome-zarr", "OME-Zarr labels", (".ome.zarr", ".zarr"), write_ome_zarr),
        Format("imagej", "ImageJ ROIs", (".zip",), write_imagej_rois),
        Format("coco", "COCO JSON", (".json",), write_coco),
        Format("coco-rle", "COCO JSON, run lengths", (".json",), _write_run_lengths),
        Format("geojson", "GeoJSON for QuPath", (".geojson",), write_geojson),
        Format("csv", "Table of measurements", (".csv",), write_table),
    )
}
"""All formats, by name; the first of a suffix is the one that it tells."""


def format_of(path: str | os.PathLike[str]) -> str:
    """Tell a format by a file's name.

    Parameters
    ----------
    path : path
        Of the file to be.

    Returns
    -------
    str
        Name of the format.

    Raises
    ------
    ExportError
        When no format goes with the name.
    """
    name = os.fspath(path).lower()
    for each in FORMATS.values():
        if name.endswith(each.suffixes):
            return each.name
    known = ", ".join(dict.fromkeys(end for each in FORMATS.values() for end in each.suffixes))
    raise ExportError(f"{os.fspath(path)} tells no format by its name; use one of {known}")


def export_labels(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage,
    image: Any = None,
    *,
    format_name: str | None = None,
    channel_axis: int | None = None,
    **about: Unpack[About],
) -> None:
    """Write labels in any of the formats.

    Parameters
    ----------
    path : path
        Of the file.
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background.
    image : array, optional
        For the table: what to measure intensities in, see `measure`. Other formats take no
        notice of it.
    format_name : str, optional
        A key of `FORMATS`; by default told by the suffix.
    channel_axis : int, optional
        Of the image.
    **about
        See `as_label_image`.

    Raises
    ------
    ExportError
        When there is no such format, or the labels cannot be written in it.
    """
    name = format_of(path) if format_name is None else format_name
    if name not in FORMATS:
        raise ExportError(f"there is no format {name!r}; use one of {', '.join(FORMATS)}")
    if name == "csv":
        write_table(path, labels, image, channel_axis=channel_axis, **about)
    else:
        FORMATS[name].write(path, labels, **about)
