"""What all formats write and read: a label image with its axes, scale, units and objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.errors import ExportError
from napari_pvpu.export.units import unit_name
from napari_pvpu.sparse_labels import SparseLabels, SparsePlane

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "About",
    "LabelImage",
    "Labels",
    "ObjectDetails",
    "as_label_image",
    "numbered",
    "objects_in_plane",
]

Labels = npt.NDArray[Any]

_DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "TZYX"}
_PLANE_AXES = ("", "T", "Z", "TZ")
_LARGEST_LABEL = 2**32 - 1
# Above this, arrays with a place for every label up to the largest would be too long.
_MANY_LABELS = 1_000_000


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """What is known of an object besides its pixels.

    Attributes
    ----------
    score : float or None
        Intersection over union that the network expected, 0 to 1.
    prompts : int or None
        How many prompts made it.
    category : str or None
        Its class.
    colour : (r, g, b) or None
        In which it is shown, 0 to 255 each.
    """

    score: float | None = None
    prompts: int | None = None
    category: str | None = None
    colour: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        """Turn numbers of numpy, which no JSON takes, into Python's, and NaN into None."""
        plain: dict[str, Any] = {
            "score": None if self.score is None else float(self.score),
            "prompts": None if self.prompts is None else int(self.prompts),
            "colour": None if self.colour is None else tuple(int(part) for part in self.colour),
        }
        if plain["score"] is not None and math.isnan(plain["score"]):
            plain["score"] = None
        for name, value in plain.items():
            object.__setattr__(self, name, value)


class About(TypedDict, total=False):
    """Keywords that describe an array of labels to every writer, see `LabelImage`."""

    axes: str | None
    scale: Sequence[float] | float | None
    units: Sequence[object] | str | None
    objects: Mapping[int, ObjectDetails] | None
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelImage:
    """Labels with what the writers need to know of them.

    Attributes
    ----------
    labels : array of unsigned integers, up to (T, Z, Y, X)
        0 is background. Anything that slices into arrays will do; of a lazy array, one plane at a
        time is read where the format allows. `SparseLabels` are never made into an array.
    axes : str
        One letter for each axis: "YX", "ZYX", "TYX" or "TZYX".
    scale : tuple of float
        Size of a pixel along each axis, in `units`.
    units : tuple of str
        Names such as "micrometer", "second", "pixel".
    objects : mapping of int to ObjectDetails
        What is known of objects, by label; any may be missing.
    name : str
        Of the image, for formats that keep one.
    """

    labels: Any
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    objects: Mapping[int, ObjectDetails] = field(default_factory=dict)
    name: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.labels.shape[-2:]
        return int(rows), int(columns)

    @property
    def plane_axes(self) -> str:
        """Letters of the axes before the rows: "", "T", "Z" or "TZ"."""
        return self.axes[:-2]

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of these axes."""
        return tuple(int(length) for length in self.labels.shape[:-2])

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of a pixel."""
        return self.scale[-2], self.scale[-1]

    @property
    def unit(self) -> str:
        """Unit of rows and columns; "pixel" where they have none, "world" where they differ."""
        rows, columns = self.units[-2:]
        return rows if rows == columns else "world"

    def planes(self) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Go through all planes, with their index over the plane axes; the last is fastest.

        Each is an array, or a `SparsePlane` of sparse labels.
        """
        for index in product(*map(range, self.plane_shape)):
            yield index, self.plane(index)

    def plane(self, index: tuple[int, ...]) -> Any:
        """Return a plane, as `planes` yields it."""
        if isinstance(self.labels, SparseLabels):
            return SparsePlane(self.labels, index)
        return np.asarray(self.labels[index])

    def position(self, index: tuple[int, ...]) -> dict[str, int]:
        """Return a plane's index by axis, such as ``{"t": 0, "z": 4}``."""
        return dict(zip(self.plane_axes.lower(), index, strict=True))

    def details(self, label: int) -> ObjectDetails:
        """Return what is known of an object."""
        return self.objects.get(label, ObjectDetails())

    def compact(self) -> Any:
        """Return the labels as an array of uint16, or of uint32 if some label needs it.

        Sparse labels stay sparse.
        """
        if isinstance(self.labels, SparseLabels):
            return self.labels.astype(np.uint16 if self.labels.max() < 2**16 else np.uint32)
        labels = np.asarray(self.labels)
        largest = int(labels.max(initial=0))
        return np.ascontiguousarray(labels, np.uint16 if largest < 2**16 else np.uint32)


def as_label_image(
    labels: Any,
    *,
    axes: str | None = None,
    scale: Sequence[float] | float | None = None,
    units: Sequence[object] | str | None = None,
    objects: Mapping[int, ObjectDetails] | None = None,
    name: str | None = None,
) -> LabelImage:
    """Check labels and their description.

    Parameters
    ----------
    labels : array or LabelImage
        Integers or bools, none negative and none above 2**32 - 1. What else is given goes before
        what a LabelImage says.
    axes : str, optional
        Such as "TYX"; axes of length 1 that the formats do not know are dropped. By default "YX",
        "ZYX" or "TZYX", by the number of dimensions.
    scale : float or sequence of float, optional
        Of every axis, or of the last ones; by default 1.
    units : str or sequence, optional
        The same for units; a single one goes with the spatial axes. By default "pixel".
    objects : mapping of int to ObjectDetails, optional
        What is known of objects.
    name : str, optional
        Of the image.

    Returns
    -------
    LabelImage

    Raises
    ------
    ExportError
        When something of this does not fit; says what.
    """
    if isinstance(labels, LabelImage):
        known = labels
        if axes is not None and len(axes) != len(known.axes):
            known = replace(known, scale=(), units=())
        return as_label_image(
            known.labels,
            axes=known.axes if axes is None else axes,
            scale=known.scale if scale is None else scale,
            units=known.units if units is None else units,
            objects=known.objects if objects is None else objects,
            name=known.name if name is None else name,
        )
    if not all(hasattr(labels, name) for name in ("ndim", "shape", "dtype")):
        labels = np.asarray(labels)
    if labels.dtype.kind not in "bui":
        raise ExportError(
            f"labels are integers, these are {labels.dtype}; round them and convert them first"
        )
    if axes is None and labels.ndim not in _DEFAULT_AXES:
        raise ExportError(
            f"labels of shape {tuple(labels.shape)} have {labels.ndim} axes; 2 to 4 can be "
            "exported, (T, Z, Y, X) at most"
        )
    if 0 in labels.shape:
        raise ExportError(f"labels of shape {tuple(labels.shape)} hold no pixel")
    axes = (axes or _DEFAULT_AXES[labels.ndim]).upper()
    if len(axes) != labels.ndim or len(set(axes)) != len(axes):
        raise ExportError(
            f"axes {axes!r} do not describe labels of shape {tuple(labels.shape)}; give one "
            "letter for each axis, such as ZYX"
        )
    sizes = _for_every_axis("scale", scale, 1.0, axes)
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ExportError(f"scale {sizes} is not made of positive numbers")
    names = _for_every_axis("units", units, "pixel", axes)
    keep = [i for i, axis in enumerate(axes) if axis in "TZYX" or labels.shape[i] != 1]
    axes = "".join(axes[i] for i in keep)
    if axes[-2:] != "YX" or axes[:-2] not in _PLANE_AXES:
        raise ExportError(
            f"labels with axes {axes} cannot be exported; rows and columns come last, after time "
            "and depth if there are any: YX, ZYX, TYX or TZYX"
        )
    if len(keep) < labels.ndim and isinstance(labels, SparseLabels):
        labels = labels.without_axes(tuple(i for i in range(labels.ndim) if i not in keep))
    elif len(keep) < labels.ndim:
        labels = labels[tuple(slice(None) if i in keep else 0 for i in range(labels.ndim))]
    return LabelImage(
        _unsigned(labels),
        axes,
        tuple(float(sizes[i]) for i in keep),
        tuple(unit_name(names[i]) for i in keep),
        dict(objects or {}),
        name or "",
    )


def _unsigned(labels: Labels) -> Labels:
    kind, size = labels.dtype.kind, labels.dtype.itemsize
    if kind == "b":
        return labels.astype(np.uint8)
    if kind == "u" and size <= 4:
        return labels
    least, largest = int(labels.min()), int(labels.max())
    if least < 0:
        raise ExportError(
            f"labels are 0 for background and positive for objects; the smallest here is {least}"
        )
    if largest > _LARGEST_LABEL:
        raise ExportError(
            f"label {largest} is above {_LARGEST_LABEL}, the largest that files of labels hold; "
            "number the objects anew (skimage.segmentation.relabel_sequential)"
        )
    return labels.astype(np.uint16 if largest < 2**16 else np.uint32)


def _for_every_axis(what: str, given: Any, default: Any, axes: str) -> tuple[Any, ...]:
    """Spread what was given for all or for the last axes."""
    spatial = sum(axis in "ZYX" for axis in axes)
    if given is None:
        values: tuple[Any, ...] = ()
    elif isinstance(given, (str, int, float)):
        values = (given,) * spatial
    else:
        values = tuple(given)
    if len(values) > len(axes):
        raise ExportError(f"{what} {values} are more than the axes {axes}")
    return (default,) * (len(axes) - len(values)) + values


def objects_in_plane(
    plane: Any,
) -> Iterator[tuple[int, npt.NDArray[np.bool_], tuple[int, int]]]:
    """Go through the objects of a plane.

    Parameters
    ----------
    plane : array of unsigned integers, (rows, columns), or SparsePlane
        Labels.

    Yields
    ------
    label : int
        In ascending order.
    mask : array of bool, (h, w)
        Its pixels, in the box around them.
    origin : (row, col)
        Of the box.
    """
    if isinstance(plane, SparsePlane):
        for label, (top, left, bottom, right) in plane.boxes().items():
            yield label, plane[top:bottom, left:right] == label, (top, left)
        return
    numbers, values = numbered(plane)
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        if box is not None:
            label = number if values is None else int(values[number])
            yield label, numbers[box] == number, (box[0].start, box[1].start)


def numbered(plane: Labels) -> tuple[Labels, Labels | None]:
    """Number labels anew if they are so large that a list of all up to the largest is too long.

    Returns
    -------
    numbers : array of integers
        The labels, or their numbers from 1 on, in the same order; 0 is background.
    values : array or None
        Labels by number, if they were numbered.
    """
    if int(plane.max(initial=0)) <= _MANY_LABELS:
        return plane, None
    values, numbers = np.unique(plane, return_inverse=True)
    numbers = numbers.reshape(plane.shape)
    if values[0] != 0:  # no background anywhere
        values, numbers = np.concatenate([values[:1] * 0, values]), numbers + 1
    return numbers, values
