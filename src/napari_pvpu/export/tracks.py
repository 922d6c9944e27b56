"""Objects of a movie as tracks: where each is in each frame, and which came of which.

A label is one track from its first frame to its last; where frames are missing in between it is
cut into several, each the next one's parent, because formats of tracks know no gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import add
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.label_image import as_label_image
from napari_pvpu.label_boxes import boxes_in
from napari_pvpu.sparse_labels import SparsePlane

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_pvpu.export.label_image import About, LabelImage, Labels

    Plane = tuple[int, ...]
    Sums = tuple[float, ...]

__all__ = ["Spot", "Track", "TrackFinder", "Tracks", "find_tracks"]


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
    return TrackFinder().find(labels, parents, **about)


class TrackFinder:
    """Finds the tracks of one movie again and again, and remembers what is in its planes."""

    def __init__(self) -> None:
        self._planes: dict[Plane, dict[int, Sums]] = {}
        """Number of pixels and sums of their rows and columns, by label."""

    def find(
        self,
        labels: Labels | LabelImage,
        parents: Mapping[int, int] | None = None,
        *,
        changed: Iterable[Plane] | None = None,
        **about: Unpack[About],
    ) -> Tracks:
        """Find the tracks; see `find_tracks`.

        Parameters
        ----------
        labels, parents, **about
            See there. The labels take memory of one plane at a time, sparse ones of a tile.
        changed : iterable of tuple of int, optional
            Planes in which labels have changed since the last time, by their index over all axes
            of `labels` before the rows; only these are read. By default all of them are.
        """
        if about.get("axes") is None and getattr(labels, "ndim", 0) == 3:
            about["axes"] = "TYX"
        image = as_label_image(labels, **about)
        if "T" not in image.axes:
            raise ExportError(
                f"tracks take labels with a time axis, and these have {image.axes}; name the axes, "
                "for instance TYX"
            )
        if changed is None:
            found = ((index, _sums(plane)) for index, plane in image.planes())
            self._planes = {index: sums for index, sums in found if sums}
        else:
            letters = (about.get("axes") or image.axes).upper()
            kept = [at for at, axis in enumerate(letters[:-2]) if axis in image.plane_axes]
            for each in changed:
                index = tuple(each[at] for at in kept)
                self._planes[index] = _sums(image.plane(index))
        spots = self._spots(image.plane_axes.index("T"))
        return Tracks(image, spots, _join_spots(spots, dict(parents or {})))

    def _spots(self, time: int) -> tuple[Spot, ...]:
        """Join what each frame has of an object in its planes."""
        found: dict[tuple[int, int], Sums] = {}
        for index, objects in self._planes.items():
            depths = [at for axis, at in enumerate(index) if axis != time]
            for label, (size, *sums) in objects.items():
                here: Sums = (size, *(size * at for at in depths), *sums)
                key = (index[time], label)
                found[key] = _added(found[key], here) if key in found else here
        return tuple(
            Spot(frame, label, tuple(each / size for each in sums), int(size))
            for (frame, label), (size, *sums) in sorted(found.items())
        )


def _sums(plane: Any) -> dict[int, Sums]:
    """Return number of pixels, and sums of their rows and columns, of each object in a plane."""
    found: dict[int, Sums] = {}
    for row, col, part in plane.tiles() if isinstance(plane, SparsePlane) else [(0, 0, plane)]:
        for label, (top, left, bottom, right) in boxes_in(part, row, col):
            mask = part[top - row : bottom - row, left - col : right - col] == label
            rows, cols = np.nonzero(mask)
            size = len(rows)
            here = (size, size * top + int(rows.sum()), size * left + int(cols.sum()))
            found[label] = _added(found[label], here) if label in found else here
    return found


def _added(one: Sums, two: Sums) -> Sums:
    return tuple(map(add, one, two))


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
