"""Measurements of objects: a table for CSV and for the features of a napari layer."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import read_error, replaced_file
from napari_pvpu.export.label_image import (
    LabelImage,
    as_label_image,
    numbered,
    objects_in_plane,
)
from napari_pvpu.sparse_labels import SparseLabels, SparsePlane

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from napari_pvpu.export.label_image import About, Labels

__all__ = ["as_features", "measure", "read_table", "write_table"]

Table = dict[str, list[Any]]

# Of skimage.measure.regionprops, by what stands in the table.
_LENGTHS = {
    "perimeter": "perimeter",
    "axis_major_length": "major_axis",
    "axis_minor_length": "minor_axis",
    "feret_diameter_max": "feret_diameter_max",
}
_RATIOS = ("eccentricity", "solidity")
_INTENSITIES = ("mean", "min", "max", "std")


def measure(
    labels: Labels | LabelImage,
    image: Any = None,
    *,
    channel_axis: int | None = None,
    channel_names: Sequence[str] | None = None,
    **about: Unpack[About],
) -> Table:
    """Measure every object in every plane (skimage's region properties).

    Parameters
    ----------
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background.
    image : array, optional
        What to measure intensities in: of the labels' shape, or with an axis for channels more.
    channel_axis : int, optional
        Which axis of the image that is; by default the last, if the others fit, else the first
        that leaves the labels' shape.
    channel_names : sequence of str, optional
        One for each channel; by default their numbers from 0 on.
    **about
        See `as_label_image`.

    Returns
    -------
    dict of str to list
        Columns of equal length. ``label``; ``t`` and ``z`` if there are such axes; area and
        centroid in pixels and, with a scale or units, in these; the bounding box in pixels (ends
        exclusive); perimeter, axes of the ellipse of the same moments, and largest Feret diameter
        in units; eccentricity, solidity; for each channel mean, min, max and standard deviation;
        ``score`` and ``prompts`` where some object has them. Units stand in brackets. What cannot
        be measured (a perimeter with pixels that are not square) is NaN.

    Raises
    ------
    ExportError
        When the labels, or the image, do not fit.
    """
    from skimage.measure import regionprops_table

    about_image = as_label_image(labels, **about)
    stack, names = _channels(about_image, image, channel_axis, channel_names)
    square = math.isclose(*about_image.pixel_size, rel_tol=1e-9)
    wanted = ["label", "num_pixels", "area", "centroid", "bbox", *_LENGTHS, *_RATIOS]
    if not square:
        wanted.remove("perimeter")
    if stack is not None:
        wanted += [f"intensity_{what}" for what in _INTENSITIES]
    table: Table = {}
    size = about_image.pixel_size
    for index, plane in about_image.planes():
        for numbers, values, pixels, origin in _pieces(plane, stack, index):
            found = regionprops_table(
                numbers.astype(np.int64), pixels, properties=wanted, spacing=size
            )
            if values is not None:
                found["label"] = values[found["label"]]
            _shift(found, origin, size)
            for name, column in _columns(about_image, index, found, names).items():
                table.setdefault(name, []).extend(column)
    _add_details(about_image, table)
    return table


def _pieces(
    plane: Any, stack: Any, index: tuple[int, ...]
) -> Iterator[tuple[Any, Any, Any, tuple[int, int]]]:
    """Yield numbered objects, their labels, their pixels and where they begin.

    A plane that is an array in one piece, a sparse one object by object.
    """
    if not isinstance(plane, SparsePlane):
        numbers, values = numbered(plane)
        yield numbers, values, None if stack is None else np.asarray(stack[index]), (0, 0)
        return
    for label, mask, (row, col) in objects_in_plane(plane):
        height, width = mask.shape
        window = (slice(row, row + height), slice(col, col + width))
        pixels = None if stack is None else stack[(*index, *window)]
        yield mask, np.array([0, label]), pixels, (row, col)


def _shift(found: dict[str, Any], origin: tuple[int, int], size: tuple[float, float]) -> None:
    """Turn places in a piece into places in the plane."""
    for axis in (0, 1):
        found[f"centroid-{axis}"] = found[f"centroid-{axis}"] + origin[axis] * size[axis]
        for side in (axis, axis + 2):
            found[f"bbox-{side}"] = found[f"bbox-{side}"] + origin[axis]


class _ChannelsLast:
    """An image of any kind whose channels come last, read window by window."""

    def __init__(self, image: Any, axis: int | None) -> None:
        self._image, self._axis, self.dtype = image, axis, image.dtype
        lengths = list(image.shape)
        count = 1 if axis is None else lengths.pop(axis)
        self.shape = (*lengths, count)

    def __getitem__(self, window: tuple[Any, ...]) -> Any:
        if self._axis is None:
            return np.asarray(self._image[window])[..., None]
        index = [*window]
        axis = self._axis % self._image.ndim
        index.insert(axis, slice(None))
        dropped = sum(not isinstance(each, slice) for each in index[:axis])
        return np.moveaxis(np.asarray(self._image[tuple(index)]), axis - dropped, -1)


def _columns(
    image: LabelImage, index: tuple[int, ...], found: dict[str, Any], channels: list[str]
) -> Table:
    count = len(found["label"])
    height, width = image.pixel_size
    scaled = (height, width) != (1, 1) or image.unit not in ("pixel", "world")
    unit = image.unit if image.unit != "pixel" or not scaled else "world"
    unit = unit if scaled else "px"
    columns: Table = {"label": found["label"].tolist()}
    columns |= {axis: [at] * count for axis, at in image.position(index).items()}
    columns["area [px]"] = found["num_pixels"].tolist()
    if scaled:
        columns[f"area [{unit}^2]"] = found["area"].tolist()
    for axis, name, size in ((0, "y", height), (1, "x", width)):
        centre = found[f"centroid-{axis}"]
        columns[f"centroid_{name} [px]"] = (centre / size).tolist()
        if scaled:
            columns[f"centroid_{name} [{unit}]"] = centre.tolist()
    for side, name in enumerate(("top", "left", "bottom", "right")):
        columns[f"{name} [px]"] = found[f"bbox-{side}"].tolist()
    for name, ours in _LENGTHS.items():
        columns[f"{ours} [{unit}]"] = found.get(name, np.full(count, np.nan)).tolist()
    for name in _RATIOS:
        columns[name] = found[name].tolist()
    for number, channel in enumerate(channels):
        for what in _INTENSITIES:
            columns[f"intensity_{what} [{channel}]"] = found[f"intensity_{what}-{number}"].tolist()
    return columns


def _add_details(image: LabelImage, table: Table) -> None:
    for name in ("score", "prompts", "category"):
        column = [getattr(image.details(label), name) for label in table["label"]]
        if any(value is not None for value in column):
            empty = None if name == "category" else math.nan
            table[name] = [empty if value is None else value for value in column]


def _channels(
    labels: LabelImage, image: Any, axis: int | None, names: Sequence[str] | None
) -> tuple[Any, list[str]]:
    """Bring an image's channels to the end."""
    if image is None:
        return None, []
    shape, wanted = tuple(image.shape), (*labels.plane_shape, *labels.shape)
    if axis is None and shape != wanted:
        fits = [at for at in range(len(shape)) if shape[:at] + shape[at + 1 :] == wanted]
        if not fits:
            raise ExportError(
                f"an image of shape {shape} does not go with labels of shape {wanted}; it must "
                "have the same, or one axis for channels more"
            )
        axis = fits[-1] if fits[-1] == len(shape) - 1 else fits[0]
    if not isinstance(labels.labels, SparseLabels):
        image = np.asarray(image)
    if image.dtype.kind not in "buif":
        raise ExportError(f"intensities of {image.dtype} cannot be measured; convert them first")
    stack: Any = _ChannelsLast(image, axis)
    if isinstance(image, np.ndarray):
        stack = image[..., None] if axis is None else np.moveaxis(image, axis, -1)
    if stack.shape[:-1] != wanted:
        raise ExportError(
            f"an image of shape {shape} with its channels along axis {axis} does not go with "
            f"labels of shape {wanted}"
        )
    count = stack.shape[-1]
    found = [str(number) for number in range(count)] if names is None else [*map(str, names)]
    if len(found) != count or len(set(found)) != count:
        raise ExportError(f"channel names {found} do not name {count} channels, each its own")
    return stack, found


def write_table(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage,
    image: Any = None,
    *,
    channel_axis: int | None = None,
    channel_names: Sequence[str] | None = None,
    **about: Unpack[About],
) -> None:
    """Write measurements as CSV: a header, then a line for each object in each plane.

    Numbers are written such that they read back as the very same; NaN is an empty cell.

    Parameters
    ----------
    path : path
        Of the file, ``.csv``.
    labels, image, channel_axis, channel_names, **about
        See `measure`.

    Raises
    ------
    ExportError
        When something does not fit, or the file cannot be written.
    """
    table = measure(labels, image, channel_axis=channel_axis, channel_names=channel_names, **about)
    with replaced_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(table)
        rows.writerows([_cell(value) for value in row] for row in zip(*table.values(), strict=True))


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else repr(value)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read measurements from CSV.

    Parameters
    ----------
    path : path
        Of the file.

    Returns
    -------
    dict of str to list
        Columns; integers, floats (NaN for an empty cell) and, of what is no number, strings.

    Raises
    ------
    ExportError
        When the file cannot be read.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        header, *rest = rows
        columns = list(zip(*rest, strict=True)) or [()] * len(header)
        return {
            name: [_value(cell) for cell in column]
            for name, column in zip(header, columns, strict=True)
        }
    except (OSError, ValueError, csv.Error) as error:
        raise read_error(path, f"it is no table ({error})") from error


def _value(cell: str) -> Any:
    if not cell:
        return math.nan
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def as_features(table: Table) -> Table:
    """Make the `features` of a napari Labels layer of a table.

    Parameters
    ----------
    table : dict of str to list
        From `measure`.

    Returns
    -------
    dict of str to list
        With one row for each label, first the background's (NaN), and ``index``, by which napari
        finds the row of a label. Of an object in several planes the row of the plane where it is
        largest, and ``planes`` tells how many there are.
    """
    rows: dict[int, int] = {}
    planes: dict[int, int] = {}
    areas = table["area [px]"]
    for row, label in enumerate(table["label"]):
        planes[label] = planes.get(label, 0) + 1
        if label not in rows or areas[row] > areas[rows[label]]:
            rows[label] = row
    features: Table = {"index": [0, *rows]}
    for name, column in table.items():
        if name != "label":
            empty = "" if name == "category" else math.nan
            values = [column[row] for row in rows.values()]
            features[name] = [empty, *(empty if value is None else value for value in values)]
    if any(count > 1 for count in planes.values()):
        features["planes"] = [math.nan, *(planes[label] for label in rows)]
    return features
