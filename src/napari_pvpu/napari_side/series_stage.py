"""The image of a series that is at work in a viewer: read, shown, saved, left for another."""

from __future__ import annotations

import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.series_images import Opening
from napari_pvpu.napari_side.series_reader import SeriesReader
from napari_pvpu.napari_side.series_recent import remember_series
from napari_pvpu.napari_side.series_saving import AUTOSAVE_MS, Saving
from napari_pvpu.napari_side.telling import sentence, tell
from napari_pvpu.napari_side.worker import Worker
from napari_pvpu.series import Series
from napari_pvpu.series_entries import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

    from napari.layers import Image

    from napari_pvpu.napari_side.series_actions import SeriesActions
    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.series_entries import Entry

    StrPath = str | PathLike[str]

__all__ = ["SeriesStage"]


class SeriesStage(QObject):
    """Shows one image of a series after the other; `SeriesDesk` adds what the user does.

    Parameters
    ----------
    controller : Controller
        Its viewer shows the image at work.
    """

    changed = Signal()

    def __init__(self, controller: SeriesActions) -> None:
        super().__init__()
        self._controller = weakref.ref(controller)
        self.series: Series | None = None
        self._name: str | None = None
        self._layer: Image | None = None
        self._opening: Opening | None = None
        self._reading: str | None = None
        self._heading: str | None = None
        """Where the user wants to go, from the first moment on."""
        self._worker = Worker()
        self._worker.busy_changed.connect(self.changed)
        self._saving = Saving(self._worker)
        self._saving.changed.connect(self._on_saving)
        self._saving.due.connect(self._autosave)
        self._reader = SeriesReader(self._worker)
        self._finishing = self._exchanging = False
        controller.changed.connect(self._follow)

    # Which series

    def open(
        self,
        images: StrPath | Iterable[StrPath],
        results: StrPath | None = None,
        format_name: str | None = None,
    ) -> None:
        """Open a folder or list of images, and go on where it was left.

        Parameters
        ----------
        images, results, format_name
            See `napari_pvpu.Series.open`.

        Raises
        ------
        PvpuError
            If there is no image, or the results cannot be read or written.
        """
        series = Series.open(images, results, format_name)
        if self.series is not None:
            self._leave(None, partial(self._begin, series))
        else:
            self._begin(series)

    def close(self) -> None:
        """Save what is at work and let go of the series; the image stays in the viewer."""
        self._reader.forget()
        self._finish()
        self._saving.begin()
        self.series = self._name = self._layer = self._opening = None
        self._reading = self._heading = None
        self.changed.emit()

    def _begin(self, series: Series) -> None:
        self._reader.forget()
        self._saving.begin()
        self.series, self._name = series, None
        remember_series(series.results)
        if series.damaged:
            show_info(
                f"{series.damaged} lines of {series.results.name} are damaged; states of images "
                "may be those of one step before."
            )
        start = series.current
        if start is None or not start.unfinished:
            start = series.next_unfinished(start.name if start is not None else None)
        self.changed.emit()
        if start is not None:
            self._enter(start.name, +1)
        else:
            self._tell_end()

    # What there is

    @property
    def entry(self) -> Entry | None:
        """The image at work, None if there is none."""
        if self.series is None or self._name is None:
            return None
        return self.series[self._name]

    @property
    def reading(self) -> str | None:
        """Name of the image that is being read."""
        return self._reading

    @property
    def saving(self) -> bool:
        """Whether labels are being written."""
        return self._saving.under_way

    @property
    def unsaved(self) -> bool:
        """Whether objects of the image at work are in no file of labels yet."""
        return self._saving.pending

    @property
    def trouble(self) -> str | None:
        """Why labels could not be saved; None if they could."""
        return self._saving.trouble

    @property
    def busy(self) -> bool:
        """Whether images or labels are under way."""
        controller = self._controller()
        return self._worker.busy or (controller is not None and controller.busy)

    def wait(self, seconds: float = 60.0) -> bool:
        """Let napari go on until all is read, answered and saved; False if it took too long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.busy:
                if not self._saving.pending or self._saving.trouble is not None:
                    return not self._saving.pending
                self.save()
            QApplication.processEvents()
            time.sleep(0.001)
        return False

    def go_to(self, name: str) -> None:
        """Work on an image of the series; the one at work is saved first."""
        if self.series is None or name == (self._heading or self._name):
            return
        if self.series[name].trouble is not None:  # it may have been mended
            self.series.update(name, trouble=None)
        self._leave(name, partial(self._enter, name, 0))

    def save(self) -> None:
        """Save the labels of the image at work now, if there is anything new."""
        self._save(None)

    # From one image to the next

    def _leave(self, heading: str | None, then: Callable[[], None]) -> None:
        """Save the image at work; go on once that is done. If it cannot be saved, it stays."""
        controller, workspace = self._controller(), self._at_work
        if controller is None:
            return
        self._heading = heading
        if workspace is not None and workspace.session is not None and workspace.waiting:
            controller.wait()
        if heading == self._heading:  # else the user has thought better of it in the meantime
            self._save(then)

    def _save(self, then: Callable[[], None] | None) -> None:
        workspace = self._at_work
        if workspace is not None and workspace.session is not None:
            workspace.take_paint()
            self._follow_session(workspace)
        if self.series is not None and self._name is not None:
            self._saving.save(self.series, self._name, then)
        elif then is not None:
            then()

    def _enter(self, name: str, onward: int) -> None:
        """Read an image and show it; if it cannot be read, go on in a direction."""
        series = self.series
        if series is None:
            return
        self._reading = self._heading = name
        self._reader.get(
            series[name], partial(self._show, name), partial(self._on_unread, name, onward)
        )
        self.changed.emit()

    def _on_unread(self, name: str, onward: int, error: Exception) -> None:
        if name != self._reading or self.series is None:
            return
        self._reading = self._heading = None
        self.series.update(name, trouble=str(error))
        tell(error)
        self.changed.emit()
        entry = self.series.next_unfinished(name) if onward > 0 else None
        if onward < 0:
            entry = self.series.neighbour(name, -1)
        if entry is not None and entry.trouble is None:
            self._enter(entry.name, onward)

    def _show(self, name: str, layer: Image) -> None:
        controller, series = self._controller(), self.series
        if controller is None or series is None or name != self._reading:
            return  # the user has gone elsewhere
        before, self._layer = self._layer, layer
        self._name, self._opening = name, None
        self._reading = self._heading = None
        self._saving.begin()
        self._noted(partial(series.take_up, name))
        controller.open()
        self._exchanging = True
        try:
            controller.exchange(before, layer, self._new_opening)
        finally:
            self._exchanging = False
        if controller.viewer is not None:
            controller.viewer.reset_view()
        workspace = self._at_work
        if workspace is not None:  # where napari begins, too
            workspace.travel(tuple(length // 2 for length in workspace.frame.plane_shape))
        self.changed.emit()

    def _new_opening(self) -> Opening:
        """Return what opens the session of the image at work, and again with another model."""
        assert self.series is not None
        assert self._name is not None
        labels = self._saving.unsaved_labels()
        folder = self.series.sessions_folder(self._name)
        self._opening = Opening(self.series[self._name], folder, labels)
        return self._opening

    # While an image is at work

    @property
    def _at_work(self) -> Workspace | None:
        """What belongs to the image of the series, if it is the one that is worked on."""
        controller = self._controller()
        workspace = controller.workspace if controller is not None else None
        return workspace if workspace is not None and workspace.image is self._layer else None

    def _follow(self) -> None:
        """Note what has been done to the image at work."""
        controller = self._controller()
        if controller is None or self.series is None or self._layer is None:
            return
        if not controller.is_open:
            self._finish()
            return
        viewer = controller.viewer
        if viewer is not None and not self._exchanging and self._layer not in viewer.layers:
            self._on_layer_gone()
            return
        workspace = self._at_work
        if workspace is None:
            return
        if workspace.trouble is not None:
            self._on_trouble(sentence(workspace.trouble))
        if workspace.session is not None:
            self._follow_session(workspace)
            if not controller.busy:
                following = self.series.next_unfinished(self._name)
                self._reader.want(following, controller.engine, controller.ahead)

    def _follow_session(self, workspace: Workspace) -> None:
        assert self.series is not None
        assert self._name is not None
        started = self._opening.started if self._opening is not None else None
        self._saving.follow(workspace, started)
        if self._saving.pending and workspace.session is not None:
            # Should the program end now, the labels' file lags behind the session's.
            told = {"saved": None, "objects": len(workspace.session.objects)}
            self._noted(partial(self.series.update, self._name, **told))
        if self._saving.touched and self.series[self._name].state is State.UNTOUCHED:
            self._noted(partial(self.series.mark, self._name, State.BEGUN))
            self.changed.emit()

    def _on_saving(self) -> None:
        if self._saving.trouble is not None:
            self._heading = None
        self.changed.emit()

    def _autosave(self) -> None:
        controller = self._controller()
        if controller is not None and controller.busy:
            QTimer.singleShot(AUTOSAVE_MS, self._autosave)
        elif controller is not None and controller.is_open:
            self.save()

    def _on_trouble(self, why: str) -> None:
        assert self.series is not None
        assert self._name is not None
        if self.series[self._name].trouble != why:
            self.series.update(self._name, trouble=why)
            self.changed.emit()

    def _on_layer_gone(self) -> None:
        """Let the image go that the user has taken out of the viewer; its session is on disk."""
        if self._reading is None:  # nothing is worked on that another image could follow
            self._reader.forget()
        self._saving.begin()
        self._layer = self._name = self._opening = None
        self.changed.emit()

    def _finish(self) -> None:
        """Save at once what is not saved; for the end, when nobody may wait for it."""
        if self._finishing:
            return
        self._finishing = True
        try:
            self._worker.stop()
            if self.series is not None and self._name is not None:
                self._saving.save_now(self.series, self._name)
        finally:
            self._finishing = False

    def _noted(self, change: Callable[[], Any]) -> bool:
        """Note something in the series; tell if that cannot be written down."""
        try:
            change()
        except PvpuError as error:
            tell(error)
            return False
        return True
