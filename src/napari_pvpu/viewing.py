"""What one request shows the network, what comes back, and how long it took.

Which views are looked through, and in which order, is for `interaction` to say.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.looks import Look
from napari_pvpu.masks import logit, outline, settle
from napari_pvpu.polygons import filled_in_view, told_of
from napari_pvpu.prompts import Polygon, PriorMask
from napari_pvpu.records import ObjectState, Timing
from napari_pvpu.view_changes import carry_probability, carry_raster, prior_probability

if TYPE_CHECKING:
    from napari_pvpu.current_object import Paint
    from napari_pvpu.masks import MaskRules
    from napari_pvpu.predictor import Predictor
    from napari_pvpu.records import RawPrediction, Request
    from napari_pvpu.source import ImageSource
    from napari_pvpu.views import View

__all__ = ["Viewing", "half"]

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]


class Viewing:
    """Looks at one image for one request.

    Parameters
    ----------
    source : ImageSource
        The image.
    predictor : Predictor
        The network behind its numpy interface.
    request : Request
        What is asked.
    rules : MaskRules
        Numbers that shape masks.

    Attributes
    ----------
    cut : float
        Logit above which a pixel belongs to the object.
    """

    def __init__(
        self, source: ImageSource, predictor: Predictor, request: Request, rules: MaskRules
    ) -> None:
        self._source = source
        self._predictor = predictor
        self._request = request
        self._rules = rules
        self._drawn = told_of(request.prompts, source.shape)
        self._priors = [p for p in request.prompts if isinstance(p, PriorMask)]
        self._polygons = [p for p in request.prompts if isinstance(p, Polygon)]
        self._start = time.perf_counter()
        self._encode_ms = self._decode_ms = self._em_ms = 0.0
        self._views: set[View] = set()
        self.cut = logit(request.threshold)

    @property
    def timing(self) -> Timing:
        """What was spent since this was made."""
        return Timing(
            self._encode_ms, self._decode_ms, self._em_ms, _ms_since(self._start), len(self._views)
        )

    def look(self, view: View, carried: Floats | None = None, propagate: bool = True) -> Look:
        """Ask the network about a view.

        Parameters
        ----------
        view : View
            The view.
        carried : array, (S, S), float32, optional
            Probability of the object in this view as it was seen before, see `carried`.
        propagate : bool
            Whether EM runs too, if the request asks for it.
        """
        previous = self._fed(carried, view)
        answer = self.decode(view, previous, propagate and self._request.value_propagation)
        logits = half(answer.logits)
        propagated = None if answer.propagated is None else half(answer.propagated)
        return self.judge(
            ObjectState(self._request.prompts, view, previous, logits, propagated, answer.score)
        )

    def judge(self, state: ObjectState) -> Look:
        """Find the object in an answer."""
        request, shape = self._request, self._source.shape
        settled = self.settled(state.shown(request.value_propagation), state)
        found, touched = outline(settled, state.view, shape, request.threshold)
        return Look(state, settled, found, touched)

    def settled(self, logits: Halves, state: ObjectState) -> Floats:
        """Settle logits in the view of a state, by its prompts."""
        threshold, shape = self._request.threshold, self._source.shape
        return settle(logits, state.view, state.prompts, shape, threshold, self._rules)

    def decode(self, view: View, previous: Halves | None, propagate: bool) -> RawPrediction:
        """Return the network's answer to the request's prompts in a view."""
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

    def carried(self, base: ObjectState | None, view: View) -> Floats | None:
        """Return the probability (S, S) that a state gives the object, as a view shows it."""
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


def _painted(fed: Floats | None, paint: Paint, view: View) -> Floats:
    """Put what the user painted and erased over what is fed to the network."""
    origin = (paint.row, paint.col)
    added, erased = (carry_raster(paint.values == sign, origin, view) for sign in (1, -1))
    known = np.zeros_like(added) if fed is None else fed
    return np.asarray(np.maximum(known * (1 - erased), added), np.float32)


def half(logits: Floats) -> Halves:
    """Round to float16; beyond 60,000 a logit says nothing new."""
    return logits.clip(-6e4, 6e4).astype(np.float16)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
