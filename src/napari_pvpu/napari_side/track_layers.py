"""The objects of a movie as a Tracks layer of napari."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Tracks as TracksLayer
from napari.utils.notifications import show_info

from napari_pvpu.errors import ExportError
from napari_pvpu.napari_side.geometry import placement
from napari_pvpu.napari_side.layer_axes import spacing_of_layer
from napari_pvpu.napari_side.telling import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_pvpu.export.tracks import TrackFinder, Tracks
    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session

__all__ = ["TrackLayers", "tracks_of"]


def tracks_of(workspace: Workspace) -> Tracks:
    """Return the tracks of a session as they are now, in the layer's scale.

    Raises
    ------
    ExportError
        If there is no object, or no time.
    """
    from napari_pvpu.export.tracks import TrackFinder

    session = _session_with_objects(workspace)
    # A copy: it is written to a file while the session goes on.
    return _found(TrackFinder(), workspace, session, session.labels.copy())


def _session_with_objects(workspace: Workspace) -> Session:
    session = workspace.session
    if session is None or not session.objects:
        raise ExportError("there is no object to show as a track; accept one first")
    return session


def _found(
    finder: TrackFinder, workspace: Workspace, session: Session, labels: Any,
    changed: Iterable[Plane] | None = None,
) -> Tracks:  # fmt: skip
    axes = workspace.frame.plane_axes + "YX"
    spacing = spacing_of_layer(workspace.image, workspace.frame.axes)
    return finder.find(
        labels, session.parents, changed=changed, axes=axes, name=workspace.image.name,
        scale=[spacing.size(axis) for axis in axes], units=[spacing.unit(axis) for axis in axes],
    )  # fmt: skip


@dataclass(eq=False)
class _Shown:
    """A Tracks layer, with what it was made from."""

    layer: TracksLayer
    session: weakref.ref[Session]
    finder: TrackFinder
    edition: int
    """Of the objects that the finder knows."""
    looked: int
    """Edition that was seen last, even if nothing could be shown of it."""
    taken_out: bool = False
    """By us, there being no object; else its user has done it, who does not want it."""
    told: str = ""


class TrackLayers:
    """Keeps the Tracks layers of images up to date."""

    def __init__(self) -> None:
        self._shown: WeakKeyDictionary[Image, _Shown] = WeakKeyDictionary()

    def show(self, viewer: Viewer, workspace: Workspace) -> TracksLayer:
        """Put the tracks of an image into the viewer, or bring them up to date.

        Raises
        ------
        ExportError
            If there is no object, or no time.
        """
        session = _session_with_objects(workspace)
        shown = self._shown.get(workspace.image)
        if shown is not None and shown.layer not in viewer.layers and not shown.taken_out:
            shown = None
        finder, changed = self._to_look_at(shown, session)
        edition = session.edition
        if shown is not None:
            shown.session, shown.finder = weakref.ref(session), finder
            shown.edition = shown.looked = edition
        tracks = _found(finder, workspace, session, session.labels, changed)
        data, graph = _as_napari(tracks, workspace)
        if shown is None:
            image = workspace.image
            layer = TracksLayer(
                data, graph=graph, name=f"{image.name} tracks", tail_width=3, **placement(image)
            )
            shown = _Shown(layer, weakref.ref(session), finder, edition, edition)
            self._shown[image] = shown
        else:
            shown.layer.graph = {}  # of ids that may be gone
            shown.layer.data = data
            shown.layer.graph = graph
        shown.taken_out, shown.told = False, ""
        if shown.layer not in viewer.layers:
            active = viewer.layers.selection.active
            viewer.add_layer(shown.layer)
            viewer.layers.selection.active = active
        return shown.layer

    @staticmethod
    def _to_look_at(
        shown: _Shown | None, session: Session
    ) -> tuple[TrackFinder, tuple[Plane, ...] | None]:
        """Return what finds the tracks, and which planes it has to read; None for all."""
        if shown is not None and shown.session() is session:
            return shown.finder, session.planes_edited_since(shown.edition)
        from napari_pvpu.export.tracks import TrackFinder

        return TrackFinder(), None

    def is_behind(self, workspace: Workspace) -> bool:
        """Tell whether objects or parents have changed since their tracks were shown; at no cost.

        Another session is looked at as soon as it has objects, those of the one before stay.
        """
        shown, session = self._shown.get(workspace.image), workspace.session
        if shown is None or session is None:
            return False
        if shown.session() is not session:
            return bool(session.objects)
        return shown.looked != session.edition

    def update(self, viewer: Viewer, workspace: Workspace) -> None:
        """Bring the tracks of an image up to date, if they are shown; tell if that cannot be."""
        shown, session = self._shown.get(workspace.image), workspace.session
        if shown is None or session is None or not self.is_behind(workspace):
            return
        shown.looked = session.edition
        there = shown.layer in viewer.layers
        if not there and not shown.taken_out:
            del self._shown[workspace.image]
        elif session.objects:
            try:
                self.show(viewer, workspace)
            except ExportError as error:
                if str(error) != shown.told:  # once, not at every step from now on
                    shown.told = str(error)
                    show_info(sentence(error))
        elif there:
            # napari knows no Tracks layer without a point.
            shown.taken_out = True
            viewer.layers.remove(shown.layer)


def _as_napari(tracks: Tracks, workspace: Workspace) -> tuple[Any, dict[int, list[int]]]:
    """Return rows (track, *position in the image layer), and parents by track."""
    frame, numbers = workspace.frame, tracks.numbers()
    rows = []
    for spot in tracks.spots:
        depth = dict(zip(tracks.image.axes.replace("T", ""), spot.center, strict=True))
        place = [depth.get(axis, float(spot.frame) if axis == "T" else 0.0) for axis in frame.axes]
        rows.append((numbers[spot.frame, spot.label], *place[: frame.ndim]))
    graph = {track.number: [track.parent] for track in tracks.tracks if track.parent}
    return np.array(sorted(rows), np.float64), graph
