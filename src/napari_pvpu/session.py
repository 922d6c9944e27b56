"""One image, prompts in, masks out.

A session knows no screen and no network: it keeps what the user said and what came of it, and
hands out what changed. All methods but `Session.compute` belong to one thread, its owner's.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import PromptError, SessionError
from napari_pvpu.history import History, LabelDelta
from napari_pvpu.interaction import Interaction, draw_state
from napari_pvpu.masks import MaskRules
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble, clip_bounds
from napari_pvpu.records import ChangedRegion, ObjectRecord, Request, Timing
from napari_pvpu.views import ViewPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_pvpu.interaction import Predictor
    from napari_pvpu.masks import Drawing
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import ObjectState, Prediction
    from napari_pvpu.source import ImageSource
    from napari_pvpu.views import View

__all__ = ["ChangedRegion", "ObjectRecord", "Session"]

MOST_OBJECTS = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True, eq=False)
class _Accepted:
    object_id: int
    record: ObjectRecord
    delta: LabelDelta


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A step of the history: the current object before and after, and what was accepted."""

    before: ObjectState | None
    after: ObjectState | None
    accepted: _Accepted | None = None

    @property
    def nbytes(self) -> int:
        # `before` is the `after` of the step before and not held twice.
        held = [self.after, self.accepted.delta if self.accepted else None]
        return 128 + sum(part.nbytes for part in held if part is not None)


class Session:
    """Interactive segmentation of one image, object by object.

    Made by `Segmenter.open`.

    Parameters
    ----------
    source : ImageSource
        The image.
    predictor : Predictor
        The network behind its numpy interface.
    policy : ViewPolicy, optional
        Numbers that decide on views.
    rules : MaskRules, optional
        Numbers that shape masks.
    """

    def __init__(
        self,
        source: ImageSource,
        predictor: Predictor,
        *,
        policy: ViewPolicy | None = None,
        rules: MaskRules | None = None,
    ) -> None:
        self._source = source
        self._predictor = predictor
        self._policy = policy or ViewPolicy()
        self._rules = rules or MaskRules()
        self._state: ObjectState | None = None
        self._drawing: Drawing | None = None
        self._history: History[_Step] = History()
        self._objects: dict[int, ObjectRecord] = {}
        self._labels: npt.NDArray[np.uint16] | None = None
        self._generation = 0
        self._value_propagation = False
        self._threshold = 0.5
        self._canvas_extent: float | None = None
        self._timing = Timing()
        self._change: ChangedRegion | None = None

    # What is there

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self._source.shape

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts of the current object."""
        return self._state.prompts if self._state else ()

    @property
    def score(self) -> float | None:
        """Intersection over union that the network expects of the current mask, 0 to 1."""
        return self._state.score if self._state else None

    @property
    def view(self) -> View | None:
        """View through which the current object was seen last."""
        return self._state.view if self._state else None

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The current object, (H, W) bool; made anew at each call."""
        out = np.zeros(self.shape, bool)
        if self._drawing is not None:
            out[_slices(self._drawing.box)] = self._drawing.mask
        return out

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Probability of the current object, (H, W) float32; made anew at each call.

        Zero away from the object.
        """
        out = np.zeros(self.shape, np.float32)
        if self._drawing is not None:
            out[_slices(self._drawing.box)] = self._drawing.probability
        return out

    @property
    def region(self) -> ChangedRegion:
        """The current object over its box, which is of no size if there is no object."""
        return self._region_of(self._drawing.box if self._drawing else None)

    @property
    def labels(self) -> npt.NDArray[np.uint16]:
        """Accepted objects, (H, W) uint16, 0 where there is none; a read-only view."""
        view = self._writable_labels().view()
        view.flags.writeable = False
        return view

    @property
    def objects(self) -> Mapping[int, ObjectRecord]:
        """Accepted objects by id, read-only."""
        return MappingProxyType(self._objects)

    @property
    def last_timing(self) -> Timing:
        """What the last interaction took."""
        return self._timing

    @property
    def last_change(self) -> ChangedRegion | None:
        """What the last call that changed something changed; None at first."""
        return self._change

    # Prompts

    def add(self, prompt: Prompt) -> ChangedRegion:
        """Add a prompt to the current object and predict.

        Raises
        ------
        PromptError
            If the prompt lies outside the image.
        """
        return self.set_prompts((*self.prompts, prompt))

    def set_prompts(
        self, prompts: Sequence[Prompt], view_hint: View | None = None
    ) -> ChangedRegion:
        """Replace the prompts of the current object and predict.

        Parameters
        ----------
        prompts : sequence of Prompt
            All of them. If they begin with those there are, the mask so far is fed back to the
            network; else they are replayed from the start.
        view_hint : View, optional
            Look through this view and no other.

        Raises
        ------
        PromptError
            If a prompt lies outside the image.
        """
        region = self.commit(self.compute(self.request(prompts, view_hint)))
        assert region is not None  # nothing can have come between
        return region

    def request(
        self,
        prompts: Sequence[Prompt],
        view_hint: View | None = None,
        *,
        value_propagation: bool | None = None,
    ) -> Request:
        """First of three steps: write down what is asked. Makes older requests stale.

        Parameters
        ----------
        prompts, view_hint
            As for `set_prompts`.
        value_propagation : bool, optional
            Turn the EM switch with this request; it is set when the answer is committed.

        Raises
        ------
        PromptError
            If a prompt lies outside the image.
        """
        prompts = tuple(prompts)
        for prompt in prompts:
            _check_inside(prompt, self.shape)
        self._generation += 1
        return Request(
            generation=self._generation,
            prompts=prompts,
            base=self._state,
            value_propagation=(
                self._value_propagation if value_propagation is None else bool(value_propagation)
            ),
            threshold=self._threshold,
            object_length=self._last_object_length(),
            canvas_extent=self._canvas_extent,
            view=view_hint,
        )

    def compute(self, request: Request) -> Prediction:
        """Second of three steps: run the network. Changes nothing, may run in any thread."""
        work = Interaction(self._source, self._predictor, request, self._policy, self._rules)
        return work.run()

    def is_current(self, request: Request) -> bool:
        """Tell whether an answer to this request would still be taken."""
        return request.generation == self._generation

    def commit(self, prediction: Prediction) -> ChangedRegion | None:
        """Last of three steps: take the answer, in the owner's thread.

        Returns
        -------
        ChangedRegion or None
            None, and nothing happens, if something newer was asked or done in the meantime.
        """
        request, state = prediction.request, prediction.state
        if not self.is_current(request):
            return None
        drawing = prediction.drawing
        if state is not None and request.threshold != self._threshold:
            drawing = self._draw(state, request.value_propagation, self._threshold)
        self._generation += 1
        self._timing = prediction.timing
        if self.prompts != request.prompts:
            self._history.push(_Step(self._state, state))
        self._value_propagation = request.value_propagation
        return self._show(state, drawing)

    # Steps

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to make again."""
        return self._history.can_redo

    def undo(self) -> ChangedRegion | None:
        """Take the last step back: prompts, a reset, or an acceptance; None if there is none."""
        step = self._history.last_done
        if step is None:
            return None
        state, drawing = self._drawn(step.before)
        self._generation += 1
        self._history.undo()
        if step.accepted:
            del self._objects[step.accepted.object_id]
            step.accepted.delta.revert(self._writable_labels())
        return self._show(state, drawing, step.accepted)

    def redo(self) -> ChangedRegion | None:
        """Make the step last undone again; None if there is none."""
        step = self._history.last_undone
        if step is None:
            return None
        state, drawing = self._drawn(step.after)
        self._generation += 1
        self._history.redo()
        if step.accepted:
            self._objects[step.accepted.object_id] = step.accepted.record
            step.accepted.delta.apply(self._writable_labels())
        return self._show(state, drawing, step.accepted)

    def reset(self) -> ChangedRegion:
        """Drop the current object; can be undone."""
        self._generation += 1
        if self._state is not None:
            self._history.push(_Step(self._state, None))
        return self._show(None, None)

    def accept(self) -> int:
        """Keep the current object and begin the next.

        Pixels of objects accepted before stay theirs.

        Returns
        -------
        int
            The object's id, its value in `labels`.

        Raises
        ------
        SessionError
            If there is no object, it lies wholly within others, or there are no ids left.
        """
        if self._drawing is None or self._state is None:
            raise SessionError("there is no object to accept; add a positive prompt first")
        object_id = max(self._objects, default=0) + 1
        if object_id > MOST_OBJECTS:
            raise SessionError(
                f"a session holds {MOST_OBJECTS} objects at most; save the labels and open another"
            )
        drawing = self._drawing
        before = self._writable_labels()[_slices(drawing.box)]
        after = np.where(drawing.mask & (before == 0), np.uint16(object_id), before)
        own = after != before
        if not own.any():
            raise SessionError(
                "the object lies wholly within accepted ones, whose pixels stay theirs; undo "
                "those or mark another"
            )
        record = ObjectRecord(self._state.prompts, self._state.score, _tight_box(drawing, own))
        delta = LabelDelta.between(drawing.row, drawing.col, before, after)
        accepted = _Accepted(object_id, record, delta)
        self._generation += 1
        self._history.push(_Step(self._state, None, accepted))
        delta.apply(self._writable_labels())
        self._objects[object_id] = record
        self._show(None, None, accepted)
        return object_id

    # Settings

    @property
    def value_propagation(self) -> bool:
        """The EM switch; setting it changes the mask (see `last_change`)."""
        return self._value_propagation

    @value_propagation.setter
    def value_propagation(self, on: bool) -> None:
        if bool(on) == self._value_propagation:
            return
        self.commit(self.compute(self.request(self.prompts, value_propagation=on)))

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the object, between 0 and 1.

        Setting it changes the mask (see `last_change`) without running the network.

        Raises
        ------
        SessionError
            On setting it to a value that is not between 0 and 1.
        """
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        if not 0 < value < 1:
            raise SessionError(f"the threshold has to lie between 0 and 1, not at {value}")
        state, drawing = self._drawn(self._state, value)
        self._threshold = float(value)
        self._show(state, drawing)

    @property
    def canvas_extent(self) -> float | None:
        """Data pixels visible on the short side of the canvas, a hint for the first view.

        Raises
        ------
        SessionError
            On setting it to a value that is not positive.
        """
        return self._canvas_extent

    @canvas_extent.setter
    def canvas_extent(self, value: float | None) -> None:
        if value is not None and not 0 < value < float("inf"):
            raise SessionError(f"the canvas extent has to be a positive number, not {value}")
        self._canvas_extent = value

    # Inside

    def _drawn(
        self, state: ObjectState | None, threshold: float | None = None
    ) -> tuple[ObjectState | None, Drawing | None]:
        """Return a state and its drawing, with EM if that is on and was not computed yet."""
        if state is None:
            return None, None
        threshold = self._threshold if threshold is None else threshold
        if self._value_propagation and state.propagated is None:
            request = Request(self._generation, state.prompts, state, True, threshold)
            prediction = self.compute(request)
            return prediction.state, prediction.drawing
        return state, self._draw(state, self._value_propagation, threshold)

    def _draw(
        self, state: ObjectState, value_propagation: bool, threshold: float
    ) -> Drawing | None:
        return draw_state(state, self.shape, value_propagation, threshold, self._rules)

    def _show(
        self,
        state: ObjectState | None,
        drawing: Drawing | None,
        accepted: _Accepted | None = None,
    ) -> ChangedRegion:
        """Take a new state with its drawing; return the region in which anything changed."""
        boxes = [each.box for each in (self._drawing, drawing) if each is not None]
        if accepted:
            rows, cols = accepted.delta.slices
            boxes.append((rows.start, cols.start, rows.stop, cols.stop))
        self._state, self._drawing = state, drawing
        self._change = self._region_of(_union(boxes), with_labels=accepted is not None)
        return self._change

    def _region_of(
        self, box: tuple[int, int, int, int] | None, with_labels: bool = False
    ) -> ChangedRegion:
        """Return the current state of a part of the image."""
        row0, col0, row1, col1 = box or (0, 0, 0, 0)
        mask = np.zeros((row1 - row0, col1 - col0), bool)
        probability = np.zeros(mask.shape, np.float32)
        if self._drawing is not None:
            top, left, bottom, right = self._drawing.box
            inner = (slice(top - row0, bottom - row0), slice(left - col0, right - col0))
            mask[inner] = self._drawing.mask
            probability[inner] = self._drawing.probability
        labels = None
        if with_labels:
            labels = self._writable_labels()[row0:row1, col0:col1].copy()
        return ChangedRegion(row0, col0, mask, probability, labels)

    def _writable_labels(self) -> npt.NDArray[np.uint16]:
        if self._labels is None:
            # Zeroed pages come from the system when they are first written: this costs nothing.
            self._labels = np.zeros(self.shape, np.uint16)
        return self._labels

    def _last_object_length(self) -> float | None:
        if not self._objects:
            return None
        row0, col0, row1, col1 = self._objects[max(self._objects)].box
        return float(max(row1 - row0, col1 - col0))


def _check_inside(prompt: Prompt, shape: tuple[int, int]) -> None:
    """Raise unless a prompt has something in common with the image."""
    if not isinstance(prompt, Click | Scribble | Box | PriorMask):
        raise PromptError(
            f"a prompt is a Click, Scribble, Box or PriorMask, not {type(prompt).__name__}"
        )
    height, width = shape
    row0, col0, row1, col1 = prompt.bounds
    outside = row1 < -0.5 or col1 < -0.5 or row0 > height - 0.5 or col0 > width - 0.5
    if isinstance(prompt, Box):  # one that only touches the rim has no area inside
        row0, col0, row1, col1 = clip_bounds(prompt.bounds, shape)
        outside = row0 >= row1 or col0 >= col1
    if outside:
        raise PromptError(
            f"{prompt} lies outside the image, whose rows are 0 to {height - 1} and columns 0 to "
            f"{width - 1}; positions are (row, col) in data pixels"
        )


def _slices(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    return (slice(box[0], box[2]), slice(box[1], box[3]))


def _union(boxes: Sequence[tuple[int, int, int, int]]) -> tuple[int, int, int, int] | None:
    if not boxes:
        return None
    row0, col0, row1, col1 = zip(*boxes, strict=True)
    return (min(row0), min(col0), max(row1), max(col1))


def _tight_box(drawing: Drawing, own: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Box of the pixels that an object was given."""
    rows, cols = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    return (
        drawing.row + int(rows[0]),
        drawing.col + int(cols[0]),
        drawing.row + int(rows[-1]) + 1,
        drawing.col + int(cols[-1]) + 1,
    )
