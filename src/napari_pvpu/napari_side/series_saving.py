"""Labels of the image at work in a series: saved a moment after each change, and at its end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_pvpu.errors import PvpuError, SeriesError
from napari_pvpu.napari_side.exporting import prepare
from napari_pvpu.napari_side.telling import tell
from napari_pvpu.series_entries import State, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.napari_side.exporting import Export
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.series import Series
    from napari_pvpu.series_work import Started
    from napari_pvpu.session import Session

__all__ = ["Saving"]

AUTOSAVE_MS = 1500
"""After a change labels are saved, unless more is done in the meantime."""

NOT_LABELS = frozenset({"prompts", "set", "paint", "return_to_best"})
"""What is done to a session without any bearing on its labels."""


class Saving(QObject):
    """Knows what is not saved of one image after the other, and has it written.

    Parameters
    ----------
    worker : Worker
        Writes.
    """

    changed = Signal()

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AUTOSAVE_MS)
        self.due = self._timer.timeout
        """When something should be saved."""
        self._then: Callable[[], None] | None = None
        self.under_way = False
        """Whether labels are being written."""
        self.trouble: str | None = None
        """Why they could not be written last time."""
        self.begin()

    def begin(self) -> None:
        """Turn to another image, of which nothing is known yet."""
        self._timer.stop()
        self._workspace: Workspace | None = None
        self._session: Session | None = None
        self._seen = 0
        self._fingerprint: dict[str, Any] | None = None
        self._wants_file = False
        self.pending = self.touched = False
        """Whether labels have changed since they were saved; whether anything was ever done."""
        self.trouble = None

    def follow(self, workspace: Workspace, started: Started | None) -> None:
        """Note what has been done to the session of the image at work."""
        session = workspace.session
        if session is None:
            return
        if session is not self._session:
            self._workspace, self._session, self._seen = workspace, session, 0
            if started is not None and started.session is session:
                self._seen = len(session.operations)
                self._fingerprint = started.fingerprint
                self.pending |= started.unsaved
                self.touched |= started.resumed or bool(session.objects)
        names = [operation.name for operation in session.operations[self._seen :]]
        self._seen += len(names)
        self.touched |= bool(set(names) - {"set"})
        if set(names) - NOT_LABELS:
            self.pending = True
            self._timer.start()

    def want_file(self) -> None:
        """Have a file written also if there is no object: that there is none is a result."""
        self._wants_file = True

    def unsaved_labels(self) -> Any:
        """Return objects that are in no file yet, as an array; None if there are none."""
        session = self._session
        return session.labels.copy() if session is not None and self.pending else None

    def save(self, series: Series, name: str, then: Callable[[], None] | None = None) -> None:
        """Have the labels written if they have changed, then do something.

        If they cannot be written, that is told, and nothing else is done.

        Parameters
        ----------
        series : Series
            It is told what was saved.
        name : str
            Of the image at work.
        then : callable, optional
            Called when all is saved.
        """
        if then is not None:
            self._then = then
        if self.under_way:
            return  # what is new is saved after that
        try:
            export = self._export(series, name)
        except PvpuError as error:
            self._fail(error)
            return
        if export is None:
            self._go_on()
            return
        self.under_way, self.pending = True, False
        self._worker.submit(
            "save", partial(_written, export), partial(self._on_saved, series, name, export),
            partial(self._on_not_saved),
        )  # fmt: skip
        self.changed.emit()

    def save_now(self, series: Series, name: str) -> None:
        """Write what has changed at once, in this thread; for the end."""
        self.pending |= self.under_way  # of which nobody will tell any more
        self.under_way, self._then = False, None
        try:
            export = self._export(series, name)
            if export is not None:
                self.pending = False
                self._note(series, name, export, *_written(export))
        except PvpuError as error:
            self._fail(error)

    def _export(self, series: Series, name: str) -> Export | None:
        """Return what is to be written; None if that is nothing."""
        self._timer.stop()
        workspace, session, entry = self._workspace, self._session, series[name]
        if workspace is None or session is None or workspace.session is not session:
            return None
        there = entry.labels.exists()
        if not self.pending and (there or not self._wants_file):
            return None
        if not (session.objects or there or self._wants_file):
            self.pending = False
            series.update(name, objects=0)
            return None
        path = series.labels_path(name)
        export = prepare(workspace, str(path), series.format_name, empty=True)
        # Should the program end while this is being written, nobody else has changed the file.
        series.update(name, saved=None)
        return export

    def _on_saved(self, series: Series, name: str, export: Export, result: tuple[int, Any]) -> None:
        self.under_way = False
        try:
            self._note(series, name, export, *result)
        except SeriesError as error:
            self._fail(error)
            return
        if self.pending and self._then is not None:
            self.save(series, name)
        else:
            self._go_on()

    def _note(
        self, series: Series, name: str, export: Export, count: int, stamp: tuple[int, int] | None
    ) -> None:
        self.trouble = None
        entry, path = series[name], Path(export.path)
        state = State.BEGUN if entry.state is State.UNTOUCHED else entry.state
        known = self._fingerprint or entry.fingerprint
        series.update(name, state=state, objects=count, labels=path, saved=stamp, fingerprint=known)

    def _on_not_saved(self, error: Exception) -> None:
        self.under_way, self.pending = False, True
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Tell; whoever wanted to go on has to stay."""
        self._then = None
        self.trouble = str(error)
        tell(error)
        self.changed.emit()

    def _go_on(self) -> None:
        then, self._then = self._then, None
        self.changed.emit()
        if then is not None:
            then()


def _written(export: Export) -> tuple[int, tuple[int, int] | None]:
    """Write labels; return how many objects there are in the file, and its stamp."""
    return export.write(), stamp_of(Path(export.path))
