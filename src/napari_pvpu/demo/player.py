"""Play recorded sessions in a viewer, as a user would: tool, prompt layer, wait, accept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtTest import QTest

from napari_pvpu import samples
from napari_pvpu.demo.report import ObjectResult, PictureResult
from napari_pvpu.errors import SessionError
from napari_pvpu.evaluation.metrics import iou
from napari_pvpu.napari_side.controller import Tool
from napari_pvpu.prompts import Box, Click

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_pvpu.demo.recording import DrawnPrompt, Recording
    from napari_pvpu.napari_side.controller import Controller
    from napari_pvpu.session import Session

__all__ = ["Player", "WindowClosedError"]

PATIENCE = 120.0
"""Seconds within which a prompt has to be answered."""


class WindowClosedError(Exception):
    """The user closed the window while the session was playing."""


class Player:
    """A user made of recordings.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Shown on a screen.
    controller : Controller
        Of that viewer.
    pause : float
        Seconds to rest after each step, for people who watch.
    """

    def __init__(self, viewer: Viewer, controller: Controller, pause: float = 0.0) -> None:
        self._viewer = viewer
        self._controller = controller
        self._pause = pause

    def play(self, recording: Recording, take_picture: Callable[[], None]) -> PictureResult:
        """Play one session.

        Parameters
        ----------
        recording : Recording
            What to do.
        take_picture : callable
            Called when all objects but the last are accepted and the last has all its prompts.

        Raises
        ------
        SessionError
            If the model cannot be loaded or a prompt is not answered in time.
        WindowClosedError
            If the window is no longer there.
        """
        sample = samples.load(recording.sample)
        self._open(sample)
        objects = []
        for number, one in enumerate(recording.objects, start=1):
            ious, milliseconds = [], []
            for prompt in one.prompts:
                milliseconds.append(self._give(prompt))
                if one.truth is not None:
                    ious.append(iou(self._session.mask, sample.truth == one.truth))
            if number == len(recording.objects):
                take_picture()
            label = self._accept()
            accepted = None
            if one.truth is not None:
                mask = (self._session.labels == label) & (label > 0)
                accepted = iou(mask, sample.truth == one.truth)
            objects.append(ObjectResult(one, label, tuple(ious), accepted, tuple(milliseconds)))
        return PictureResult(
            recording, sample.truth_source, self._session.labels.copy(), tuple(objects)
        )

    @property
    def _session(self) -> Session:
        session = self._controller.session
        if session is None:
            raise SessionError(str(self._controller.trouble or "the image could not be opened"))
        return session

    def _open(self, sample: samples.Sample) -> None:
        """Put a picture in front of those before."""
        # Not removed but hidden: to look at afterwards, and because Mesa's software OpenGL
        # (22.3) has crashed in its next draw after image layers were removed.
        for layer in self._viewer.layers:
            layer.visible = False
        self._controller.image = self._viewer.add_image(sample.image, name=sample.name)
        self._viewer.reset_view()
        self._wait()
        self._rest(0.1)

    def _give(self, prompt: DrawnPrompt) -> float:
        """Draw one prompt into its layer; return the milliseconds until its mask was there."""
        self._controller.positive = prompt.positive
        draw = self._pen(prompt)
        start = time.perf_counter()
        draw()
        self._wait()
        elapsed = 1e3 * (time.perf_counter() - start)
        self._controller.positive = True
        self._rest(self._pause)
        return elapsed

    def _pen(self, prompt: DrawnPrompt) -> Callable[[], None]:
        """Take up the tool for a prompt; return what the mouse would do with it."""
        workspace = self._controller.workspace
        assert workspace is not None
        clicks, strokes = workspace.prompts.layers
        if isinstance(prompt, Click):
            self._controller.tool = Tool.CLICK
            return lambda: clicks.add(prompt.position)
        if isinstance(prompt, Box):
            self._controller.tool = Tool.BOX
            return lambda: strokes.add_rectangles(np.array([prompt.start, prompt.stop]))
        self._controller.tool = Tool.SCRIBBLE
        return lambda: strokes.add_paths(np.array(prompt.path))

    def _accept(self) -> int:
        """Accept the current object; return its label, 0 if nothing of it was left to accept."""
        label = self._controller.accept()
        if label is None:
            self._controller.reset()
        self._wait()
        self._rest(self._pause)
        return label or 0

    def _wait(self) -> None:
        if not self._controller.wait(PATIENCE):
            raise SessionError(f"no answer within {PATIENCE:.0f} s; is the machine overloaded?")
        self._rest(0)

    def _rest(self, seconds: float) -> None:
        """Let the window live for a while."""
        QTest.qWait(round(1e3 * seconds))
        if not self._viewer.window._qt_window.isVisible():
            raise WindowClosedError
