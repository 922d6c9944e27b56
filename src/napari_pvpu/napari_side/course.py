"""From one session of an image to the next: opened, resumed, seen otherwise, begun anew."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.board import Board
from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.handing_over import Left
from napari_pvpu.napari_side.telling import tell, trouble_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.napari_side.engine import Engine, Look
    from napari_pvpu.napari_side.journaling import Opened
    from napari_pvpu.seeing import Sight
    from napari_pvpu.session import Session

__all__ = ["Course"]

SIGHT = ("channels", "rgb", "projection", "limits", "gamma")
"""Settings of a look that leave the planes as they are."""


class Course(Board):
    """A board whose session comes and goes; see `Board` for its parameters."""

    taken = Signal(object)
    """A session that was `Opened` has been taken to work on."""
    outgrown = Signal()
    """The image has become one of more or fewer axes, for which other layers are needed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._left: Left | None = None
        """What the session before this one has left to it, until it is open."""
        self.came_on.connect(self._on_came_on)
        self.image_changed.connect(self._on_new_image)
        self.keeper.opened.connect(self._on_opened)
        self.keeper.resumed.connect(self._on_resumed)
        self.keeper.not_opened.connect(self._on_unopened)
        self.keeper.not_resumed.connect(self._on_not_resumed)

    def _on_came_on(self) -> None:
        if self.session is None:
            self.open()
        else:
            self.conversation.go_on()

    def open(self, labels: Any = None) -> None:
        """Have the worker open the session, and the model if need be.

        `labels` are objects to begin with.
        """
        self.trouble = None
        if labels is None and self._left is not None:
            labels = self._left.labels
        try:
            self.keeper.open(self.image, self.look, labels)
        except ImageError as error:  # of axes that nobody knows any more
            self._on_unopened(error)
            return
        self.changed.emit()

    def begin_with(self, labels: Any) -> None:
        """Begin another session with objects from elsewhere, in place of one without any.

        `labels` have the plane axes first; they are read in the worker.
        """
        self._left = None
        self.end_session()
        self.prompts.write(())
        self.open(labels)

    def change_engine(self, engine: Engine) -> None:
        """Have another model, or another device, go on with the objects; while hidden only.

        A history that another model has made cannot be made again, so that it begins anew.
        """
        self.keeper.use(engine)
        self.leave_session()

    def leave_session(self) -> None:
        """Let go of the session; the next one begins with its objects."""
        if self.session is None:
            self.keeper.end()  # what was asked meanwhile waits for the next one
            return
        left = Left.of(self.session)
        self._left = left if left.anything else None
        self.end_session()
        self.prompts.write(())
        self.preview.clear()

    def resume(self, path: Path) -> None:
        """Take up an earlier session of this image, in place of this one; see `journaling`."""
        self.keeper.resume(self.image, path)
        self.changed.emit()

    def forget_earlier(self) -> None:
        """Do not offer the earlier session any more; its file stays."""
        self.keeper.forget_earlier()
        self.changed.emit()

    def _on_opened(self, opened: Opened) -> None:
        left, self._left = self._left, None
        if left is not None:
            left.keep_off(opened.session)
        self._take(opened)
        if left is not None:
            self._go_on_from(left, opened.session)
        self.conversation.go_on()
        if opened.session.objects:
            self.refresh()
        self.changed.emit()

    def _go_on_from(self, left: Left, session: Session) -> None:
        """Take up what was at work in the session before, and tell what has become of the rest."""
        self.keeper.forget_earlier()  # which would be in place of these objects
        if self.frame.across:
            session.spacing = self.frame.spacing
        left.take_up(session)
        self.refresh()
        work = ", and what was at work goes on from its mask" if left.at_work else ""
        show_info(f"Accepted objects stay{work}; their prompts and the history begin anew.")

    def _on_resumed(self, opened: Opened) -> None:
        self._left = None
        self.end_session()
        session = opened.session
        if session.source.grid.lengths != self.frame.grid.lengths:
            self.look = replace(self.look, axes=session.source.axes)
            self.frame.read_axes(self.look.axes)
            self.results = None
        self.travel(session.plane)
        self._take(opened)
        self.refresh()
        count = len(session.objects)
        show_info(f"Went on with the earlier session: {count} object{'s' if count != 1 else ''}.")

    def _on_not_resumed(self, error: Exception) -> None:
        tell(error)
        self.changed.emit()

    def _take(self, opened: Opened) -> None:
        session = self.conversation.session = self.keeper.take(opened)
        self._seen, self._known_change = -1, None
        self._session_plane = session.plane
        self.hint_at_zoom()
        self.taken.emit(opened)
        for note in opened.notes:
            show_info(note)

    def _on_unopened(self, error: Exception) -> None:
        self.trouble = trouble_of(error)
        tell(error)
        self.changed.emit()

    def _on_new_image(self) -> None:
        """Begin anew: the session knows an image that is there no more."""
        show_info(
            f"The image of “{self.image.name}” has changed: segmentation begins afresh. Accepted "
            "objects stay in their layer."
        )
        self.begin_anew()

    def see(self, look: Look) -> None:
        """Look at the image otherwise.

        Objects, prompts and history stay as long as the planes are the same, and only the object
        at work is looked at again, in the worker. Else another session begins, with the same
        objects if their pixels are in the same places; if not, they stay in their layer.

        Raises
        ------
        ImageError
            If axes or channels do not fit the image; then nothing has changed.
        """
        frame = Frame(self.image, look.axes)
        frame.check_channels(look.channels)
        if look == self.look:
            return
        while self.conversation.waits_in(self.frame.plane) and self.session is not None:
            # An answer on its way would be one about the image as it was seen before.
            QApplication.processEvents()
            time.sleep(0.001)
        before, self.look = self.look, look
        session = self.session
        if session is None or frame.axes != self.frame.axes:
            places = frame.places, frame.grid.lengths
            self.begin_anew(going_on=places == (self.frame.places, self.frame.grid.lengths))
            return
        self.hint_at_zoom()
        self.sync_plane()
        settings = look.settings(self.image)
        asked = session.request_sight(**{name: settings[name] for name in SIGHT})
        self._worker.submit(
            "see",
            partial(session.compute_sight, asked),
            partial(self._on_seen, session),
            partial(self._on_not_seen, before),
        )
        self.changed.emit()

    def _on_seen(self, session: Session, sight: Sight) -> None:
        if session is self.session:
            session.commit_sight(sight)
            self.refresh()

    def _on_not_seen(self, before: Look, error: Exception) -> None:
        self.look = before
        tell(error)
        self.changed.emit()

    def begin_anew(self, *, going_on: bool = False) -> None:
        """Open another session, as the image now is; accepted objects stay in their layer.

        If it is `going_on` with them, they are its own.
        """
        if going_on:
            self.leave_session()
        else:
            self.end_session()
            self.results = self._left = None
        if self.image.ndim != self.frame.ndim:
            self.outgrown.emit()
            return
        try:
            self.frame.read_axes(self.look.axes)
        except ImageError as error:
            self._on_unopened(error)
            return
        self.prompts.write(())
        self.preview.clear()
        self.follow_view()
        self.open()
