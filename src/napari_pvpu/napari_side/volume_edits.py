"""Objects over planes and frames by hand: where they end, divide and are lost; their tracks."""

from __future__ import annotations

import time
from functools import partial
from os import fspath
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.editing import Editing
from napari_pvpu.napari_side.telling import sentence, tell
from napari_pvpu.napari_side.track_layers import TrackLayers, tracks_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from napari.viewer import Viewer

    from napari_pvpu.session import Session

__all__ = ["NO_OBJECT", "VolumeEdits"]

NO_OBJECT = "There is no object to carry over the planes; accept one first, or Alt+click on one."


class VolumeEdits(Editing):
    """Edits of what reaches over planes; see `Stage` for the parameters."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._axis: str | None = None
        self._tracks = TrackLayers()
        self._tracks_soon = QTimer(self)
        self._tracks_soon.setSingleShot(True)
        self._tracks_soon.timeout.connect(self._follow_objects)
        self.changed.connect(self._follow_objects_soon)

    def close(self) -> None:
        self._tracks_soon.stop()
        super().close()

    @property
    def busy(self) -> bool:
        return self._tracks_soon.isActive() or super().busy

    # Planes

    @property
    def axes(self) -> str:
        """Letters of the axes that objects can be carried along."""
        return self._workspace.frame.cut_axes if self._workspace is not None else ""

    @property
    def axis(self) -> str | None:
        """The axis that objects are carried along; None if the image has one plane."""
        axes = self.axes
        if self._axis is not None and self._axis in axes:
            return self._axis
        return None if not axes else "Z" if "Z" in axes else axes[-1]

    @axis.setter
    def axis(self, axis: str) -> None:
        self._axis = axis
        self.changed.emit()

    @property
    def position(self) -> int | None:
        """Where on that axis the plane at work is."""
        axis = self.axis
        if axis is None or self._workspace is None:
            return None
        frame = self._workspace.frame
        return frame.plane[frame.grid.axes.index(axis)]

    @property
    def length(self) -> int:
        """How many planes there are along that axis."""
        axis = self.axis
        if axis is None or self._workspace is None:
            return 0
        grid = self._workspace.frame.grid
        return grid.lengths[grid.axes.index(axis)]

    @property
    def has_object(self) -> bool:
        """Whether there is an object at work in the plane that is shown."""
        return self._workspace is not None and self._workspace.has_object

    @property
    def session_known(self) -> bool:
        """Whether the session of the image at work has been opened."""
        return self._workspace is not None and self._workspace.session is not None

    # By hand

    def end_here(self) -> None:
        """Say that the object is not in this plane: it ends here; a second time takes that back."""
        target, axis, on = self.target, self.axis, self.position not in self.ends
        if target is None or axis is None:
            show_info(NO_OBJECT)
        else:
            self._perform(lambda session: session.end_object(target, axis=axis, on=on))

    def divide_here(self) -> None:
        """Take the two objects that begin in this frame for daughters of one that was before."""

        def divide(session: Session) -> tuple[int, tuple[int, ...]]:
            parent, daughters = session.suggested_division()
            session.divide(parent, daughters)
            return parent, daughters

        found = self._perform(divide)
        if found is not None:
            parent, daughters = found
            one, two = daughters
            show_info(f"Object {parent} divides into {one} and {two}; undo takes that back.")

    def lose_here(self) -> None:
        """Say that the object is lost: from this frame on it is not there."""
        target = self.target
        if target is None:
            show_info(NO_OBJECT)
        else:
            self._perform(lambda session: session.lose(target))

    def _perform(self, work: Any, *, asks: bool = False) -> Any:
        self.wait()
        result = None
        if self._workspace is not None:
            result = self._workspace.perform(work, asks=asks)
        self.changed.emit()
        return result

    @property
    def confidences(self) -> dict[int, float | None]:
        """What speaks for the object's mask in each plane, None where it was annotated."""
        found: dict[int, float | None] = self._on_line(lambda session: session.confidences) or {}
        return found

    @property
    def ends(self) -> tuple[int, ...]:
        """Where the user has said that the object is not."""
        return self._on_line(lambda session: session.ended_in) or ()

    def _on_line(self, method: Callable[[Session], Callable[..., Any]]) -> Any:
        """Ask the session about the object along the axis; None if there is none to ask about."""
        workspace, axis, target = self._workspace, self.axis, self.target
        session = workspace.session if workspace is not None else None
        if workspace is None or session is None or axis is None or target is None:
            return None
        if target not in session.objects:
            return None
        try:
            return method(session)(target, axis=axis, plane=workspace.frame.plane)
        except PvpuError:  # it is open for correction
            return None

    def go_to_position(self, position: int) -> None:
        """Show another plane along the axis that objects are carried along."""
        workspace, axis = self._workspace, self.axis
        if workspace is not None and axis is not None and 0 <= position < self.length:
            workspace.travel(workspace.frame.moved(axis, position))
            workspace.refresh()

    # Tracks

    def show_tracks(self) -> None:
        """Show the objects of a movie as a Tracks layer, which follows them from now on."""
        self.wait()
        viewer, workspace = self._viewer(), self._workspace
        if viewer is not None and workspace is not None:
            try:
                self._tracks.show(viewer, workspace)
            except PvpuError as error:
                show_info(sentence(error))

    def _follow_objects_soon(self) -> None:
        """Have the Tracks layer follow the objects when what is under way has been done."""
        workspace, timer = self._workspace, self._tracks_soon
        if workspace is not None and self._tracks.is_behind(workspace) and not timer.isActive():
            timer.start()

    def _follow_objects(self) -> None:
        viewer, workspace = self._viewer(), self._workspace
        if viewer is None or workspace is None:
            return
        start = time.monotonic()
        self._tracks.update(viewer, workspace)
        # The next time not before as long again: of thousands of tracks napari takes a while.
        self._tracks_soon.setInterval(round(1000 * (time.monotonic() - start)))
        self.changed.emit()

    def export_tracks(self, path: str | PathLike[str], format_name: str | None = None) -> None:
        """Write the tracks of a movie, in the background; `wait` for it in a script.

        Parameters
        ----------
        path : path
            Of the folder to be.
        format_name : str, optional
            One of `napari_pvpu.export.track_formats.TRACK_FORMATS`; by default told by the name.
        """
        self.wait()
        if self._workspace is None:
            return
        from napari_pvpu.export.track_formats import export_tracks

        target = fspath(path)
        try:
            tracks = tracks_of(self._workspace)
        except PvpuError as error:
            tell(error)
            return
        self._worker.submit(
            f"tracks {target}",
            partial(export_tracks, target, tracks, format_name=format_name),
            lambda _: show_info(f"{len(tracks.tracks)} tracks exported to {target}"),
            tell,
        )
        self.changed.emit()
