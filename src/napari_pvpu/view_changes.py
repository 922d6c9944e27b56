"""Show in one view what is known of an object in another, or in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pvpu.masks import sigmoid
from napari_pvpu.resample import Axis, resample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_pvpu.prompts import PriorMask
    from napari_pvpu.views import View

__all__ = ["agreement", "carry", "carry_probability", "carry_raster", "prior_probability"]

Floats = npt.NDArray[np.float32]


def carry(values: npt.NDArray[np.generic], old: View, new: View) -> Floats:
    """Show a raster of one view in another, (S, S), 0 where nothing is known."""
    if old == new:
        return values.astype(np.float32)
    return _show(values, (old.row, old.col), old.spacing, new)


def carry_probability(logits: npt.NDArray[np.floating], old: View, new: View) -> Floats:
    """Show logits of one view as probabilities in another, (S, S), 0 where nothing is known."""
    return carry(sigmoid(logits), old, new)


def carry_raster(values: npt.NDArray[np.generic], origin: tuple[int, int], view: View) -> Floats:
    """Show data pixels, the first of them at `origin`, in a view, (S, S), 0 elsewhere."""
    return _show(values, origin, (1.0, 1.0), view)


def agreement(one: Floats, one_view: View, two: Floats, two_view: View, cut: float) -> float:
    """Return the intersection over union, in the image, of masks seen in two views.

    Parameters
    ----------
    one, two : array, (S, S), float32
        Settled logits.
    one_view, two_view : View
        Where they lie.
    cut : float
        Logit above which a pixel belongs to the mask.
    """
    if one_view.extent > two_view.extent:
        one, one_view, two, two_view = two, two_view, one, one_view
    fine, coarse = one > cut, two > cut
    seen = _show(coarse, (two_view.row, two_view.col), two_view.spacing, one_view)
    # Of one image, so that the views have the aspect of their pixels in common.
    shared = float(seen[fine].sum()) / one_view.scale**2
    areas = fine.sum() / one_view.scale**2 + coarse.sum() / two_view.scale**2
    return float(shared / max(areas - shared, 1e-9))


def prior_probability(priors: Iterable[PriorMask], view: View) -> Floats | None:
    """Show prior masks in a view, (S, S) 0 to 1; None if there are none."""
    shown = [_show(prior.mask, prior.offset, (1.0, 1.0), view) for prior in priors]
    return np.maximum.reduce(shown) if shown else None


def _show(
    values: npt.NDArray[np.generic], origin: Sequence[int], steps: tuple[float, float], view: View
) -> Floats:
    """Resample a raster whose pixels are `steps` data pixels high and wide into a view."""
    out = np.zeros((view.size, view.size), np.float32)
    slices, reads, axes = [], [], []
    for start, first, length, step, spacing in zip(
        origin, (view.row, view.col), values.shape, steps, view.spacing, strict=True
    ):
        first_center = first - 0.5 + spacing / 2
        centers = first_center + spacing * np.arange(view.size)
        known = np.flatnonzero((centers >= start - 0.5) & (centers < start - 0.5 + length * step))
        if len(known) == 0:
            return out
        # Only what lies in the view is read, with a pixel more for the kernel.
        low = max(int((centers[known[0]] - spacing - start) / step) - 1, 0)
        high = min(int((centers[known[-1]] + spacing - start) / step) + 2, length)
        slices.append(slice(known[0], known[-1] + 1))
        reads.append(slice(low, high))
        source: Axis = (start - 0.5 + (low + 0.5) * step, step, high - low)
        axes.append((source, (float(centers[known[0]]), spacing, len(known))))
    window = values[reads[0], reads[1]].astype(np.float32)
    out[slices[0], slices[1]] = resample(window, axes[0], axes[1])
    return out
