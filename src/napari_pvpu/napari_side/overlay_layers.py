"""Layers that show what the network thinks: probability, doubt, and where to click next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Points

from napari_pvpu.napari_side.geometry import placement
from napari_pvpu.napari_side.prompt_rows import COLORS, NEGATIVE, POSITIVE, set_sizes
from napari_pvpu.napari_side.spare_rows import put_points

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.frame import Frame
    from napari_pvpu.session import Session

__all__ = ["HINT", "OVERLAYS", "PROBABILITY", "UNCERTAINTY", "Overlays"]

PROBABILITY, UNCERTAINTY, HINT = "probability", "uncertainty", "hint"
OVERLAYS = {
    PROBABILITY: "Probability",
    UNCERTAINTY: "Uncertainty",
    HINT: "Next click",
}
"""Names of the layers; each is there as long as it is wanted."""

COLORMAPS = {PROBABILITY: "magma", UNCERTAINTY: "inferno"}
"""Both begin with black, which adds nothing to the image below."""


class Overlays:
    """Optional layers over the object at work.

    Parameters
    ----------
    frame : Frame
        Of the image.
    preview : Layer
        Above which pictures would hide the object.
    """

    def __init__(self, frame: Frame, preview: Layer) -> None:
        self._frame, self._preview = frame, preview
        self._layers: dict[str, Layer] = {}
        self.wanted: set[str] = set()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those that there are."""
        return tuple(self._layers.values())

    def turn(self, viewer: Viewer, name: str, on: bool) -> None:
        """Add one of the layers, or take it away."""
        if on:
            self.wanted.add(name)
            self.show(viewer)
        else:
            self.wanted.discard(name)
            layer = self._layers.pop(name, None)
            if layer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)

    def show(self, viewer: Viewer) -> None:
        """Put all that are wanted into the viewer, without taking the tool out of the hand."""
        below = self._preview
        active = viewer.layers.selection.active
        for name in sorted(self.wanted - self._layers.keys()):
            layer = self._layers[name] = self._made(name)
            if name == HINT or below not in viewer.layers:
                viewer.add_layer(layer)
            else:
                viewer.layers.insert(viewer.layers.index(below), layer)
        if active is not None and viewer.layers.selection.active is not active:
            viewer.layers.selection.active = active

    def hide(self, viewer: Viewer) -> None:
        """Take all away; `show` brings them back."""
        for layer in self.layers:
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        self._layers.clear()

    def forget(self, layer: Layer) -> bool:
        """Note that the user has deleted one of the layers; False if it is none of these."""
        gone = [name for name, known in self._layers.items() if known is layer]
        for name in gone:
            del self._layers[name]
            self.wanted.discard(name)
        return bool(gone)

    def update(self, viewer: Viewer | None, session: Session | None) -> None:
        """Show the object at work in the plane at work; nothing without a session."""
        for name, layer in self._layers.items():
            if isinstance(layer, Points):
                self._update_hint(viewer, layer, session)
            elif isinstance(layer, Image):
                self._update_image(name, layer, session)

    def match(self) -> None:
        """Follow the image's transform; places within the image follow with `update`."""
        for layer in self._layers.values():
            if isinstance(layer, Points):
                self._frame.place(layer)

    def _made(self, name: str) -> Layer:
        frame = self._frame
        there = placement(frame.image)
        if name == HINT:
            layer: Layer = Points(
                ndim=frame.ndim, name=OVERLAYS[name], symbol="ring", face_color="transparent",
                border_width=0.1, **there,
            )  # fmt: skip
            frame.place(layer)
            return layer
        return Image(
            np.zeros((1,) * frame.ndim, np.float32), name=OVERLAYS[name], rgb=False,
            colormap=COLORMAPS[name], contrast_limits=(0, 1), opacity=0.6, blending="additive",
            **there,
        )  # fmt: skip

    def _update_image(self, name: str, layer: Image, session: Session | None) -> None:
        values, offset = np.zeros((1, 1), np.float32), (0, 0)
        if session is not None:
            region = session.region
            found = region.probability if name == PROBABILITY else session.uncertainty
            if found.size:
                values, offset = found, (region.row, region.col)
        with layer.events.blocker_all():
            layer.data = self._frame.lift(values)
            self._frame.place(layer, offset)
        layer.refresh()

    def _update_hint(self, viewer: Viewer | None, layer: Points, session: Session | None) -> None:
        hint = session.next_click_hint() if session is not None else None
        if hint is None or viewer is None:
            put_points(layer, np.zeros((0, self._frame.ndim)))
            return
        put_points(layer, self._frame.write([hint.position], layer))
        layer.border_color = COLORS[POSITIVE if hint.positive else NEGATIVE]
        layer.selected_data = set()
        set_sizes(layer, 2 * self._frame.screen_pixel(viewer))
