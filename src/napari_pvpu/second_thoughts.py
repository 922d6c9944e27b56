"""What a session can tell about its own masks, and the way back to a better one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import SessionError
from napari_pvpu.history import Step
from napari_pvpu.insight import PropagationComparison, agreement_with, hint, uncertainty
from napari_pvpu.prompts import Click
from napari_pvpu.records import Request, Timing
from napari_pvpu.rendering import joint_box, paste
from napari_pvpu.session_steps import SessionSteps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_pvpu.current_object import CurrentObject
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.records import ChangedRegion, ObjectState

__all__ = ["SecondThoughts"]

THINNEST = 1.5
"""Model pixels, and data pixels, that a doubtful place is deep at least to be worth a click."""


class SecondThoughts(SessionSteps):
    """A session that knows how sure it is."""

    @property
    def uncertainty(self) -> npt.NDArray[np.float32]:
        """Uncertainty of the current object over the box of `region`, (h, w) float32.

        1 where the probability is one half, 0 where it is 0 or 1.
        """
        return uncertainty(self.region.probability)

    def next_click_hint(self) -> Click | None:
        """Return the click that would tell most about the current object, as a correction.

        Positive where the mask leaves a doubtful place out, negative where it holds one.

        Returns
        -------
        Click or None
            None if there is no object or nothing doubtful but its outline.
        """
        current, drawing = self._current, self._drawing
        if current is None or drawing is None:
            return None
        spacing = 1.0 if current.state is None else max(*current.state.view.spacing, 1.0)
        found = hint(drawing.probability, drawing.mask, THINNEST * spacing)
        if found is None:
            return None
        row, col, positive = found
        return Click((drawing.row + row, drawing.col + col), positive)

    @property
    def best(self) -> ChangedRegion | None:
        """The mask of the current object, so far, that agrees best with all of its prompts.

        None if there is no object that the network has answered.
        """
        current = self._best()
        if current is None:
            return None
        drawing = self._render(current, self._plane, self._settings)
        return self._region_of(self._plane, drawing, drawing.box if drawing else None)

    def return_to_best(self) -> ChangedRegion:
        """Take the best mask so far; all prompts stay. Can be undone.

        Raises
        ------
        SessionError
            If there is no object that the network has answered.
        """
        current, best = self._current, self._best()
        if current is None or best is None:
            raise SessionError("there is no mask to return to; add a prompt first")
        if best is current:
            return self._region_of(self._plane, self._drawing, None)
        after, drawing = self._drawn(best, self._plane, self._settings)
        self._touch(self._plane)
        step = Step("Return to best", self._plane, current, after)
        region = self._perform(step, drawing)
        self._note("return_to_best")
        return region

    def compare_propagation(self) -> PropagationComparison:
        """Show the current object without and with EM value propagation. Changes nothing.

        Raises
        ------
        SessionError
            If there is no object that the network has answered.
        """
        return self.propagation_question()()

    def propagation_question(self) -> Callable[[], PropagationComparison]:
        """Return what `compare_propagation` does, to be called in any thread.

        It is about the object, and by the settings, of now.

        Raises
        ------
        SessionError
            If there is no object that the network has answered.
        """
        current = self._current
        if current is None or current.state is None:
            raise SessionError("there is no mask to compare; add a prompt first")
        return partial(self._compared, current, current.state, self._request_again(current))

    def _compared(
        self, current: CurrentObject, known: ObjectState, request: Request
    ) -> PropagationComparison:
        # Asked afresh for the timings, and for the answer if it is not known yet.
        fresh = self.compute(replace(request, base=replace(known, propagated=None)))
        assert fresh.state is not None  # there are prompts
        state = known if known.propagated is not None else fresh.state
        seen = replace(current, state=state)
        drawings = [
            self._render(seen, request.plane, replace(request.settings, value_propagation=on))
            for on in (False, True)
        ]
        return _comparison(drawings, fresh.timing)

    def _request_again(self, current: CurrentObject) -> Request:
        assert current.state is not None
        settings = self._settings
        return Request(
            generation=self._generation,
            prompts=current.state.prompts,
            base=current.state,
            value_propagation=True,
            threshold=settings.threshold,
            plane=self._plane,
            smoothing=settings.smoothing,
            min_size=settings.min_size,
            paint=current.paint,
            origin=current.origin,
        )

    def _best(self) -> CurrentObject | None:
        """Return the current object with the best answer so far."""
        current = self._current
        if current is None or current.state is None:
            return None
        prompts, best = current.prompts, current.state
        highest = agreement_with(best, prompts, self._settings)
        for state in self._answers():
            agreement = agreement_with(state, prompts, self._settings)
            if agreement > highest + 1e-9:
                highest, best = agreement, state
        if best is current.state:
            return current
        return replace(current, state=replace(best, prompts=prompts))

    def _answers(self) -> Iterator[ObjectState]:
        """Yield earlier answers about the current object, the newest first."""
        for step in reversed(self._history.steps[: len(self._history)]):
            if step.plane != self._plane:
                continue
            if step.after is None or step.before is None:
                return  # it began here
            if step.before.state is not None:
                yield step.before.state


def _comparison(drawings: list[Drawing | None], timing: Timing) -> PropagationComparison:
    boxes = [drawing.box for drawing in drawings if drawing is not None]
    row0, col0, row1, col1 = joint_box(boxes) or (0, 0, 0, 0)
    masks = []
    for drawing in drawings:
        mask = np.zeros((row1 - row0, col1 - col0), bool)
        if drawing is not None:
            paste(drawing.mask, (drawing.row, drawing.col), mask, (row0, col0))
        masks.append(mask)
    without, propagated = masks
    # EM may have been computed after its answer, whose total knows nothing of it then.
    known = timing.encode_ms + timing.decode_ms
    plain = replace(timing, em_ms=0.0, total_ms=max(timing.total_ms - timing.em_ms, known))
    timing = replace(timing, total_ms=plain.total_ms + timing.em_ms)
    return PropagationComparison(
        row0, col0, without, propagated, without != propagated, plain, timing
    )
