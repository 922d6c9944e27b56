"""The objects of a movie as a Tracks layer of napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Tracks as TracksLayer

from napari_pvpu.errors import ExportError
from napari_pvpu.napari_side.geometry import placement
from napari_pvpu.napari_side.layer_axes import spacing_of_layer

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_pvpu.export.tracks import Tracks
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["TrackLayers", "tracks_of"]


def tracks_of(workspace: Workspace) -> Tracks:
    """Return the tracks of a session, in the layer's scale.

    Raises
    ------
    ExportError
        If there is no object, or no time.
    """
    from napari_pvpu.export.tracks import find_tracks

    session, frame = workspace.session, workspace.frame
    if session is None or not session.objects:
        raise ExportError("there is no object to show as a track; accept one first")
    axes = frame.plane_axes + "YX"
    spacing = spacing_of_layer(workspace.image, frame.axes)
    return find_tracks(
        np.array(session.labels), session.parents, axes=axes, name=workspace.image.name,
        scale=[spacing.size(axis) for axis in axes], units=[spacing.unit(axis) for axis in axes],
    )  # fmt: skip


class TrackLayers:
    """Keeps the Tracks layers of images up to date."""

    def __init__(self) -> None:
        self._layers: WeakKeyDictionary[Image, TracksLayer] = WeakKeyDictionary()

    def show(self, viewer: Viewer, workspace: Workspace) -> TracksLayer:
        """Put the tracks of an image into the viewer, or bring them up to date.

        Raises
        ------
        ExportError
            If there is no object, or no time.
        """
        data, graph = _as_napari(tracks_of(workspace), workspace)
        image = workspace.image
        layer = self._layers.get(image)
        if layer is None or layer not in viewer.layers:
            layer = TracksLayer(
                data, graph=graph, name=f"{image.name} tracks", tail_width=3,
                **placement(image),
            )  # fmt: skip
            self._layers[image] = layer
            active = viewer.layers.selection.active
            viewer.add_layer(layer)
            viewer.layers.selection.active = active
        else:
            layer.graph = {}  # of ids that may be gone
            layer.data = data
            layer.graph = graph
        return layer

    def update(self, viewer: Viewer | None, workspace: Workspace) -> None:
        """Bring the tracks of an image up to date, if they are shown."""
        layer = self._layers.get(workspace.image)
        if viewer is None or layer is None or layer not in viewer.layers:
            return
        if workspace.session is not None and workspace.session.objects:
            self.show(viewer, workspace)
        else:
            viewer.layers.remove(layer)


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
