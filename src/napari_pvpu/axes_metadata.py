"""The axes that others wrote down: in layers, TIFF and OME files, and their metadata.

Plain data in, a word as in `napari_pvpu.axes` out, or None: what others wrote may mean anything,
and then a guess by shape is the better answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_pvpu.axes import parse_axes
from napari_pvpu.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "axes_from_labels",
    "axes_from_metadata",
    "axes_from_ome",
    "axes_from_tiff",
    "fit_axes",
]


def axes_from_labels(labels: Sequence[str]) -> str | None:
    """Read axis names as layers carry them, ``("z", "y", "x")``; None if they tell nothing.

    napari calls axes without a name ``"-3", "-2", "-1"``: the last two then are Y and X.
    """
    names = [str(label).strip() for label in labels]
    for place, letter in ((-2, "Y"), (-1, "X")):
        if len(names) >= 2 and names[place] == str(place):
            names[place] = letter
    return _parse_or_none(names)


def axes_from_tiff(axes: str) -> str | None:
    """Read the axes of a tifffile series, whose letters I and Q (unknown) become Z and T."""
    word = axes.upper()
    for unknown in ("I", "Q"):
        for letter in "ZT":
            if letter not in word and unknown in word:
                # The innermost first: planes change faster than time points.
                place = word.rindex(unknown)
                word = word[:place] + letter + word[place + 1 :]
    return _parse_or_none(word)


def axes_from_ome(order: str) -> str | None:
    """Read OME-XML's DimensionOrder, which begins with the fastest: ``"XYZCT"`` is TCZYX."""
    return _parse_or_none(order[::-1])


def axes_from_metadata(metadata: Mapping[str, Any]) -> str | None:
    """Find axes in a layer's or a file's metadata; None if there are none.

    Understood are ``axes`` or ``dims`` as a word (tifffile, ImageJ), as names, or as dicts with
    ``name`` (OME-Zarr), also within the first of ``multiscales``; and ``DimensionOrder``.
    """
    for key in ("axes", "dims"):
        found = _read_axes(metadata.get(key))
        if found is not None:
            return found
    order = metadata.get("DimensionOrder")
    if isinstance(order, str):
        return axes_from_ome(order)
    scales = metadata.get("multiscales")
    if isinstance(scales, list | tuple) and scales and hasattr(scales[0], "get"):
        return _read_axes(scales[0].get("axes"))
    return None


def fit_axes(axes: str | None, count: int) -> str | None:
    """Return axes for an array of `count` dimensions; None if they are of another number.

    Where there is one name too many, C is left out: programs split images by channels and leave
    the metadata as they are.
    """
    if axes is not None and len(axes) == count + 1 and "C" in axes:
        axes = axes.replace("C", "")
    return axes if axes is not None and len(axes) == count else None


def _read_axes(value: Any) -> str | None:
    if isinstance(value, str):
        return axes_from_tiff(value)
    if isinstance(value, list | tuple):
        names = [each.get("name", "") if hasattr(each, "get") else each for each in value]
        return _parse_or_none([str(name) for name in names])
    return None


def _parse_or_none(axes: str | Sequence[str]) -> str | None:
    """Parse what was written by somebody else, who may have meant anything."""
    try:
        return parse_axes(axes)
    except ImageError:
        return None
