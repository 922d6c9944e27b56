"""One interaction: prompts in, the state of the object out.

Pure and safe in any thread: it reads the image and asks the network, nothing else. Which views
are looked through, in which order, and what is made of the answers is decided here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.corrections import confine, corrects, hold, known_before
from napari_pvpu.drawing import draw
from napari_pvpu.looks import best_look
from napari_pvpu.prompts import Box, Click, Polygon, Scribble, clip_bounds, joint_bounds
from napari_pvpu.records import Prediction
from napari_pvpu.view_choice import first_views, next_view
from napari_pvpu.view_grid import extent_for, view_around
from napari_pvpu.viewing import Viewing, half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.looks import Look
    from napari_pvpu.masks import MaskRules
    from napari_pvpu.predictor import Predictor
    from napari_pvpu.prompts import Bounds, Prompt
    from napari_pvpu.records import ObjectState, Request
    from napari_pvpu.source import ImageSource
    from napari_pvpu.view_choice import ViewPolicy

__all__ = ["Interaction"]

Halves = npt.NDArray[np.float16]


class Interaction:
    """The work of one request; make one, call `run`, throw it away.

    Parameters
    ----------
    source : ImageSource
        The image.
    predictor : Predictor
        The network behind its numpy interface.
    request : Request
        What is asked.
    policy : ViewPolicy
        Numbers that decide on views.
    rules : MaskRules
        Numbers that shape masks.
    """

    def __init__(
        self,
        source: ImageSource,
        predictor: Predictor,
        request: Request,
        policy: ViewPolicy,
        rules: MaskRules,
    ) -> None:
        self._source = source
        self._predictor = predictor
        self._request = request
        self._policy = policy
        self._rules = rules
        self._viewing = Viewing(source, predictor, request, rules)

    def run(self) -> Prediction:
        """Answer the request."""
        request, shape = self._request, self._source.shape
        state = drawing = None
        if request.prompts:
            look = self._complete(self._solve())
            state = look.state
            drawing = draw(look.settled, state.view, request.prompts, shape, request.threshold)
        return Prediction(request, state, drawing, self._viewing.timing)

    def _solve(self) -> Look:
        request, base = self._request, self._request.base
        if request.view is not None:
            carried = self._viewing.carried(base, request.view) if self._grown() else None
            return self._viewing.look(request.view, carried)
        if base is None:
            return self._review(self._first_look(None))
        if request.prompts == base.prompts:
            return self._viewing.judge(base)
        if self._grown() and all(map(_only_takes_out, request.prompts[len(base.prompts) :])):
            return self._viewing.judge(replace(base, prompts=request.prompts))
        if self._grown():
            return self._correct(base, self._review(self._explore(self._next_look(base))))
        # Prompts moved or went: what was fed back before may hold their traces, so start anew,
        # then once more with the answer, as if the prompts had come one after another.
        look = self._review(self._first_look(base))
        if len(request.prompts) > 1:
            view = look.state.view
            look = self._viewing.look(view, self._viewing.carried(look.state, view))
        return look

    def _complete(self, look: Look) -> Look:
        """Add EM value propagation where it is wanted and missing."""
        state = look.state
        if state.propagated is not None or not self._request.value_propagation:
            return look
        answer = self._viewing.decode(state.view, state.previous, True)
        assert answer.propagated is not None
        # What EM changes is added to the answer as it stands, with corrections confined.
        held = state.logits.astype(np.float32) - answer.logits
        return self._viewing.judge(replace(state, propagated=half(answer.propagated + held)))

    def _grown(self) -> bool:
        """Whether prompts were only added to those of the state before."""
        base = self._request.base
        return base is not None and self._request.prompts[: len(base.prompts)] == base.prompts

    def _next_look(self, base: ObjectState) -> Look:
        """Look again after prompts were added, through the same view if it holds them."""
        view = base.view
        if not view.contains(self._bounds(), self._policy.margin, self._source.shape):
            found, nowhere = self._viewing.judge(base).found, (False,) * 4
            view = next_view(view, found, nowhere, self._bounds(), self._source.shape, self._policy)
        return self._viewing.look(view, self._viewing.carried(base, view))

    def _correct(self, base: ObjectState, look: Look) -> Look:
        """Let new marks change the mask in their own direction and neighbourhood only.

        Polygons, prior masks and boxes around most of the mask say where the object ends as well
        as where it is: they are free.
        """
        state = look.state
        added = self._request.prompts[len(base.prompts) :]
        marks = [prompt for prompt in added if isinstance(prompt, Click | Scribble | Box)]
        if len({mark.positive for mark in marks}) != 1 or len(marks) < len(added):
            return look
        logits = self._corrected(state.logits, state, base.logits, base, marks)
        propagated = state.propagated
        if propagated is not None:
            before = base.logits if base.propagated is None else base.propagated
            propagated = self._corrected(propagated, state, before, base, marks)
        return self._viewing.judge(replace(state, logits=logits, propagated=propagated))

    def _corrected(
        self,
        answer: Halves,
        state: ObjectState,
        before: Halves,
        base: ObjectState,
        marks: Sequence[Click | Scribble | Box],
    ) -> Halves:
        """Correct one kind of logits by the same kind of the state before."""
        rules, threshold = self._rules, self._request.threshold
        old = known_before(self._viewing.settled(before, base), base.view, state.view)
        first = not any(isinstance(prompt, Click | Scribble | Box) for prompt in base.prompts)
        if not corrects(marks, old, state.view, threshold, first):
            return answer
        now = answer.astype(np.float32)
        if rules.hold:
            now = hold(now, old, marks[0].positive, threshold)
        now = confine(now, old, state.view, marks, len(state.prompts), threshold, rules)
        return now.clip(-6e4, 6e4).astype(np.float16)

    def _first_look(self, base: ObjectState | None) -> Look:
        """Look at an object of which only prompts are known, through the best of several views."""
        request, length = self._request, self._request.object_length
        shape = self._source.shape
        if base is not None:
            if base.view.contains(self._bounds(), self._policy.margin, shape):
                return self._viewing.look(base.view)
            length = self._viewing.judge(base).length or length
        views = first_views(
            request.prompts,
            shape,
            self._predictor.view_size,
            object_length=length,
            canvas_extent=request.canvas_extent,
            policy=self._policy,
            aspect=self._source.aspect,
        )
        looks: list[Look] = []
        for view in views:
            looks.append(self._viewing.look(view, propagate=False))
            best, sure = best_look(looks, self._policy, self._viewing.cut)
            if sure:
                break
        return best

    def _explore(self, look: Look) -> Look:
        """Look again at the scales beside while little is known and the answer is doubtful."""
        policy, state = self._policy, look.state
        if len(state.prompts) > policy.explored_prompts or state.score >= policy.explored_score:
            return look
        looks, shape, size = [look], self._source.shape, self._predictor.view_size
        box = look.found or self._bounds()
        center = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        for factor in (2.0, 0.5):
            extent = extent_for(state.view.extent * factor, 1.0, size)
            view = view_around(center, extent, size, shape, aspect=self._source.aspect)
            if view != state.view and view.contains(self._bounds(), policy.margin, shape):
                looks.append(self._viewing.look(view, propagate=False))
        return best_look(looks, policy, self._viewing.cut)[0]

    def _review(self, look: Look) -> Look:
        """Take new views until one fits the object found in it."""
        seen = {look.state.view}
        for _ in range(self._policy.max_reviews):
            view = next_view(
                look.state.view,
                self._known(look),
                look.touched,
                self._bounds(),
                self._source.shape,
                self._policy,
            )
            if view in seen:
                break
            seen.add(view)
            carried = self._viewing.carried(look.state, view) if self._policy.feed_reviews else None
            fresh = self._viewing.look(view, carried)
            if fresh.length < self._policy.lost_share * look.length:
                break  # the object was lost on the way: the view before is the better one
            look = fresh
        return look

    def _known(self, look: Look) -> Bounds | None:
        """Return the box of the mask found and of all positive prompts."""
        boxes = [p.bounds for p in self._request.prompts if getattr(p, "positive", True)]
        if look.found is not None:
            boxes.append(look.found)
        return clip_bounds(joint_bounds(boxes), self._source.shape) if boxes else None

    def _bounds(self) -> Bounds:
        bounds = joint_bounds(prompt.bounds for prompt in self._request.prompts)
        return clip_bounds(bounds, self._source.shape)


def _only_takes_out(prompt: Prompt) -> bool:
    """Whether a prompt changes nothing but what it encloses, for which no network is needed."""
    return isinstance(prompt, Polygon) and not prompt.positive
