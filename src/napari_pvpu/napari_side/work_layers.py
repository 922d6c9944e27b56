"""The layers that lie over an image as long as it is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_pvpu.napari_side.overlay_layers import Overlays
from napari_pvpu.napari_side.painting import Painting
from napari_pvpu.napari_side.prompt_layers import PromptLayers
from napari_pvpu.napari_side.result_layers import Preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame

__all__ = ["WorkLayers"]


class WorkLayers:
    """Prompts, the object at work with room to paint in, and what may be shown over it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    frame : Frame
        Of the image.
    on_edit : callable
        Called after the user has changed the prompts.
    """

    def __init__(self, viewer: Viewer, frame: Frame, on_edit: Callable[[], None]) -> None:
        self.prompts = PromptLayers(viewer, frame, on_edit, show_info)
        self.preview = Preview(frame)
        self.painting = Painting(viewer, frame, self.preview)
        self.overlays = Overlays(frame, self.preview.layer)
        self._names = {layer: layer.name for layer in self.layers}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those that are always there, from the bottom up."""
        clicks, strokes = self.prompts.layers
        return self.preview.layer, strokes, clicks

    def add_to(self, viewer: Viewer) -> None:
        """Put all into a viewer."""
        for layer in self.layers:
            viewer.add_layer(layer)
            self._names[layer] = layer.name  # napari adds a number to names that are taken
        self.overlays.show(viewer)
        self.painting.show()

    def take_from(self, viewer: Viewer) -> None:
        """Take all out again; everything is kept."""
        self.painting.hide()
        self.overlays.hide(viewer)
        here = [layer for layer in self.layers if layer in viewer.layers]
        if here:
            # In one go: napari collects garbage each time, a third of a second with torch loaded.
            with viewer.layers.batched_update():
                for layer in here:
                    viewer.layers.remove(layer)

    def match(self) -> None:
        """Follow the image's transform."""
        self.prompts.match()
        self.preview.match()
        self.overlays.match()

    def restore(self, viewer: Viewer) -> bool:
        """Put back what the user has deleted, and names; False if no layer was missing."""
        gone = [layer for layer in self.layers if layer not in viewer.layers]
        above: Layer | None = None
        for layer in reversed(self.layers):
            if layer in gone:
                end = len(viewer.layers)
                viewer.layers.insert(end if above is None else viewer.layers.index(above), layer)
            elif layer.name != self._names[layer]:
                layer.name = self._names[layer]
                show_info(f"“{layer.name}” keeps its name, by which hints speak of it.")
            above = layer
        if gone:
            named = " and ".join(f"“{layer.name}”" for layer in gone)
            show_info(
                f"{named} {'are' if len(gone) > 1 else 'is'} needed to segment; close the panel "
                "to take the working layers away."
            )
        return bool(gone)
