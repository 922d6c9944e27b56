"""Tracks as the Cell Tracking Challenge has them: a folder of masks and ``res_track.txt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import replaced_folder
from napari_pvpu.export.tracks import Tracks, find_tracks

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from napari_pvpu.export.label_image import About, LabelImage, Labels

__all__ = ["write_ctc"]

_LARGEST = 2**16 - 1


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
    image, numbers = tracks.image, tracks.numbers()
    frames = image.plane_shape[image.plane_axes.index("T")]
    digits = max(3, len(str(frames - 1)))
    with replaced_folder(path) as folder:
        for frame in range(frames):
            masks = np.asarray(image.labels[frame])
            here = {label: to for (at, label), to in numbers.items() if at == frame}
            out = np.zeros(masks.shape, np.uint16)
            for label, number in here.items():
                out[masks == label] = number
            name = folder / f"mask{frame:0{digits}}.tif"
            tifffile.imwrite(name, out, compression="zlib", photometric="minisblack")
        lines = [f"{t.number} {t.first} {t.last} {t.parent}\n" for t in tracks.tracks]
        (folder / "res_track.txt").write_text("".join(lines), "ascii")
