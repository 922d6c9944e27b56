"""Undo and redo: what a step changed, kept small, in a chain of bounded size."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_pvpu.current_object import CurrentObject
    from napari_pvpu.label_store import PlaneOfLabels
    from napari_pvpu.records import ObjectRecord, Plane
    from napari_pvpu.session_settings import SessionSettings

__all__ = ["History", "LabelDelta", "ObjectChange", "Sized", "Step"]

Labels = npt.NDArray[np.unsignedinteger]


class Sized(Protocol):
    """Something that knows about how many bytes it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes, roughly."""


Made = TypeVar("Made", bound=Sized)


@dataclass(frozen=True, slots=True, eq=False)
class LabelDelta:
    """A change of a label image over a box: which pixels, what they were and what they became.

    Attributes
    ----------
    row, col : int
        First data pixel of the box.
    shape : (h, w)
        Of the box.
    bits : bytes
        Which of its pixels changed, packed, rows first.
    before, after : array, (n,) or (1,), uint16
        Values of the changed pixels in that order; one value if all are equal.
    """

    row: int
    col: int
    shape: tuple[int, int]
    bits: bytes
    before: Labels
    after: Labels

    @classmethod
    def between(cls, row: int, col: int, before: Labels, after: Labels) -> LabelDelta:
        """Return the change from one (h, w) window of labels to another."""
        changed = before != after
        return cls(
            row,
            col,
            (before.shape[0], before.shape[1]),
            np.packbits(changed).tobytes(),
            _compact(before[changed]),
            _compact(after[changed]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return len(self.bits) + self.before.nbytes + self.after.nbytes

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The box ``(row0, col0, row1, col1)``, the last two exclusive."""
        height, width = self.shape
        return (self.row, self.col, self.row + height, self.col + width)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The box in the label image."""
        height, width = self.shape
        return (slice(self.row, self.row + height), slice(self.col, self.col + width))

    @property
    def ids(self) -> set[int]:
        """Ids of all objects that lose or gain pixels."""
        return {*np.unique(self.before).tolist(), *np.unique(self.after).tolist()} - {0}

    def apply(self, labels: PlaneOfLabels) -> None:
        """Make the change in a label image."""
        self._write(labels, self.after)

    def revert(self, labels: PlaneOfLabels) -> None:
        """Take the change back."""
        self._write(labels, self.before)

    def _write(self, labels: PlaneOfLabels, values: Labels) -> None:
        window = labels[self.slices]  # a view, or a copy of sparse labels
        window[self._changed()] = values
        labels[self.slices] = window

    def _changed(self) -> npt.NDArray[np.bool_]:
        count = self.shape[0] * self.shape[1]
        bits = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=count)
        return bits.astype(bool).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What became of an accepted object's record; None before it was made or after it went."""

    object_id: int
    before: ObjectRecord | None
    after: ObjectRecord | None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of a session, with all that it takes to go either way.

    Attributes
    ----------
    title : str
        What was done, in a few words.
    plane : tuple of int
        Plane of the image that it was done in.
    before, after : CurrentObject or None
        The object at work in that plane.
    settings : (SessionSettings, SessionSettings) or None
        Settings before and after, if they changed.
    labels : tuple of (plane, LabelDelta)
        Changes of the labels, in the order in which they are made.
    objects : tuple of ObjectChange
        Changes of records.
    joins : str or None
        Steps in a row that join each other are one, as those of a slider being dragged.
    """

    title: str
    plane: Plane
    before: CurrentObject | None
    after: CurrentObject | None
    settings: tuple[SessionSettings, SessionSettings] | None = None
    labels: tuple[tuple[Plane, LabelDelta], ...] = ()
    objects: tuple[ObjectChange, ...] = ()
    joins: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held, roughly; what is shared with the step before counts there."""
        deltas = sum(delta.nbytes for _, delta in self.labels)
        own = self.after is not None and self.after is not self.before
        held = self.after.nbytes if own and self.after is not None else 0
        return 256 + held + deltas + 128 * len(self.objects)


class History(Generic[Made]):
    """Steps that can be taken back and made again.

    Parameters
    ----------
    max_bytes : int
        The oldest steps are forgotten when all together hold more; the newest always stays.
    """

    def __init__(self, max_bytes: int = 64 * 2**20) -> None:
        self._max_bytes = max_bytes
        self._done: deque[Made] = deque()
        self._undone: list[Made] = []
        self._nbytes = 0

    def __len__(self) -> int:
        """Return the number of steps that can be undone."""
        return len(self._done)

    @property
    def nbytes(self) -> int:
        """Bytes held by all steps, roughly."""
        return self._nbytes

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to make again."""
        return bool(self._undone)

    def push(self, step: Made) -> None:
        """Remember a step that was just made; what had been undone cannot be redone any more."""
        self._nbytes -= sum(undone.nbytes for undone in self._undone)
        self._undone.clear()
        self._done.append(step)
        self._nbytes += step.nbytes
        while self._nbytes > self._max_bytes and len(self._done) > 1:
            self._nbytes -= self._done.popleft().nbytes

    def replace_last(self, step: Made) -> None:
        """Put a step in the place of the one made last; what had been undone is forgotten."""
        self._nbytes -= self._done.pop().nbytes
        self.push(step)

    @property
    def steps(self) -> tuple[Made, ...]:
        """All steps, those that were undone included, in the order in which they were made."""
        return (*self._done, *reversed(self._undone))

    @property
    def last_done(self) -> Made | None:
        """The step that `undo` would return."""
        return self._done[-1] if self._done else None

    @property
    def last_undone(self) -> Made | None:
        """The step that `redo` would return."""
        return self._undone[-1] if self._undone else None

    def undo(self) -> Made | None:
        """Return the step to take back, or None if there is none."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Made | None:
        """Return the step to make again, or None if there is none."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]


def _compact(values: Labels) -> Labels:
    """One value in place of many equal ones, else a copy."""
    if values.size > 1 and (values == values[0]).all():
        return values[:1].copy()
    return values.copy()
