"""Classical interactive segmentation from libraries, to measure our models against.

Random walker, watershed and flood fill come from scikit-image, Otsu's threshold too, GrabCut from
OpenCV (extra ``baselines``). All see the image and the prompts, nothing else. They work in windows
around the prompts (`markers`), several of them when no prompt tells the size of the object; the
mask whose inside differs most from its surroundings is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from scipy import ndimage

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.markers import (
    BACKGROUND,
    OBJECT,
    Prompts,
    Window,
    candidate_windows,
    make_window,
)
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BASELINES", "Baseline", "Predictor", "make_baseline"]

Solver: TypeAlias = Callable[[Window], "NDArray[np.bool_]"]

_EIGHT = np.ones((3, 3), dtype=bool)
_TOLERANCES = tuple(float(value) for value in np.geomspace(0.02, 0.6, 12))


class Predictor(Protocol):
    """Anything that answers prompts on an image with a mask."""

    def predict(
        self, image: NDArray[Any], prompts: Prompts, previous: RegionMask | None
    ) -> RegionMask:
        """Segment one object.

        Parameters
        ----------
        image : ndarray, shape (H, W) or (H, W, C)
            The whole image.
        prompts : sequence of prompts
            All so far, in order, in image coordinates (row, col).
        previous : RegionMask or None
            The answer before the last prompt; None at the first.

        Returns
        -------
        RegionMask
            Inside the image.
        """
        ...


class Baseline:
    """A classical method in windows around the prompts.

    Parameters
    ----------
    solver : callable
        Window in, mask over its arrays out.
    """

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._source: NDArray[Any] | None = None
        self._scaled: NDArray[np.float32] | None = None

    def predict(
        self, image: NDArray[Any], prompts: Prompts, previous: RegionMask | None
    ) -> RegionMask:
        """Segment one object; see `Predictor.predict`."""
        scaled = self._prepare(image)
        shape = (scaled.shape[0], scaled.shape[1])
        best, best_score = EMPTY_REGION, -np.inf
        for rect in candidate_windows(prompts, shape):
            window = make_window(scaled, rect, prompts, previous or EMPTY_REGION)
            if not (window.markers == OBJECT).any() or not (window.markers == BACKGROUND).any():
                continue
            mask = _with_markers(self._solver(window), window.markers)
            score = contrast(window.image, mask)
            if score > best_score:
                best, best_score = window.to_region(mask), score
        return best

    def _prepare(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Scale to about 0 to 1 by percentiles, once per image."""
        if self._scaled is None or self._source is not image:
            values = image.astype(np.float32)
            values = values[..., None] if values.ndim == 2 else values
            if values.shape[2] > 1 and np.all(values == values[..., :1]):
                values = values[..., :1]  # grey stored as colour: do not pay for it three times
            low, high = np.percentile(values, (0.5, 99.5))
            scaled = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.0)
            self._scaled = np.asarray(scaled, dtype=np.float32)
            self._source = image
        return self._scaled


def contrast(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """How much a mask's inside differs from its surroundings, for choosing among windows.

    Fisher's ratio of the thin bands on both sides of the mask's outline: squared difference of
    means over the sum of variances, summed over channels.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w, C)
        Intensities.
    mask : ndarray of bool, shape (h, w)
        A mask.

    Returns
    -------
    float
        0 and more; -1 when the mask is empty or has no surroundings.
    """
    outer = ndimage.binary_dilation(mask, _EIGHT, iterations=2) & ~mask
    inner = mask & ~ndimage.binary_erosion(mask, _EIGHT, iterations=2, border_value=1)
    if not outer.any() or not inner.any():
        return -1.0
    inside, outside = image[inner], image[outer]
    difference = (inside.mean(axis=0) - outside.mean(axis=0)) ** 2
    spread = inside.var(axis=0) + outside.var(axis=0) + 1e-4
    return float((difference / spread).sum())


def random_walker_mask(window: Window) -> NDArray[np.bool_]:
    """Grady's random walker (scikit-image, beta 130, conjugate gradients)."""
    from skimage.segmentation import random_walker

    if (window.markers != 0).all() or np.ptp(window.image) == 0:
        return watershed_mask(window)  # nothing to find out, or nothing but distances to go by
    with warnings.catch_warnings():
        # Asks for pyamg, and tells of probabilities a hair outside 0..1; both change nothing here.
        warnings.simplefilter("ignore", UserWarning)
        labels = random_walker(
            window.image, window.markers.astype(np.int32), mode="cg_j", channel_axis=-1
        )
    return np.asarray(labels == OBJECT)


def watershed_mask(window: Window) -> NDArray[np.bool_]:
    """Watershed of the gradient's magnitude from the markers."""
    from skimage.segmentation import watershed

    labels = watershed(_edges(window.image), window.markers.astype(np.int32))
    return np.asarray(labels == OBJECT)


def grabcut_mask(window: Window) -> NDArray[np.bool_]:
    """GrabCut (OpenCV, 5 iterations).

    Unknown pixels start as probably object where the previous mask is, else in the middle half of
    the window, or inside the box when there is one.
    """
    cv2 = _opencv()
    markers = window.markers
    probable = window.previous
    if not probable.any():
        probable = np.zeros(markers.shape, dtype=bool)
        rows, cols = np.nonzero(markers != BACKGROUND)
        if rows.size:
            middle = [(values.min() + values.max()) / 2 for values in (rows, cols)]
            reach = [max((values.max() - values.min()) / 4, 1.0) for values in (rows, cols)]
            row, col = np.ogrid[: markers.shape[0], : markers.shape[1]]
            near = np.abs(row - middle[0]) <= reach[0]
            probable = near & (np.abs(col - middle[1]) <= reach[1])
    state = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    state[markers == OBJECT] = cv2.GC_FGD
    state[markers == BACKGROUND] = cv2.GC_BGD
    colour = np.clip(window.image * 255, 0, 255).astype(np.uint8)
    channels = [min(index, colour.shape[2] - 1) for index in range(3)]
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(colour[..., channels])
    cv2.grabCut(bgr, state, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    return np.asarray((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD))


def otsu_mask(window: Window) -> NDArray[np.bool_]:
    """The object's side of a threshold: Otsu's, or midway between the markers of both kinds.

    The second when Otsu's leaves some negative prompt on the object's side and the two kinds
    differ.
    """
    from skimage.filters import threshold_otsu

    grey = ndimage.gaussian_filter(window.image.mean(axis=2), 0.7)
    if np.ptp(grey) == 0:
        return np.asarray(window.markers == OBJECT)
    level = float(grey[window.markers == OBJECT].mean())
    threshold = float(threshold_otsu(grey))
    mask = grey > threshold if level > threshold else grey <= threshold
    negative = _inner_background(window.markers)
    if (mask & negative).any():
        other = float(grey[negative].mean())
        middle = (level + other) / 2
        mask = grey > middle if level > other else grey < middle
    return np.asarray(mask & (window.markers != BACKGROUND))


def flood_mask(window: Window) -> NDArray[np.bool_]:
    """Flood fill from the object's markers; the tolerance with the best contrast.

    Tolerances that reach background markers are worse than any that do not.
    """
    grey = ndimage.gaussian_filter(window.image.mean(axis=2), 0.7)
    start = window.markers == OBJECT
    level = float(np.median(grey[start]))
    background = window.markers == BACKGROUND
    best, best_score = np.asarray(start), -np.inf
    for tolerance in _TOLERANCES:
        alike = (np.abs(grey - level) <= tolerance) | start
        filled = _holding(alike, start)
        hits = int(np.count_nonzero(filled & background))
        filled &= ~background
        score = contrast(window.image, filled) - 1e6 * hits / background.sum()
        if score > best_score:
            best, best_score = filled, score
    return best


BASELINES: dict[str, Solver] = {
    "random-walker": random_walker_mask,
    "grabcut": grabcut_mask,
    "watershed": watershed_mask,
    "flood": flood_mask,
    "otsu": otsu_mask,
}


def make_baseline(name: str) -> Baseline:
    """Build a classical method by name.

    Parameters
    ----------
    name : str
        One of `BASELINES`.

    Returns
    -------
    Baseline

    Raises
    ------
    PvpuError
        When there is no such method, or its library is not installed.
    """
    if name not in BASELINES:
        raise PvpuError(f"unknown method {name!r}; use pvpu or one of {', '.join(BASELINES)}")
    if name == "grabcut":
        _opencv()
    return Baseline(BASELINES[name])


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise PvpuError(
            "the grabcut method needs OpenCV, which is not installed; "
            "run: pip install 'napari-pvpu[baselines]'"
        ) from error
    return cv2


def _edges(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gradient magnitude of the smoothed image, root of the sum of squares over channels."""
    total = np.zeros(image.shape[:2])
    for channel in range(image.shape[2]):
        total += ndimage.gaussian_gradient_magnitude(image[..., channel].astype(float), 1.0) ** 2
    return np.sqrt(total)


def _inner_background(markers: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Background that prompts mark, without the window's own edges."""
    inner = markers == BACKGROUND
    inner[[0, -1]] = False
    inner[:, [0, -1]] = False
    return np.asarray(inner)


def _holding(mask: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of a mask that hold a seed."""
    parts, count = ndimage.label(mask)
    keep = np.zeros(count + 1, dtype=bool)
    keep[parts[seeds]] = True
    keep[0] = False
    return np.asarray(keep[parts])


def _with_markers(mask: NDArray[np.bool_], markers: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Obey the markers, keep only what hangs together with them, fill holes without negatives."""
    seeds = markers == OBJECT
    kept = _holding((mask | seeds) & (markers != BACKGROUND), seeds)
    return np.asarray(ndimage.binary_fill_holes(kept) & (markers != BACKGROUND))
