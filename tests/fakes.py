"""A small predictor without a network, for tests of what stands around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.prompts import Box, Click, Prompt, Scribble
from napari_pvpu.records import RawPrediction

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Floats = npt.NDArray[np.float32]


class FloodPredictor:
    """Answers with what is connected to the positive prompts and of their brightness.

    It counts its calls, so that tests can tell what was computed.
    """

    propagation = "em"

    def __init__(self, view_size: int = 128, tolerance: float = 0.2) -> None:
        self.view_size = view_size
        self.tolerance = tolerance
        self.encoded = self.carried = 0
        self.decoded: list[tuple[tuple[Prompt, ...], bool, bool]] = []
        self.broken = False
        self._kept: dict[Hashable, Any] = {}

    def cached(self, key: Hashable) -> Any | None:
        return self._kept.get(key)

    def encode(self, view: Floats, key: Hashable | None = None) -> Any:
        assert view.shape == (3, self.view_size, self.view_size)
        assert view.dtype == np.float32
        self.encoded += 1
        features = np.nan_to_num(view[0], nan=-9)
        self._kept[key] = features
        return features

    def decode(
        self,
        features: Any,
        prompts: Sequence[Prompt],
        previous: Floats | None,
        propagation: Any | None,
    ) -> RawPrediction:
        if self.broken:
            raise RuntimeError("out of memory")
        self.decoded.append((tuple(prompts), previous is not None, propagation is not None))
        mask = np.zeros(features.shape, bool)
        for prompt in prompts:
            self._apply(mask, features, prompt)
        logits = np.where(mask, 6, -6).astype(np.float32)
        propagated = None
        if propagation is not None:
            propagated = np.where(ndimage.binary_erosion(mask), 6, -6).astype(np.float32)
        return RawPrediction(logits, propagated, 0.9 if mask.any() else 0.1, 1.0, 2.0)

    def carry(
        self, known: Sequence[tuple[Any, Floats, float]], features: Any, settings: Any
    ) -> Floats:
        if self.broken:
            raise RuntimeError("out of memory")
        self.carried += 1
        return np.asarray(known[0][1], np.float32)

    def _apply(self, mask: npt.NDArray[np.bool_], features: Floats, prompt: Prompt) -> None:
        size = self.view_size
        if isinstance(prompt, Box):
            (row0, col0), (row1, col1) = prompt.start, prompt.stop
            index = np.arange(size)
            inside = (
                ((index >= row0) & (index <= row1))[:, None] & (index >= col0) & (index <= col1)
            )
            mask[inside] = prompt.positive
            return
        points = [prompt.position] if isinstance(prompt, Click) else prompt.path
        assert isinstance(prompt, Click | Scribble)
        for row, col in np.clip(np.rint(points), 0, size - 1).astype(int):
            alike = np.abs(features - features[row, col]) < self.tolerance
            parts, _ = ndimage.label(alike)
            mask[parts == parts[row, col]] = prompt.positive
