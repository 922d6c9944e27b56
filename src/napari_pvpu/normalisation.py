"""From an image's values to what the network takes: 0 to 1, finite, three channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "PROJECTIONS",
    "Limits",
    "Normalisation",
    "check_projection",
    "percentile_limits",
    "project",
    "three_channels",
]

Limits = tuple[Any, Any]
"""Values that become 0 and 1: two numbers, or one of each for every channel in use."""

PERCENTILES = (0.5, 99.5)

PROJECTIONS = ("mean", "max", "first three")
"""What becomes of more than three channels."""


class Normalisation:
    """Maps values linearly so that `low` becomes 0 and `high` 1, and clips there.

    Parameters
    ----------
    low, high : float or sequence of float
        For all channels or for each.
    gamma : float
        Exponent applied afterwards, as napari's of an image layer; above 1 it darkens.
    channels : int
        How many.

    Raises
    ------
    ImageError
        If a limit is not finite, low is not below high, or there is another number of them.
    """

    def __init__(self, low: Any, high: Any, gamma: float, channels: int) -> None:
        self._low, self._high = (_spread(limit, channels) for limit in (low, high))
        if not (np.isfinite(self._low).all() and np.isfinite(self._high).all()):
            raise ImageError(f"the limits ({low}, {high}) are not finite; pass two numbers")
        if not (self._low < self._high).all():
            raise ImageError(
                f"the limits ({low}, {high}) leave nothing between them; pass (low, high) with "
                "low < high"
            )
        if not 0 < gamma < float("inf"):
            raise ImageError(f"gamma has to be a positive number, not {gamma}; 1 changes nothing")
        self._gamma = float(gamma)
        self._single = _prepared(self._low, self._high, np.float32)
        self._double = _prepared(self._low, self._high, np.float64)
        self._single_suffices = bool((self._single[1] > 0).all())

    @property
    def limits(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Values that become 0 and 1, for each channel."""
        return tuple(self._low.tolist()), tuple(self._high.tolist())

    @property
    def gamma(self) -> float:
        """The exponent."""
        return self._gamma

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Map values (C, h, w) to 0..1; NaN and -inf become 0, +inf 1."""
        # float32 would drown small steps on a large offset.
        wide = pixels.dtype.itemsize > 2 or not self._single_suffices
        values: npt.NDArray[Any] = pixels.astype(np.float64 if wide else np.float32)
        low, span = self._double if wide else self._single
        with np.errstate(over="ignore", invalid="ignore"):
            values = (values - low) / span
        if pixels.dtype.kind == "f":
            np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        shares: npt.NDArray[np.float32] = np.asarray(values.clip(0, 1), np.float32)
        return shares if self._gamma == 1 else np.power(shares, np.float32(self._gamma))


def percentile_limits(values: npt.NDArray[Any]) -> tuple[float, float] | None:
    """Return the two percentiles of the finite values, or their range if those are equal."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0:
        return None
    if values.dtype.itemsize < 4:
        values = values.astype(np.float32)  # bool has no percentiles, float16 only rough ones
    low, high = np.percentile(values, PERCENTILES)
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high)


def check_projection(projection: str) -> str:
    """Return the projection.

    Raises
    ------
    ImageError
        If there is none of that name.
    """
    if projection not in PROJECTIONS:
        known = ", ".join(f'"{each}"' for each in PROJECTIONS)
        raise ImageError(f"there is no projection {projection!r} of channels; choose from {known}")
    return projection


def project(values: npt.NDArray[np.float32], projection: str) -> npt.NDArray[np.float32]:
    """Join channels where that has to happen at full resolution: the maximum of more than three."""
    if projection == "max" and len(values) > 3:
        return np.asarray(values.max(axis=0, keepdims=True))
    return values


def three_channels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn (C, h, w) into (3, h, w): two become (first, second, mean), more than three the mean."""
    count = len(values)
    if count == 3:
        return values
    if count == 2:
        return np.concatenate([values, values.mean(axis=0, keepdims=True)])
    return np.broadcast_to(values.mean(axis=0), (3, *values.shape[1:]))


def _prepared(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], dtype: type[np.floating[Any]]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return low and the span to high, (C, 1, 1), to go with values (C, h, w)."""
    with np.errstate(over="ignore", invalid="ignore"):
        start: npt.NDArray[Any] = low.astype(dtype)[:, None, None]
        return start, np.asarray(high.astype(dtype)[:, None, None] - start)


def _spread(limit: float | Sequence[float], channels: int) -> npt.NDArray[np.float64]:
    """Return one limit for each channel."""
    try:
        values = np.asarray(limit, np.float64)
    except (TypeError, ValueError) as error:
        raise ImageError(f"{limit!r} is no limit of values; pass a number") from error
    if values.shape not in ((), (1,), (channels,)):
        raise ImageError(
            f"there are {values.size} limits for {channels} channels in use; pass one, or one for "
            "each"
        )
    return np.array(np.broadcast_to(values, (channels,)))
