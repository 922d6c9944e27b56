"""The object at work: what the network said, what the user painted, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.records import ObjectState
from napari_pvpu.view_changes import prior_probability
from napari_pvpu.view_choice import first_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.prompts import PriorMask, Prompt
    from napari_pvpu.records import ObjectRecord
    from napari_pvpu.view_choice import ViewPolicy

__all__ = ["CurrentObject", "Origin", "Paint", "state_of_mask"]

PixelBox = tuple[int, int, int, int]
Bits = npt.NDArray[np.bool_]

_SURE_LOGIT = 6.0
"""Logit of the pixels of a mask that is taken for known."""


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """Pixels that the user has painted into an object or erased from it, by hand.

    Attributes
    ----------
    row, col : int
        First data pixel.
    values : array, (h, w), int8
        1 painted, -1 erased, 0 left to the network.
    """

    row: int
    col: int
    values: npt.NDArray[np.int8]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Paint):
            return NotImplemented
        return self.box == other.box and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.box, self.values.tobytes()))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.values.nbytes

    @property
    def box(self) -> PixelBox:
        """``(row0, col0, row1, col1)`` in data pixels, the last two exclusive."""
        height, width = self.values.shape
        return (self.row, self.col, self.row + height, self.col + width)

    def over(self, older: Paint | None) -> Paint:
        """Return this paint on top of an older one."""
        if older is None:
            return self
        row0, col0 = min(self.row, older.row), min(self.col, older.col)
        row1, col1 = max(self.box[2], older.box[2]), max(self.box[3], older.box[3])
        values = np.zeros((row1 - row0, col1 - col0), np.int8)
        for paint in (older, self):
            window = values[
                paint.row - row0 : paint.box[2] - row0, paint.col - col0 : paint.box[3] - col0
            ]
            np.copyto(window, paint.values, where=paint.values != 0)
        return Paint(row0, col0, values)


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """The mask that an object was opened from.

    Attributes
    ----------
    prior : PriorMask
        The mask; the first of the object's prompts.
    state : ObjectState
        What is taken for known because of it, as if a network had answered it.
    object_id : int or None
        The id that the object had and will have again; None for a mask without one.
    record : ObjectRecord or None
        The record of the accepted object that was opened.
    """

    prior: PriorMask
    state: ObjectState
    object_id: int | None = None
    record: ObjectRecord | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CurrentObject:
    """The object at work in one plane; never changed, only replaced.

    Attributes
    ----------
    state : ObjectState or None
        What the network said; None without prompts.
    paint : Paint or None
        What the user painted, which holds against whatever the network says.
    origin : Origin or None
        The mask it was opened from, if it was.
    """

    state: ObjectState | None
    paint: Paint | None = None
    origin: Origin | None = None

    @classmethod
    def of(
        cls, state: ObjectState | None, paint: Paint | None, origin: Origin | None
    ) -> CurrentObject | None:
        """Return an object, or None if there is nothing to say of it."""
        return cls(state, paint, origin) if state or paint or origin else None

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All of its prompts."""
        return self.state.prompts if self.state else ()

    @property
    def score(self) -> float | None:
        """Intersection over union that is expected of its mask, 0 to 1; None if not known."""
        return None if self.state is None or np.isnan(self.state.score) else self.state.score

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return 64 + sum(part.nbytes for part in (self.state, self.paint) if part is not None)


def state_of_mask(
    prior: PriorMask,
    prompts: Sequence[Prompt],
    score: float | None,
    shape: tuple[int, int],
    view_size: int,
    policy: ViewPolicy,
    aspect: float = 1.0,
) -> ObjectState:
    """Return the state of an object whose mask is known, without asking the network.

    Parameters
    ----------
    prior : PriorMask
        The mask.
    prompts : sequence of Prompt
        What else is known of the object.
    score : float or None
        Expected intersection over union of the mask, if it is known.
    shape : (rows, cols)
        The image's.
    view_size : int
        Model pixels per side of a view.
    policy : ViewPolicy
        Numbers that decide on views.
    aspect : float
        Height of a pixel in its widths.
    """
    everything = (prior, *prompts)
    view = first_views(everything, shape, view_size, policy=policy, aspect=aspect)[0]
    known = prior_probability([prior], view)
    assert known is not None  # there is one prior
    logits = ((2 * known - 1) * _SURE_LOGIT).astype(np.float16)
    expected = float("nan") if score is None else score
    return ObjectState(everything, view, known.astype(np.float16), logits, None, expected)
