"""What the axes of an image layer are, which plane a viewer shows, and how far pixels are apart.

Only the public API of layers and of the viewer's model is used; nothing here needs a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.axes import Layout, guess_axes
from napari_pvpu.axes_metadata import axes_from_labels, axes_from_metadata, fit_axes
from napari_pvpu.errors import ImageError
from napari_pvpu.sections import SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = [
    "Spacing",
    "axes_of_layer",
    "distances",
    "plane_of_view",
    "spacing_of_layer",
    "unit_ratios",
]

FLAT = 1e-6
"""Planes that a step across the canvas may cross, per pixel, for a slice to count as one plane."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distances between neighbouring pixels of a layer.

    Attributes
    ----------
    axes : str
        The axes, without the channel axis.
    sizes : tuple of float
        Length of one step along each, in world coordinates.
    units : tuple of str
        Of what, for each; ``"pixel"`` where nobody said.
    """

    axes: str
    sizes: tuple[float, ...]
    units: tuple[str, ...]

    @property
    def pixel(self) -> tuple[float, float]:
        """Height and width of a pixel."""
        return self.size("Y"), self.size("X")

    def size(self, axis: str) -> float:
        """Length of a step along an axis."""
        return self.sizes[self.axes.index(axis)]

    def unit(self, axis: str) -> str:
        """Unit of an axis."""
        return self.units[self.axes.index(axis)]


def axes_of_layer(layer: Image) -> str:
    """Return the axes of an image layer's data, the colours of an RGB layer included.

    What the layer's axis labels say comes first, then its metadata, then what napari shows: the
    last two axes are Y and X, and those with a slider are planes. Only of five axes one is taken
    for channels.

    Raises
    ------
    ImageError
        If the layer has fewer than two axes, or more than five that nobody named.
    """
    samples = "S" if layer.rgb else ""
    found = fit_axes(axes_from_labels(layer.axis_labels), layer.ndim)
    if found is None:
        told = axes_from_metadata(layer.metadata)
        # Files count the colours among their axes, layers do not.
        found = fit_axes(told.replace("S", "") if told and samples else told, layer.ndim)
    if found is not None and samples:
        found = found.replace("C", "")
        found = found if len(found) == layer.ndim else None
    return (found or _axes_as_shown(layer)) + samples


def _axes_as_shown(layer: Image) -> str:
    if layer.ndim in (2, 3, 4):
        return "TZYX"[-layer.ndim :]
    try:
        return guess_axes(_shape(layer))
    except ImageError:
        if layer.ndim == 5 and not layer.rgb:
            return "TCZYX"
        raise


def _shape(layer: Image) -> tuple[int, ...]:
    """Return the lengths of the layer's axes, without the colours."""
    full = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(length) for length in full.shape[: layer.ndim])


def plane_of_view(
    layer: Image, viewer: ViewerModel, axes: str | None = None
) -> tuple[int, ...] | None:
    """Return the plane of a layer that a viewer shows.

    Parameters
    ----------
    layer : napari.layers.Image
        One of the viewer's.
    viewer : napari.components.ViewerModel
        A viewer.
    axes : str, optional
        The layer's, by default `axes_of_layer`.

    Returns
    -------
    tuple of int or None
        A position for each plane axis; if other axes than rows and columns are displayed, the
        address of a section, see `napari_pvpu.sections`. None in 3-D and with channels on the
        canvas, if the slice cuts askew through several planes, or if the layer has no plane where
        the sliders are.
    """
    layout, dims = Layout(axes or axes_of_layer(layer)), viewer.dims
    ahead = dims.ndim - layer.ndim  # layers of fewer axes are aligned at the last
    shown = {axis - ahead for axis in dims.displayed}
    own = shown == {layout.rows, layout.cols}
    if ahead < 0 or len(shown) != 2 or min(shown) < 0 or layout.channel in shown:
        return None
    here = np.asarray(dims.point, np.float64)[ahead:] * unit_ratios(layer, viewer)
    index = np.asarray(layer.world_to_data(here))
    for axis in shown:
        step = np.zeros(layer.ndim)
        step[axis] = _step_length(layer, axis)
        crossed = np.asarray(layer.world_to_data(here + step)) - index
        if np.abs(np.delete(crossed, sorted(shown))).max(initial=0) > FLAT:
            return None
    shape = _shape(layer)
    axes_of_plane = layout.planes if own else (*layout.planes, layout.rows, layout.cols)
    plane = tuple(SHOWN if axis in shown else int(np.round(index[axis])) for axis in axes_of_plane)
    inside = all(
        axis in shown or 0 <= at < shape[axis]
        for at, axis in zip(plane, axes_of_plane, strict=True)
    )
    return plane if inside else None


def spacing_of_layer(layer: Image, axes: str | None = None) -> Spacing:
    """Return how far neighbouring pixels of a layer are apart, with every transform it has.

    Parameters
    ----------
    layer : napari.layers.Image
        Any.
    axes : str, optional
        The layer's, by default `axes_of_layer`.
    """
    layout = Layout(axes or axes_of_layer(layer))
    kept = [axis for axis in range(layer.ndim) if axis != layout.channel]
    return Spacing(
        "".join(layout.axes[axis] for axis in kept),
        tuple(_step_length(layer, axis) for axis in kept),
        tuple(str(layer.units[axis]) for axis in kept),
    )


def distances(layer: Image, axes: Sequence[int]) -> tuple[float, ...]:
    """Return how far pixels are apart along axes of a layer, in the unit of the last of them.

    Along axes of units of another kind, such as seconds, in their own.
    """
    last = layer.units[axes[-1]]
    found = []
    for axis in axes:
        unit, ratio = layer.units[axis], 1.0
        if unit.dimensionality == last.dimensionality:
            ratio = _in_base_units(unit) / _in_base_units(last)
        found.append(_step_length(layer, axis) * ratio)
    return tuple(found)


def _step_length(layer: Image, axis: int) -> float:
    """Length in the world of a step along an axis of the data."""
    start, stop = np.zeros((2, layer.ndim))
    stop[axis] = 1
    return float(np.linalg.norm(np.subtract(layer.data_to_world(stop), layer.data_to_world(start))))


def unit_ratios(layer: Image, viewer: ViewerModel) -> npt.NDArray[np.float64]:
    """Return the units of the viewer's world in those of the layer, for each axis of the layer."""
    world, own = viewer.layers.units, layer.units
    if world is None or len(world) < len(own):
        return np.ones(layer.ndim)
    pairs = zip(world[-len(own) :], own, strict=True)
    return np.array([_in_base_units(one) / _in_base_units(two) for one, two in pairs])


def _in_base_units(unit: Any) -> float:
    return float((1 * unit).to_base_units().magnitude)
