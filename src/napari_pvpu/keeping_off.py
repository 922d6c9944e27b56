"""Pixels that no object may gain, such as those that another labelling has given away."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_pvpu.errors import SessionError
from napari_pvpu.label_edits import LabelEdits
from napari_pvpu.operations import pack_array

__all__ = ["KeepingOff", "barred_pixels"]


class KeepingOff(LabelEdits):
    """A session whose objects keep off given pixels."""

    @property
    def keeps_off(self) -> bool:
        """Whether there are pixels that no object may gain."""
        return self._barred is not None

    def keep_off(self, occupied: Any) -> None:
        """Have no object gain certain pixels from now on.

        Accepted objects stay as they are. Whatever the overlap rule, a mask loses these pixels
        when it is accepted or edited, unless they are the object's already.

        Parameters
        ----------
        occupied : array, plane_shape + shape, or None
            Where it is not 0; None for nowhere.

        Raises
        ------
        SessionError
            If dtype or shape do not fit.
        """
        wanted = (*self.plane_shape, *self.shape)
        barred = None if occupied is None else barred_pixels(occupied, wanted)
        self._barred = barred
        self._note("keep_off", occupied=None if barred is None else pack_array(barred))


def barred_pixels(occupied: Any, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where labels are not 0, as an array of bool; safe in any thread.

    Raises
    ------
    SessionError
        If dtype or shape do not fit.
    """
    given = np.asarray(occupied)
    if given.dtype.kind not in "biu":
        raise SessionError(f"what to keep off is told by labels or a mask, not by {given.dtype}")
    if given.shape != shape:
        raise SessionError(
            f"labels of shape {given.shape} do not fit the image, whose planes give {shape}; pass "
            "labels of exactly that shape"
        )
    return np.array(given != 0)
