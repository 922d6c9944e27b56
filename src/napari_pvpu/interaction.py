"""One interaction: prompts in, the state of the object out.

Pure and safe in any thread: it reads the image and asks the network, nothing else. Which views
are looked through, what is fed back to the network and in which order is decided here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_pvpu.corrections import confine, hold, known_before
from napari_pvpu.drawing import draw
from napari_pvpu.looks import Look, best_look
from napari_pvpu.masks import logit, outline, settle
from napari_pvpu.polygons import filled_in_view, told_of
from napari_pvpu.prompts import Click, Polygon, PriorMask, Scribble, clip_bounds, joint_bounds
from napari_pvpu.records import ObjectState, Prediction, RawPrediction, Timing
from napari_pvpu.view_changes import carry_probability, carry_raster, prior_probability
from napari_pvpu.view_choice import first_views, next_view
from napari_pvpu.view_grid import extent_for, view_around

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_pvpu.current_object import Paint
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.masks import MaskRules
    from napari_pvpu.prompts import Bounds, Prompt
    from napari_pvpu.propagation import CarrySettings, PropagationSettings
    from napari_pvpu.records import Request
    from napari_pvpu.source import ImageSource
    from napari_pvpu.view_choice import ViewPolicy
    from napari_pvpu.views import View

__all__ = ["Interaction", "Predictor", "draw_state"]

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]


class Predictor(Protocol):
    """What a session needs of a segmenter: numpy in, numpy out."""

    @property
    def view_size(self) -> int:
        """Model pixels per side of a view."""

    @property
    def propagation(self) -> PropagationSettings:
        """Settings handed to `decode` when EM value propagation is on."""

    def cached(self, key: Hashable) -> Any | None:
        """Return features kept under this key, or None."""

    def encode(self, view: Floats, key: Hashable | None = None) -> Any:
        """Return features of a view (3, S, S), NaN outside the image, and keep them."""

    def decode(
        self,
        features: Any,
        prompts: Sequence[Prompt],
        previous: Floats | None,
        propagation: PropagationSettings | None,
    ) -> RawPrediction:
        """Answer prompts in view coordinates, given the previous probability (S, S)."""

    def carry(
        self, known: Sequence[tuple[Any, Floats, float]], features: Any, settings: CarrySettings
    ) -> Floats:
        """Return the probability (S, S) that an object has, carried from known planes."""


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
        self._drawn = told_of(request.prompts, source.shape)
        self._priors = [p for p in request.prompts if isinstance(p, PriorMask)]
        self._polygons = [p for p in request.prompts if isinstance(p, Polygon)]
        self._encode_ms = self._decode_ms = self._em_ms = 0.0
        self._views: set[View] = set()
        self._cut = logit(request.threshold)

    def run(self) -> Prediction:
        """Answer the request."""
        request, shape, start = self._request, self._source.shape, time.perf_counter()
        state = drawing = None
        if request.prompts:
            look = self._complete(self._solve())
            state = look.state
            drawing = draw(look.settled, state.view, request.prompts, shape, request.threshold)
        timing = Timing(
            self._encode_ms, self._decode_ms, self._em_ms, _ms_since(start), len(self._views)
        )
        return Prediction(request, state, drawing, timing)

    def _solve(self) -> Look:
        request, base = self._request, self._request.base
        if request.view is not None:
            carried = self._carried(base, request.view) if self._grown() else None
            return self._look(request.view, self._fed(carried, request.view))
        if base is None:
            return self._review(self._first_look(None))
        if request.prompts == base.prompts:
            return self._judge(base)
        if self._grown() and all(map(_only_takes_out, request.prompts[len(base.prompts) :])):
            return self._judge(replace(base, prompts=request.prompts))
        if self._grown():
            return self._correct(base, self._review(self._explore(self._next_look(base))))
        # Prompts moved or went: what was fed back before may hold their traces, so start anew,
        # then once more with the answer, as if the prompts had come one after another.
        look = self._review(self._first_look(base))
        if len(request.prompts) > 1:
            view = look.state.view
            look = self._look(view, self._fed(self._carried(look.state, view), view))
        return look

    def _complete(self, look: Look) -> Look:
        """Add EM value propagation where it is wanted and missing."""
        state = look.state
        if state.propagated is not None or not self._request.value_propagation:
            return look
        answer = self._decode(state.view, state.previous, True)
        assert answer.propagated is not None
        # What EM changes is added to the answer as it stands, with corrections confined.
        held = state.logits.astype(np.float32) - answer.logits
        return self._judge(replace(state, propagated=_half(answer.propagated + held)))

    def _grown(self) -> bool:
        """Whether prompts were only added to those of the state before."""
        base = self._request.base
        return base is not None and self._request.prompts[: len(base.prompts)] == base.prompts

    def _next_look(self, base: ObjectState) -> Look:
        """Look again after prompts were added, through the same view if it holds them."""
        view = base.view
        if not view.contains(self._bounds(), self._policy.margin, self._source.shape):
            found, nowhere = self._judge(base).found, (False,) * 4
            view = next_view(view, found, nowhere, self._bounds(), self._source.shape, self._policy)
        return self._look(view, self._fed(self._carried(base, view), view))

    def _correct(self, base: ObjectState, look: Look) -> Look:
        """Let new marks change the mask in their own direction and neighbourhood only.

        Boxes, polygons and prior masks say where the object ends as well as where it is: they are
        free.
        """
        state = look.state
        added = self._request.prompts[len(base.prompts) :]
        marks = [prompt for prompt in added if isinstance(prompt, Click | Scribble)]
        if len({mark.positive for mark in marks}) != 1 or len(marks) < len(added):
            return look
        logits = self._corrected(state.logits, state, base.logits, base, marks)
        propagated = state.propagated
        if propagated is not None:
            before = base.logits if base.propagated is None else base.propagated
            propagated = self._corrected(propagated, state, before, base, marks)
        return self._judge(replace(state, logits=logits, propagated=propagated))

    def _corrected(
        self,
        answer: Halves,
        state: ObjectState,
        before: Halves,
        base: ObjectState,
        marks: Sequence[Click | Scribble],
    ) -> Halves:
        """Correct one kind of logits by the same kind of the state before."""
        rules, threshold = self._rules, self._request.threshold
        old = known_before(self._settled(before, base), base.view, state.view)
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
                return self._look(base.view, self._fed(None, base.view))
            length = self._judge(base).length or length
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
            looks.append(self._look(view, self._fed(None, view), propagate=False))
            best, sure = best_look(looks, self._policy, self._cut)
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
                looks.append(self._look(view, self._fed(None, view), propagate=False))
        return best_look(looks, policy, self._cut)[0]

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
            carried = self._carried(look.state, view) if self._policy.feed_reviews else None
            fresh = self._look(view, self._fed(carried, view))
            if fresh.length < self._policy.lost_share * look.length:
                break  # the object was lost on the way: the view before is the better one
            look = fresh
        return look

    def _look(self, view: View, previous: Halves | None, propagate: bool = True) -> Look:
        """Ask the network about a view, with EM if that is on and `propagate`."""
        answer = self._decode(view, previous, propagate and self._request.value_propagation)
        logits = _half(answer.logits)
        propagated = None if answer.propagated is None else _half(answer.propagated)
        return self._judge(
            ObjectState(self._request.prompts, view, previous, logits, propagated, answer.score)
        )

    def _judge(self, state: ObjectState) -> Look:
        """Find the object in an answer."""
        request, shape = self._request, self._source.shape
        settled = self._settled(state.shown(request.value_propagation), state)
        found, touched = outline(settled, state.view, shape, request.threshold)
        return Look(state, settled, found, touched)

    def _settled(self, logits: Halves, state: ObjectState) -> Floats:
        """Settle logits in the view of a state, by its prompts."""
        threshold, shape = self._request.threshold, self._source.shape
        return settle(logits, state.view, state.prompts, shape, threshold, self._rules)

    def _decode(self, view: View, previous: Halves | None, propagate: bool) -> RawPrediction:
        answer = self._predictor.decode(
            self._features(view),
            [view.prompt_to_view(prompt) for prompt in self._drawn],
            None if previous is None else previous.astype(np.float32),
            self._predictor.propagation if propagate else None,
        )
        self._decode_ms += answer.decode_ms
        self._em_ms += answer.em_ms
        return answer

    def _features(self, view: View) -> Any:
        self._views.add(view)
        key = (self._source.token, view)
        features = self._predictor.cached(key)
        if features is None:
            pixels = self._source.read_view(view)
            start = time.perf_counter()
            features = self._predictor.encode(pixels, key)
            self._encode_ms += _ms_since(start)
        return features

    def _carried(self, base: ObjectState | None, view: View) -> Floats | None:
        if base is None:
            return None
        shown = base.shown(self._request.value_propagation)
        return carry_probability(shown, base.view, view)

    def _fed(self, carried: Floats | None, view: View) -> Halves | None:
        """Join what was seen before with the prior masks, at the precision that is kept."""
        prior = prior_probability(self._priors, view)
        known = [each for each in (carried, prior) if each is not None]
        shown = [filled_in_view(p.path, view) for p in self._polygons if p.positive]
        known += [each.astype(np.float32) for each in shown]
        fed = np.maximum.reduce(known) if known else None
        for polygon in self._polygons:
            if fed is not None and not polygon.positive:
                fed = np.where(filled_in_view(polygon.path, view), 0, fed).astype(np.float32)
        if self._request.paint is not None:
            fed = _painted(fed, self._request.paint, view)
        return None if fed is None else fed.astype(np.float16)

    def _known(self, look: Look) -> Bounds | None:
        """Return the box of the mask found and of all positive prompts."""
        boxes = [p.bounds for p in self._request.prompts if getattr(p, "positive", True)]
        if look.found is not None:
            boxes.append(look.found)
        return clip_bounds(joint_bounds(boxes), self._source.shape) if boxes else None

    def _bounds(self) -> Bounds:
        bounds = joint_bounds(prompt.bounds for prompt in self._request.prompts)
        return clip_bounds(bounds, self._source.shape)


def draw_state(
    state: ObjectState,
    shape: tuple[int, int],
    value_propagation: bool,
    threshold: float,
    rules: MaskRules,
    smoothing: float = 0.0,
) -> Drawing | None:
    """Draw the object of a state into an image of this shape; None if it has no pixel."""
    logits = state.shown(value_propagation)
    settled = settle(logits, state.view, state.prompts, shape, threshold, rules)
    return draw(settled, state.view, state.prompts, shape, threshold, smoothing)


def _painted(fed: Floats | None, paint: Paint, view: View) -> Floats:
    """Put what the user painted and erased over what is fed to the network."""
    origin = (paint.row, paint.col)
    added, erased = (carry_raster(paint.values == sign, origin, view) for sign in (1, -1))
    known = np.zeros_like(added) if fed is None else fed
    return np.asarray(np.maximum(known * (1 - erased), added), np.float32)


def _only_takes_out(prompt: Prompt) -> bool:
    """Whether a prompt changes nothing but what it encloses, for which no network is needed."""
    return isinstance(prompt, Polygon) and not prompt.positive


def _half(logits: Floats) -> Halves:
    """Round to float16; beyond 60,000 a logit says nothing new."""
    return logits.clip(-6e4, 6e4).astype(np.float16)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
