"""Prompts in, masks out: what a session does with the network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_pvpu.current_object import CurrentObject
from napari_pvpu.errors import PromptError
from napari_pvpu.history import Step
from napari_pvpu.insight import notice_of
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble, clip_bounds
from napari_pvpu.records import ChangedRegion, Request
from napari_pvpu.session_steps import SessionSteps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.current_object import Paint
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane, Prediction
    from napari_pvpu.session_settings import SessionSettings
    from napari_pvpu.views import View

__all__ = ["Prompting", "prompts_title"]


class Prompting(SessionSteps):
    """A session that answers prompts."""

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
        return self._answered(self.request(prompts, view_hint))

    def request(
        self,
        prompts: Sequence[Prompt],
        view_hint: View | None = None,
        *,
        value_propagation: bool | None = None,
        plane: Plane | None = None,
    ) -> Request:
        """First of three steps: write down what is asked.

        Makes older requests about the same plane stale.

        Parameters
        ----------
        prompts, view_hint
            As for `set_prompts`.
        value_propagation : bool, optional
            Turn the EM switch with this request; it is set when the answer is committed.
        plane : tuple of int, optional
            The plane that is asked about; by default the one at work.

        Raises
        ------
        PromptError
            If a prompt lies outside the image.
        SessionError
            If there is no such plane.
        """
        prompts = tuple(prompts)
        plane = self._plane if plane is None else self._check_plane(plane)
        for prompt in prompts:
            _check_inside(prompt, self._grid.shape(plane))
        current, settings = self._currents.get(plane), self._settings
        origin = current.origin if current else None
        base = current.state if current else None
        if origin is not None and prompts == origin.state.prompts:
            base = origin.state  # back to where it was opened
        em = settings.value_propagation if value_propagation is None else bool(value_propagation)
        return Request(
            generation=self._touch(plane),
            prompts=prompts,
            base=base,
            value_propagation=em,
            threshold=settings.threshold,
            object_length=self._last_object_length(),
            canvas_extent=self._canvas_extent,
            view=view_hint,
            plane=plane,
            smoothing=settings.smoothing,
            min_size=settings.min_size,
            paint=current.paint if current else None,
            origin=origin,
        )

    def _answered(self, request: Request) -> ChangedRegion:
        """Do what remains of a request at once."""
        region = self.commit(self.compute(request))
        assert region is not None  # nothing can have come between
        return region

    def is_current(self, request: Request) -> bool:
        """Tell whether an answer to this request would still be taken."""
        return request.generation == self._newest.get(request.plane)

    def commit(self, prediction: Prediction) -> ChangedRegion | None:
        """Last of three steps: take the answer, in the owner's thread.

        Returns
        -------
        ChangedRegion or None
            None, and nothing happens, if something newer was asked or done in the meantime. In
            the plane that was asked about, even if another is at work by now.
        """
        request = prediction.request
        if not self.is_current(request):
            return None
        before = self._currents.get(request.plane)
        paint, origin = (before.paint, before.origin) if before else (None, None)
        after = CurrentObject.of(prediction.state, paint, origin)
        settings = replace(self._settings, value_propagation=request.value_propagation)
        drawing = prediction.drawing
        if settings != request.settings or paint is not request.paint:
            drawing = self._render(after, request.plane, settings)
        self._touch(request.plane)
        self._timing = prediction.timing
        known = before.prompts if before else ()
        region = self._commit(request, before, after, settings, drawing)
        self._note_prompts(request, known, paint)
        return region

    def _commit(
        self,
        request: Request,
        before: CurrentObject | None,
        after: CurrentObject | None,
        settings: SessionSettings,
        drawing: Drawing | None,
    ) -> ChangedRegion:
        old, plane = self._settings, request.plane
        known = before.prompts if before else ()
        notice = None
        if request.prompts != known:
            title = prompts_title(known, request.prompts)
            shown = self._drawing if plane == self._plane else None
            notice = notice_of(before, after, shown, drawing, settings)
        elif settings != old and (before is not None or self._history.steps):
            title = settings.title("value_propagation")
        else:
            self._settings = settings
            return self._show(plane, after, drawing)
        change = (old, settings) if settings != old else None
        return self._perform(Step(title, plane, before, after, change), drawing, notice)

    def _note_prompts(
        self, request: Request, known: tuple[Prompt, ...], paint: Paint | None
    ) -> None:
        """Note an interaction with all that it depended on, prompts known before left out."""
        keep = 0
        for old, new in zip(known, request.prompts, strict=False):
            if old != new:
                break
            keep += 1
        view = request.view
        late: dict[str, Any] = {}
        if request.paint is not paint:  # painted while the network was at it
            late["paint"] = None if request.paint is None else request.paint.values
            late["paint_offset"] = (
                None if request.paint is None else [request.paint.row, request.paint.col]
            )
        self._note(
            "prompts",
            plane=list(request.plane),
            keep=keep,
            prompts=list(request.prompts[keep:]),
            value_propagation=request.value_propagation,
            threshold=request.threshold,
            object_length=request.object_length,
            canvas_extent=request.canvas_extent,
            view=None if view is None else _told(view),
            **late,
        )

    def _last_object_length(self) -> float | None:
        if not self._objects:
            return None
        row0, col0, row1, col1 = self._objects[max(self._objects)].box
        return float(max(row1 - row0, col1 - col0))


def _told(view: View) -> list[float]:
    """Return the arguments that make a view."""
    told: list[float] = [view.row, view.col, view.extent, view.size]
    return told if view.aspect == 1 else [*told, view.aspect]


def prompts_title(before: Sequence[Prompt], after: Sequence[Prompt]) -> str:
    """Say in a few words what became of the prompts."""
    if len(after) == len(before) + 1 and tuple(after[:-1]) == tuple(before):
        return describe(after[-1])
    if len(after) < len(before):
        return "All prompts removed" if not after else "Prompt removed"
    return "Prompts added" if len(after) > len(before) else "Prompts changed"


def describe(prompt: Prompt) -> str:
    """Name a prompt, for instance ``"Negative click"``."""
    if isinstance(prompt, PriorMask):
        return "Prior mask"
    name = type(prompt).__name__
    if isinstance(prompt, Polygon) and prompt.filled and prompt.positive:
        return "Filled polygon"
    return name if prompt.positive else f"Negative {name.lower()}"


def _check_inside(prompt: Prompt, shape: tuple[int, int]) -> None:
    """Raise unless a prompt has something in common with the image."""
    if not isinstance(prompt, Click | Scribble | Box | Polygon | PriorMask):
        raise PromptError(
            f"a prompt is a Click, Scribble, Box, Polygon or PriorMask, not {type(prompt).__name__}"
        )
    height, width = shape
    row0, col0, row1, col1 = prompt.bounds
    outside = row1 < -0.5 or col1 < -0.5 or row0 > height - 0.5 or col0 > width - 0.5
    if isinstance(prompt, Box | Polygon):  # one that only touches the rim has no area inside
        row0, col0, row1, col1 = clip_bounds(prompt.bounds, shape)
        outside = row0 >= row1 or col0 >= col1
    if outside:
        raise PromptError(
            f"{prompt} lies outside the image, whose rows are 0 to {height - 1} and columns 0 to "
            f"{width - 1}; positions are (row, col) in data pixels"
        )
