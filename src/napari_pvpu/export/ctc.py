"""Tracks as the Cell Tracking Challenge has them: a folder of masks and ``res_track.txt``."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import replaced_folder
from napari_pvpu.export.tracks import Tracks, find_tracks
from napari_pvpu.sparse_labels import SparsePlane

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from napari_pvpu.export.label_image import About, LabelImage, Labels

__all__ = ["write_ctc"]

_LARGEST = 2**16 - 1
_STRIP = 256
"""Rows of a mask that are held at a time."""


def write_ctc(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage | Tracks,
    parents: Mapping[int, int] | None = None,
    **about: Unpack[About],
) -> None:
    """Write tracks as results of the Cell Tracking Challenge.

    Parameters
    ----------
    path : path
        Of the folder, ``01_RES`` for the challenge's own programs; what was there is replaced.
    labels : array of integers, (T, Y, X) or (T, Z, Y, X), LabelImage or Tracks
        The same label in every frame of an object.
    parents : dict of int to int, optional
        The parent of each object that came of a division.
    **about
        See `as_label_image`.

    Raises
    ------
    ExportError
        When there is no time axis, a number of a track is above 65,535, or the folder cannot be
        written.

    Notes
    -----
    ``mask000.tif`` and so on hold one frame each, uint16, (Z,) Y, X. Lines of ``res_track.txt``
    are ``L B E P``: number, first and last frame, parent or 0. A track with a gap is cut in two,
    the first one the second one's parent, as the challenge wants it.
    """
    import tifffile

    tracks = labels if isinstance(labels, Tracks) else find_tracks(labels, parents, **about)
    if tracks.tracks and tracks.tracks[-1].number > _LARGEST:
        raise ExportError(
            f"the track numbered {tracks.tracks[-1].number} is above {_LARGEST}, the largest that "
            "masks of the Cell Tracking Challenge hold; number the objects anew"
        )
    image = tracks.image
    numbers: dict[int, dict[int, int]] = {}
    for (frame, label), number in tracks.numbers().items():
        numbers.setdefault(frame, {})[label] = number
    frames = image.plane_shape[image.plane_axes.index("T")]
    digits = max(3, len(str(frames - 1)))
    with replaced_folder(path) as folder:
        for frame in range(frames):
            strips = _strips(image, frame, numbers.get(frame, {}))
            name = folder / f"mask{frame:0{digits}}.tif"
            tifffile.imwrite(
                name, strips, shape=image.labels.shape[1:], dtype=np.uint16, rowsperstrip=_STRIP,
                compression="zlib", photometric="minisblack",
            )  # fmt: skip
        lines = [f"{t.number} {t.first} {t.last} {t.parent}\n" for t in tracks.tracks]
        (folder / "res_track.txt").write_text("".join(lines), "ascii")


def _strips(image: LabelImage, frame: int, numbers: Mapping[int, int]) -> Iterator[bytes]:
    """Return the strips of a frame's masks, compressed, plane by plane, from the top down.

    A plane of sparse labels may be too large for an array.
    """
    becomes = np.zeros(_LARGEST + 1, np.uint16)
    becomes[[*numbers]] = [*numbers.values()]
    height, width = image.shape
    empty: dict[int, bytes] = {}
    for rest in np.ndindex(*image.plane_shape[1:]):
        plane = image.plane((frame, *rest))
        filled = _filled(plane)
        for top in range(0, height, _STRIP):
            rows = min(_STRIP, height - top)
            if filled is None or top // _STRIP in filled:
                yield zlib.compress(becomes[plane[top : top + rows, :width]].tobytes())
                continue
            if rows not in empty:
                empty[rows] = zlib.compress(bytes(2 * rows * width))
            yield empty[rows]


def _filled(plane: Any) -> set[int] | None:
    """Return the numbers of those strips of a sparse plane that hold labels; None of an array."""
    if not isinstance(plane, SparsePlane):
        return None
    return {
        strip
        for row, _, tile in plane.tiles()
        for strip in range(row // _STRIP, (row + tile.shape[0] - 1) // _STRIP + 1)
    }
