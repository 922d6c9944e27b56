"""A series of images in a viewer: one after the other, saved as one goes, gone on with later."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_pvpu.napari_side.series_stage import SeriesStage
from napari_pvpu.series_entries import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.napari_side.series_actions import SeriesActions

__all__ = ["SeriesDesk"]


class SeriesDesk(SeriesStage):
    """Works on the images of a series in one viewer; get it from `Controller.series`.

    Examples
    --------
    >>> from napari_pvpu import Click, attach
    >>> desk = attach(viewer).series  # doctest: +SKIP
    >>> desk.open("images")  # doctest: +SKIP
    >>> desk.wait()  # doctest: +SKIP
    True
    >>> attach(viewer).add(Click((120, 88)))  # doctest: +SKIP
    >>> attach(viewer).accept()  # doctest: +SKIP
    1
    >>> desk.done_image()  # doctest: +SKIP
    """

    def __init__(self, controller: SeriesActions) -> None:
        super().__init__(controller)
        self._soon_count = 0

    @property
    def busy(self) -> bool:
        """Whether images or labels are under way, or about to be."""
        return super().busy or self._soon_count > 0

    def next_image(self) -> None:
        """Go to the next image of the list, whatever its state."""
        self._soon(partial(self._step, +1))

    def previous_image(self) -> None:
        """Go to the image before, whatever its state."""
        self._soon(partial(self._step, -1))

    def done_image(self) -> None:
        """Note that the image at work is done, and go to the next unfinished one."""
        self._soon(partial(self._end_with, State.DONE))

    def skip_image(self) -> None:
        """Note that the image at work is skipped, and go to the next unfinished one."""
        self._soon(partial(self._end_with, State.SKIPPED))

    def mark(self, name: str, state: State | str) -> None:
        """Note what has become of an image."""
        if self.series is not None:
            self._noted(partial(self.series.mark, name, state))
            self.changed.emit()

    def set_format(self, format_name: str) -> None:
        """Save labels in another format from now on."""
        if self.series is not None and format_name != self.series.format_name:
            self._noted(partial(setattr, self.series, "format_name", format_name))
            self.changed.emit()

    def _soon(self, action: Callable[[], None]) -> None:
        """Do something when napari has finished with the key or the click that asked for it.

        The layer whose key it is goes with the image.
        """
        self._soon_count += 1
        QTimer.singleShot(0, partial(self._now, action))

    def _now(self, action: Callable[[], None]) -> None:
        self._soon_count -= 1
        action()

    def _step(self, step: int) -> None:
        series, name = self.series, self._heading or self._name
        if series is None or name is None:
            return
        entry = series.neighbour(name, step)
        while entry is not None and entry.trouble is not None:
            entry = series.neighbour(entry.name, step)
        if entry is None:
            show_info(f"This is the {'last' if step > 0 else 'first'} image of the series.")
        else:
            self._leave(entry.name, partial(self._enter, entry.name, step))

    def _end_with(self, state: State) -> None:
        name, workspace = self._name, self._at_work
        if self.series is None or name is None or self._heading is not None:
            return  # on the way to another one
        if state is State.DONE:
            if workspace is not None and workspace.session is None and workspace.trouble is None:
                show_info("The image is not open yet; wait a moment.")
                return
            self._saving.want_file()
        self._leave(None, partial(self._mark_and_go_on, name, state))

    def _mark_and_go_on(self, name: str, state: State) -> None:
        series = self.series
        if series is None or not self._noted(partial(series.mark, name, state)):
            return
        self.changed.emit()
        entry = series.next_unfinished(name)
        if entry is not None:
            self._enter(entry.name, +1)
        else:
            self._tell_end()

    def _tell_end(self) -> None:
        assert self.series is not None
        show_info(f"Nothing is left to do in this series: {self.series.progress}.")
