"""Objects of a movie as tracks: where each is in each frame, and which came of which.

A label is one track from its first frame to its last; where frames are missing in between it is
cut into several, each the next one's parent, because formats of tracks know no gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.errors import ExportError
from napari_pvpu.export.label_image import as_label_image, numbered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_pvpu.export.label_image import About, LabelImage, Labels

__all__ = ["Spot", "Track", "Tracks", "find_tracks"]


@dataclass(frozen=True, slots=True)
class Spot:
    """An object in one frame.

    Attributes
    ----------
    frame, label : int
        When, and its label.
    center : tuple of float
        Mean of its pixels, (z, y, x) or (y, x), in pixels.
    size : int
        Pixels.
    """

    frame: int
    label: int
    center: tuple[float, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Track:
    """A label over frames without a gap.

    Attributes
    ----------
    number : int
        The label, or a new number for a part after a gap.
    label : int
        The label.
    first, last : int
        Frames, both included.
    parent : int
        Number of the track that it came of, 0 for none.
    """

    number: int
    label: int
    first: int
    last: int
    parent: int


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """What is in a movie.

    Attributes
    ----------
    image : LabelImage
        The labels.
    spots : tuple of Spot
        In order of frames, then labels.
    tracks : tuple of Track
        In order of numbers.
    """

    image: LabelImage
    spots: tuple[Spot, ...]
    tracks: tuple[Track, ...]

    def numbers(self) -> dict[tuple[int, int], int]:
        """Return the number of the track of each (frame, label)."""
        return {
            (frame, track.label): track.number
            for track in self.tracks
            for frame in range(track.first, track.last + 1)
        }


def find_tracks(
    labels: Labels | LabelImage,
    parents: Mapping[int, int] | None = None,
    **about: Unpack[About],
) -> Tracks:
    """Find the tracks of a movie.

    Parameters
    ----------
    labels : array of integers, (T, Y, X) or (T, Z, Y, X), or LabelImage
        The same label in every frame of an object; 0 is background.
    parents : dict of int to int, optional
        The parent of each object that came of a division; others have none.
    **about
        See `as_label_image`. Three axes of which nobody says more are (T, Y, X) here.

    Returns
    -------
    Tracks

    Raises
    ------
    ExportError
        When there is no time axis, or a parent ends after its daughter begins.
    """
    if about.get("axes") is None and getattr(labels, "ndim", 0) == 3:
        about["axes"] = "TYX"
    image = as_label_image(labels, **about)
    if "T" not in image.axes:
        raise ExportError(
            f"tracks take labels with a time axis, and these have {image.axes}; name the axes, "
            "for instance TYX"
        )
    spots = _find_spots(image)
    return Tracks(image, spots, _join_spots(spots, dict(parents or {})))


def _find_spots(image: LabelImage) -> tuple[Spot, ...]:
    found: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
    time = image.plane_axes.index("T")
    for index, plane in image.planes():
        if not plane.any():
            continue
        numbers, values = numbered(plane)
        for number, box in enumerate(ndimage.find_objects(numbers), start=1):
            if box is None:
                continue
            rows, cols = np.nonzero(numbers[box] == number)
            label = number if values is None else int(values[number])
            depth = [len(rows) * at for axis, at in enumerate(index) if axis != time]
            start = (box[0].start, box[1].start)
            sums = [float((each + at).sum()) for each, at in zip((rows, cols), start, strict=True)]
            key = (index[time], label)
            found[key] = found.get(key, 0.0) + np.array([len(rows), *depth, *sums], np.float64)
    return tuple(
        Spot(frame, label, tuple((sums[1:] / sums[0]).tolist()), int(sums[0]))
        for (frame, label), sums in sorted(found.items())
    )


def _join_spots(spots: tuple[Spot, ...], parents: dict[int, int]) -> tuple[Track, ...]:
    frames: dict[int, list[int]] = {}
    for spot in spots:
        frames.setdefault(spot.label, []).append(spot.frame)
    free = max(frames, default=0) + 1
    tracks: list[Track] = []
    last_part: dict[int, Track] = {}
    for label, at in sorted(frames.items()):
        cuts = [i for i, (one, two) in enumerate(pairwise(at), start=1) if two > one + 1]
        number, parent = label, 0
        for start, stop in pairwise([0, *cuts, len(at)]):
            track = Track(number, label, at[start], at[stop - 1], parent)
            tracks.append(track)
            last_part[label] = track
            parent, number, free = number, free, free + (stop < len(at))
    ordered = sorted((_with_parent(t, parents, last_part) for t in tracks), key=_by_number)
    return tuple(ordered)


def _by_number(track: Track) -> int:
    return track.number


def _with_parent(track: Track, parents: dict[int, int], last_part: dict[int, Track]) -> Track:
    """Return the first part of a daughter's track with the last part of its parent's as parent."""
    parent: Any = last_part.get(parents.get(track.label, 0))
    if parent is None or track.number != track.label:
        return track
    if parent.last >= track.first:
        raise ExportError(
            f"object {parent.label} is there up to frame {parent.last}, but object {track.label}, "
            f"which came of it, begins in frame {track.first}; mark the division again"
        )
    return Track(track.number, track.label, track.first, track.last, parent.number)
