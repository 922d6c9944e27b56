"""Objects in time: which came from which, by division, and where one is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.errors import SessionError
from napari_pvpu.rendering import joint_box
from napari_pvpu.stacks import Stacks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_pvpu.label_store import Labels
    from napari_pvpu.records import ChangedRegion, ObjectRecord, PixelBox, Plane

    Windows = list[tuple[Plane, PixelBox, Labels]]

__all__ = ["Lineages"]


class Lineages(Stacks):
    """A session of a movie, in which objects divide and are lost.

    Within a track the id stays the same from frame to frame; daughters of a division have ids of
    their own.
    """

    @property
    def parents(self) -> dict[int, int]:
        """The parent of each object that came of a division, by ids."""
        return {
            object_id: record.ties.parent
            for object_id, record in sorted(self._objects.items())
            if record.ties.parent is not None and record.ties.parent in self._objects
        }

    def divide(
        self, object_id: int, daughters: Sequence[int], *, frame: int | None = None
    ) -> ChangedRegion:
        """Say that an object divides: it ends, and its daughters go on.

        Parameters
        ----------
        object_id : int
            The parent. From the frame of the division on its masks are taken away.
        daughters : sequence of int
            Two objects or more, accepted before.
        frame : int, optional
            First frame of the daughters; by default the first in which one of them is.

        Raises
        ------
        SessionError
            If the image has no time axis, there are no such objects, a daughter has a parent
            already or is there earlier, or nothing would be left of the parent.
        """
        time, record = self._time(), self._record(object_id)
        ids = list(dict.fromkeys(int(each) for each in daughters))
        records = {each: self._record(each) for each in ids}
        if len(ids) < 2 or object_id in records:
            raise SessionError(f"an object divides into two others or more, not into {ids}")
        for each, known in records.items():
            if known.ties.parent not in (None, object_id):
                raise SessionError(
                    f"object {each} came from object {known.ties.parent}; unlink it first"
                )
        starts = {each: min(at[time] for at in known.boxes) for each, known in records.items()}
        start = min(starts.values()) if frame is None else int(frame)
        early = [each for each in ids if starts[each] < start]
        if early:
            raise SessionError(
                f"object {early[0]} is there in frame {starts[early[0]]} already, before the "
                f"division in frame {start}; name an earlier frame"
            )
        parent, windows = self._ended(object_id, record, start)
        becoming = {
            each: replace(known, ties=replace(known.ties, parent=int(object_id)))
            for each, known in records.items()
        }
        title = f"Divide object {object_id} in frame {start}"
        region = self._change_stack(title, windows, {object_id: parent, **becoming})
        self._note("divide", object_id=int(object_id), daughters=ids, frame=start)
        return region

    def suggested_division(self, plane: Sequence[int] | None = None) -> tuple[int, tuple[int, ...]]:
        """Guess a division from what is in a plane: who begins there, and who was there before.

        Parameters
        ----------
        plane : sequence of int, optional
            By default the one at work.

        Returns
        -------
        parent : int
            The object that had most of the daughters' pixels in the frame before, or else the
            nearest that was there.
        daughters : tuple of int
            The two objects without a parent that begin in this frame, the last ones accepted.

        Raises
        ------
        SessionError
            If there are no two such objects, or nothing in the frame before.
        """
        time = self._time()
        here = self._own(self._plane if plane is None else self._check_plane(plane))
        begun = [
            object_id
            for object_id, record in self._objects.items()
            if here in record.boxes
            and record.ties.parent is None
            and min(at[time] for at in record.boxes) == here[time]
        ]
        if len(begun) < 2 or here[time] == 0:
            raise SessionError(
                f"a division takes two objects that begin in frame {here[time]}; mark and accept "
                "both daughters there first"
            )
        first, second = sorted(begun)[-2:]
        before = (*here[:time], here[time] - 1, *here[time + 1 :])
        return self._likely_parent((first, second), here, before), (first, second)

    def _likely_parent(self, daughters: tuple[int, int], here: Plane, before: Plane) -> int:
        boxes = [self._objects[each].boxes[here] for each in daughters]
        box = joint_box(boxes)
        assert box is not None  # there are two
        there = self._labels.window(before, box)
        found, counts = np.unique(there[there > 0], return_counts=True)
        if len(found):
            return int(found[np.argmax(counts)])
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        known = {
            object_id: record.boxes[before]
            for object_id, record in self._objects.items()
            if before in record.boxes
        }
        if not known:
            raise SessionError(
                "no object was there in the frame before; propagate the parent up to it first"
            )
        return min(known, key=lambda each: _distance(known[each], middle))

    def unlink(self, object_id: int) -> ChangedRegion:
        """Say that an object came of no division after all.

        Raises
        ------
        SessionError
            If there is no such object, or it has no parent.
        """
        record = self._record(object_id)
        if record.ties.parent is None:
            raise SessionError(f"object {object_id} has no parent to be parted from")
        alone = replace(record, ties=replace(record.ties, parent=None))
        region = self._change_stack(f"Unlink object {object_id}", [], {object_id: alone})
        self._note("unlink", object_id=int(object_id))
        return region

    def lose(self, object_id: int, frame: int | None = None) -> ChangedRegion:
        """Say that an object is lost: from a frame on it is not there any more.

        Parameters
        ----------
        object_id : int
            The object.
        frame : int, optional
            First frame without it; by default the one at work.

        Raises
        ------
        SessionError
            If the image has no time axis, there is no such object, or nothing would be left.
        """
        time, record = self._time(), self._record(object_id)
        start = self._own(self._plane)[time] if frame is None else int(frame)
        ended, windows = self._ended(object_id, record, start)
        title = f"Lose object {object_id} in frame {start}"
        region = self._change_stack(title, windows, {object_id: ended})
        self._note("lose", object_id=int(object_id), frame=start)
        return region

    def _own(self, plane: Plane) -> Plane:
        """Return a plane of the image's own, or raise if it is a section across those."""
        if self._grid.is_section(plane):
            raise SessionError(
                "a section across frames does not tell one of them; go to a frame, or name it"
            )
        return plane

    def _time(self) -> int:
        """Return the position of the time axis in a plane's index, or raise."""
        axes = self._source.plane_axes
        if "T" not in axes:
            raise SessionError(
                "the image has no time axis; open it with axes that name one, such as 'TYX'"
            )
        return axes.index("T")

    def _ended(
        self, object_id: int, record: ObjectRecord, start: int
    ) -> tuple[ObjectRecord, Windows]:
        """Return an object's record and the labels as they become when it ends at a frame."""
        time = self._time()
        gone = [at for at in record.boxes if at[time] >= start]
        left = [at for at in record.boxes if at[time] < start]
        if not any(record.ties.is_annotated(at) for at in left):
            raise SessionError(
                f"no annotated frame of object {object_id} would be left before frame {start}; "
                "name a later one"
            )
        first = self._check_plane(
            (*([0] * time), start, *([0] * (len(self._plane_shape) - time - 1)))
        )
        ends = {(*at[:time], first[time], *at[time + 1 :]) for at in record.boxes}
        ties = replace(record.ties, ends=tuple(sorted({*record.ties.ends, *ends})))
        windows: Windows = []
        for at in gone:
            labels = self._labels.window(at, record.boxes[at])
            after = np.where(labels == object_id, labels.dtype.type(0), labels)
            windows.append((at, record.boxes[at], after))
        return replace(record, ties=ties), windows


def _distance(box: PixelBox, place: npt.NDArray[np.float64]) -> float:
    """Return how far the middle of a box is from a place."""
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    return float(np.hypot(*(middle - place)))
