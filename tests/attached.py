"""A controller at work on an image, and what is in its viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu import attach

if TYPE_CHECKING:
    import numpy as np

    from napari_pvpu.napari_side.controller import Controller


def attached(viewer, image: np.ndarray) -> Controller:
    """Add an image to a viewer, attach to it, and wait until all is ready."""
    viewer.add_image(image, name="blobs")
    controller = attach(viewer)
    assert controller.wait()
    assert controller.trouble is None
    return controller


def names(viewer) -> set[str]:
    """Return the names of all layers."""
    return {layer.name for layer in viewer.layers}
