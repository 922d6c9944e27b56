"""The mask without and with spreading of corrections (EM), next to each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_info

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.gestures import GESTURE_KEYS
from napari_pvpu.napari_side.reviewing import REVIEW_KEYS, Reviewing
from napari_pvpu.napari_side.telling import sentence, tell
from napari_pvpu.views import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.insight import PropagationComparison
    from napari_pvpu.session import Session
    from napari_pvpu.source import ImageSource

__all__ = ["HAND_KEYS", "Compared", "Comparing", "picture"]

HAND_KEYS = {**GESTURE_KEYS, **REVIEW_KEYS, "compare_propagation": "Shift-M"}
"""Keys of this and the classes it builds on, by the name of the method."""

SIDE = 320
"""Pixels per side of a picture."""
ROOM = 1.5
"""How much longer than the object the part of the image is that a picture shows."""

Pixels = npt.NDArray[np.uint8]
RIM = (26, 242, 217)
ADDED, REMOVED = (110, 220, 60), (235, 60, 160)
"""Colours of what EM adds and takes away."""


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Both masks, ready to be shown.

    Attributes
    ----------
    pictures : (array, array), (S, S, 3), uint8
        Of the part of the image around the object, without and with EM.
    added, removed : int
        Pixels of the image that EM adds and takes away.
    times : (float, float)
        Milliseconds that the answers take, without and with EM.
    """

    pictures: tuple[Pixels, Pixels]
    added: int
    removed: int
    times: tuple[float, float]


def picture(source: ImageSource, comparison: PropagationComparison) -> tuple[Pixels, Pixels]:
    """Draw both masks of a comparison over the image, the changed pixels tinted.

    Parameters
    ----------
    source : ImageSource
        Of one plane.
    comparison : PropagationComparison
        Of an object in it.
    """
    height, width = comparison.without.shape
    extent = max(round(max(height, width, 8) * ROOM), 16)
    row = comparison.row + height // 2 - extent // 2
    col = comparison.col + width // 2 - extent // 2
    pixels = np.nan_to_num(source.read_view(View(row, col, extent, SIDE)), nan=0.15)
    base = np.moveaxis(pixels, 0, -1).clip(0, 1) * 255
    at = np.floor((np.arange(SIDE) + 0.5) * extent / SIDE).astype(int)
    rows, cols = at + row - comparison.row, at + col - comparison.col
    known = ((rows >= 0) & (rows < height))[:, None] & ((cols >= 0) & (cols < width))
    grid = np.ix_(rows.clip(0, max(height - 1, 0)), cols.clip(0, max(width - 1, 0)))
    off, on = (
        known & mask[grid] if mask.size else np.zeros((SIDE, SIDE), bool)
        for mask in (comparison.without, comparison.propagated)
    )
    from scipy import ndimage  # in the worker, which gets here first

    drawn = []
    for mask in (off, on):
        out = base.copy()
        for where, color in ((on & ~off, ADDED), (off & ~on, REMOVED)):
            out[where] = 0.45 * out[where] + 0.55 * np.array(color)
        out[mask & ~ndimage.binary_erosion(mask, iterations=2)] = RIM
        drawn.append(out.astype(np.uint8))
    return drawn[0], drawn[1]


def _compare(
    question: Callable[[], PropagationComparison], source: ImageSource
) -> tuple[PropagationComparison, tuple[Pixels, Pixels]]:
    """Do all of it that takes time; for the worker's thread."""
    comparison = question()
    return comparison, picture(source, comparison)


class Comparing(Reviewing):
    """All of the above, and the comparison; see `Stage` for the parameters."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._compared: Compared | None = None
        self._compared_change: object = None
        self._comparing_live = False
        self.changed.connect(self._compare_again)

    @property
    def compared(self) -> Compared | None:
        """What the comparison asked for last has shown; None without one."""
        return self._compared

    def compare_propagation(self) -> None:
        """Compare the mask without and with spreading of corrections; `wait` in a script.

        It is done in the background, and again after each change until `stop_comparing`.
        """
        self._comparing_live = True
        session = self._session_with_object()
        if session is None:
            show_info("There is no mask to compare yet; mark an object first.")
        else:
            self._ask_comparison(session)
        self.changed.emit()

    @property
    def comparing(self) -> bool:
        """Whether the comparison is being kept up to date."""
        return self._comparing_live

    def stop_comparing(self) -> None:
        """Forget the comparison."""
        self._comparing_live, self._compared, self._compared_change = False, None, None
        self.changed.emit()

    def _session_with_object(self) -> Session | None:
        work = self._workspace
        session = work.session if work is not None else None
        if work is None or session is None or session.plane != work.frame.plane:
            return None
        return session if session.prompts and not work.waiting else None

    def _compare_again(self) -> None:
        session = self._session_with_object() if self._comparing_live else None
        if session is not None and session.last_change is not self._compared_change:
            self._ask_comparison(session)

    def _ask_comparison(self, session: Session) -> None:
        self._compared_change = session.last_change
        try:
            question = session.propagation_question()
        except PvpuError as error:
            show_info(sentence(error))
            return
        plane = session.plane
        source = session.source.at(plane) if plane else session.source
        done = partial(self._on_compared, session.last_change)
        self._worker.submit("compare", partial(_compare, question, source), done, tell)

    def _on_compared(
        self, change: object, found: tuple[PropagationComparison, tuple[Pixels, Pixels]]
    ) -> None:
        if not self._comparing_live or change is not self._compared_change:
            return
        comparison, pictures = found
        gained = comparison.propagated & comparison.changed
        self._compared = Compared(
            pictures,
            int(gained.sum()),
            int((comparison.changed & ~gained).sum()),
            (comparison.without_timing.total_ms, comparison.propagated_timing.total_ms),
        )
        self.changed.emit()
