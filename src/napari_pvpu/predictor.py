"""What a session needs of the network: numpy in, numpy out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_pvpu.prompts import Prompt
    from napari_pvpu.propagation import CarrySettings, PropagationSettings
    from napari_pvpu.records import RawPrediction

__all__ = ["Predictor"]

Floats = npt.NDArray[np.float32]


class Predictor(Protocol):
    """What a session needs of a segmenter: numpy in, numpy out."""

    @property
    def view_size(self) -> int:
        """Model pixels per side of a view."""

    @property
    def propagation(self) -> PropagationSettings:
        """Settings handed to `decode` when EM value propagation is on."""

    def cached(self, key: Hashable) -> Any | None:
        """Return features kept under this key, or None."""

    def encode(self, view: Floats, key: Hashable | None = None) -> Any:
        """Return features of a view (3, S, S), NaN outside the image, and keep them."""

    def decode(
        self,
        features: Any,
        prompts: Sequence[Prompt],
        previous: Floats | None,
        propagation: PropagationSettings | None,
    ) -> RawPrediction:
        """Answer prompts in view coordinates, given the previous probability (S, S)."""

    def carry(
        self, known: Sequence[tuple[Any, Floats, float]], features: Any, settings: CarrySettings
    ) -> Floats:
        """Return the probability (S, S) that an object has, carried from known planes."""
