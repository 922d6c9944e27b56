"""Labels as TIFF, compressed, with axes, scale and units.

One plane of labels up to 65,535 carries ImageJ's description, which ImageJ and Fiji open with the
scale. ImageJ reads stacks of its own kind uncompressed only, and no 32-bit integers: several
planes and larger labels are written as OME-TIFF, which Fiji (Bio-Formats), QuPath and napari open.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import library, read_error, replaced_file
from napari_pvpu.export.label_image import LabelImage, as_label_image
from napari_pvpu.export.sparse_files import (
    TIFF_TILE,
    compressed_tiles,
    read_labels,
    too_large,
)
from napari_pvpu.export.units import SYMBOLS, unit_name
from napari_pvpu.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from napari_pvpu.export.label_image import About, Labels

__all__ = ["pixel_sizes", "read_tiff", "write_tiff"]

_OME_SIZES = {
    "Z": "PhysicalSizeZ",
    "Y": "PhysicalSizeY",
    "X": "PhysicalSizeX",
    "T": "TimeIncrement",
}
# Rows for which a compressed strip is decoded at once: small enough for a viewer's tile.
_ROWS_A_STRIP = 256


def write_tiff(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage,
    *,
    ome: bool | None = None,
    **about: Unpack[About],
) -> None:
    """Write labels as TIFF.

    Parameters
    ----------
    path : path
        Of the file.
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background. Written as uint16, or as uint32 if a label is above 65,535;
        `SparseLabels` as OME-TIFF in tiles.
    ome : bool, optional
        Whether to write OME-TIFF. By default for several planes, for uint32, and for names that
        end in ``.ome.tif``.
    **about
        Axes, scale and units, see `as_label_image`.

    Raises
    ------
    ExportError
        When the labels do not fit, or the file cannot be written.
    """
    import tifffile

    image = as_label_image(labels, **about)
    data = image.compact()
    if isinstance(data, SparseLabels):
        _write_tiles(path, image, data)
        return
    one_plane = data.size == image.shape[0] * image.shape[1]
    for_imagej = one_plane and data.dtype == np.uint16
    if ome is None:
        ome = not for_imagej or re.search(r"\.ome\.tiff?$", os.fspath(path), re.I) is not None
    if not ome and not for_imagej:
        raise ExportError(
            f"ImageJ opens no compressed stacks and no labels above 65,535, and these are "
            f"{data.shape} of {data.dtype}; leave out ome=False"
        )
    height, width = image.pixel_size
    how: dict[str, Any] = {
        "compression": "zlib",
        "photometric": "minisblack",
        "rowsperstrip": _ROWS_A_STRIP,
        "software": "napari-pvpu",
    }
    if ome:
        how |= {"ome": True, "metadata": _ome_metadata(image)}
    else:
        # tifffile writes ImageJ's description for uncompressed files only.
        data = data.reshape(image.shape)
        how |= {
            "description": _imagej_description(image),
            "metadata": None,
            "resolution": (1 / width, 1 / height),
            "resolutionunit": "NONE",
        }
    with replaced_file(path) as temporary:
        tifffile.imwrite(temporary, data, **how)


def _write_tiles(path: str | os.PathLike[str], image: LabelImage, labels: SparseLabels) -> None:
    """Write labels too large for an array as OME-TIFF in tiles, in the format for large files."""
    import tifffile

    tiles = compressed_tiles(labels)
    with replaced_file(path) as temporary:
        tifffile.imwrite(
            temporary, tiles, shape=labels.shape, dtype=labels.dtype, bigtiff=True, ome=True,
            tile=(TIFF_TILE, TIFF_TILE), compression="zlib", photometric="minisblack",
            metadata=_ome_metadata(image), software="napari-pvpu",
        )  # fmt: skip


def _ome_metadata(image: LabelImage) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": image.axes, "Name": image.name or "labels"}
    for axis, size, unit in zip(image.axes, image.scale, image.units, strict=True):
        if unit == "pixel" and (axis == "T" or size == 1):
            continue
        metadata[_OME_SIZES[axis]] = size
        metadata[f"{_OME_SIZES[axis]}Unit"] = SYMBOLS.get(unit, "pixel")
    return metadata


def _imagej_description(image: LabelImage) -> str:
    # ImageJ takes \u00B5 for the micro sign, TIFF descriptions being ASCII.
    unit = SYMBOLS.get(image.unit, "pixel").replace("µ", "\\u00B5").replace("Å", "\\u00C5")
    return f"ImageJ=1.54f\nunit={unit}\n"


def read_tiff(path: str | os.PathLike[str]) -> LabelImage:
    """Read a label image from a TIFF, of any writer.

    Parameters
    ----------
    path : path
        Of the file; its first series counts.

    Returns
    -------
    LabelImage
        With axes, scale and units as far as the file tells them. Labels of more than 2**28 pixels
        are `SparseLabels`, and take the extra ``export`` to be read.

    Raises
    ------
    ExportError
        When it cannot be read, or holds no labels.
    """
    import tifffile

    try:
        with tifffile.TiffFile(Path(path)) as file:
            series = file.series[0]
            labels, axes = _labels_of(series), str(series.axes)
            sizes = pixel_sizes(file)
    except (OSError, ValueError, IndexError, KeyError, tifffile.TiffFileError) as error:
        raise read_error(path, error) from error
    if set(axes) - set("TZCSYX"):  # pages of no known meaning
        axes = "TZYX"[-labels.ndim :]
    found = [sizes.get(axis, (1.0, "pixel")) for axis in axes]
    return as_label_image(
        labels,
        axes=axes,
        scale=[size for size, _ in found],
        units=[unit for _, unit in found],
        name=Path(path).name,
    )


def _labels_of(series: Any) -> Any:
    """Return the labels of a series, read tile by tile if they would not fit into one array."""
    if not too_large(series.shape):
        return series.asarray()
    zarr = library("zarr", "reading labels of this size from a TIFF")
    with series.aszarr(level=0) as store:
        return read_labels(zarr.open_array(store, mode="r"))


def pixel_sizes(file: Any) -> dict[str, tuple[float, str]]:
    """Return the length of a pixel with its unit, for each axis of which a TIFF tells it.

    Parameters
    ----------
    file : tifffile.TiffFile
        An open file; OME-XML and ImageJ's description are understood.
    """
    xml = file.ome_metadata if file.is_ome else None
    return _imagej_sizes(file) if xml is None else _ome_sizes(xml)


def _ome_sizes(xml: str) -> dict[str, tuple[float, str]]:
    """Find the pixel's size, with its units, in OME-XML."""
    from xml.etree import ElementTree

    root = ElementTree.fromstring(xml)
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return {}
    usual = {"T": "second"}
    return {
        axis: (
            float(pixels.attrib[key]),
            unit_name(pixels.attrib.get(f"{key}Unit", usual.get(axis, "micrometer"))),
        )
        for axis, key in _OME_SIZES.items()
        if key in pixels.attrib
    }


def _imagej_sizes(file: Any) -> dict[str, tuple[float, str]]:
    """Find the pixel's size in the tags, with ImageJ's unit."""
    metadata = file.imagej_metadata or {}
    unit = str(metadata.get("unit", "")).replace("\\u00B5", "µ").replace("\\u00C5", "Å")
    unit = unit_name(unit or "pixel")
    tags = file.pages[0].tags
    sizes = {}
    for axis, name in (("Y", "YResolution"), ("X", "XResolution")):
        if file.is_imagej and name in tags and all(tags[name].value):
            pixels, units = tags[name].value
            sizes[axis] = (units / pixels, unit)
    if "spacing" in metadata:
        sizes["Z"] = (float(metadata["spacing"]), unit)
    if "finterval" in metadata:
        sizes["T"] = (float(metadata["finterval"]), unit_name(metadata.get("tunit", "second")))
    return sizes
