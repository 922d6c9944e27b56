"""Any array-like as an image that can be looked at through views.

Only windows of the image are ever read, and of those only as many pixels as a view can show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import ImageError
from napari_pvpu.resample import Axis, resample

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_pvpu.views import View

__all__ = ["ImageSource"]

MOST_GUESSED_CHANNELS = 4
"""A third axis of at most this length, at the end and shorter than the others, is channels."""

OVERSAMPLING = 4
"""Pixels per model pixel along an axis that are enough; of twice as many every second is read."""

SAMPLES = 1_000_000
"""Pixels that the normalisation looks at, about."""

SAMPLING_GRID = 8
"""Windows per axis that are sampled of images that are not in memory."""

PERCENTILES = (0.5, 99.5)


class ImageSource:
    """An image seen as three float channels, read window by window.

    Parameters
    ----------
    image : array-like
        (Y, X) or with one channel axis; numpy, memory map, dask, zarr or anything that has
        ``shape``, ``dtype`` and slicing. bool, integers or floats. It is kept, never copied.
    channels : int or sequence of int, optional
        Which channels to use, in this order; by default all.
    channel_axis : int, optional
        Which axis holds the channels. By default the last of three, if it is not longer than 4
        and shorter than the others.
    rgb : bool, optional
        Whether the channels are red, green, blue (and alpha, which is ignored) and share one
        normalisation. By default true for 3 or 4 channels of uint8 at the end.

    Raises
    ------
    ImageError
        If dimensions, dtype, axis or channels do not fit, or the image is empty, has no finite
        value or is constant.

    Notes
    -----
    One channel becomes three equal ones; two become (first, second, mean); three stay; more are
    averaged. Values are scaled so that the percentiles 0.5 and 99.5 (of each channel, of all
    together for rgb) become 0 and 1, and clipped there. In the image NaN and -inf become 0 and
    +inf becomes 1; only what lies outside it is NaN.
    """

    def __init__(
        self,
        image: Any,
        *,
        channels: int | Sequence[int] | None = None,
        channel_axis: int | None = None,
        rgb: bool | None = None,
    ) -> None:
        if not (hasattr(image, "shape") and hasattr(image, "dtype")):
            image = np.asarray(image)
        self._image = image
        self._token = object()
        dtype = _check_dtype(image.dtype)
        dimensions = tuple(int(length) for length in image.shape)
        if 0 in dimensions:
            raise ImageError(f"the image of shape {dimensions} is empty; pass one with pixels")
        self._axis = _find_channel_axis(dimensions, channel_axis)
        count = 1 if self._axis is None else dimensions[self._axis]
        self._shape = tuple(n for axis, n in enumerate(dimensions) if axis != self._axis)
        if rgb is None:
            rgb = count in (3, 4) and self._axis == 2 and dtype == np.uint8 and channels is None
        if rgb and count not in (3, 4):
            raise ImageError(f"an rgb image has 3 or 4 channels, not {count}; pass rgb=False")
        everything = list(range(3 if rgb else count))
        self._channels = everything if channels is None else _check_channels(channels, count)
        self._rgb = rgb
        self._low, self._high = self._find_range()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return (self._shape[0], self._shape[1])

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of the plane axes; ``()`` for a single plane."""
        return ()

    def at(self, plane: tuple[int, ...]) -> ImageSource:
        """Return one plane of the image; the only one of a single plane is ``()``.

        Raises
        ------
        ImageError
            If there is no such plane.
        """
        if plane != ():
            raise ImageError(f"there is no plane {plane} in a single plane; its index is ()")
        return self

    @property
    def token(self) -> Hashable:
        """A key that no other source has."""
        return self._token

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels in use."""
        return tuple(self._channels)

    @property
    def limits(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Values that become 0 and 1, for each channel in use."""
        return tuple(self._low.tolist()), tuple(self._high.tolist())

    def read_view(self, view: View) -> npt.NDArray[np.float32]:
        """Read the window of a view at the view's size.

        Parameters
        ----------
        view : View
            May leave the image on any side.

        Returns
        -------
        array, (3, S, S), float32
            0 to 1, NaN in model pixels whose centre lies outside the image.
        """
        out = np.full((3, view.size, view.size), np.nan, np.float32)
        rows = _Overlap(view.row, view, self.shape[0])
        cols = _Overlap(view.col, view, self.shape[1])
        if rows.empty or cols.empty:
            return out
        pixels = self._scaled(self._read(rows.pixels, cols.pixels))
        rows_axis, cols_axis = rows.source, cols.source
        # Halving by means first is much cheaper than one wide triangle, and what training does.
        while min(rows_axis[1], cols_axis[1]) * view.scale <= 0.5:
            pixels, rows_axis, cols_axis = _halve(pixels, rows_axis, cols_axis)
        seen = resample(pixels, (rows_axis, rows.target), (cols_axis, cols.target))
        out[:, rows.inside, cols.inside] = _three_channels(seen)
        return out

    def _read(self, rows: slice, cols: slice) -> npt.NDArray[Any]:
        """Read a window of the channels in use, (C, h, w) of the image's dtype."""
        if self._axis is None:
            return np.asarray(self._image[rows, cols])[None]
        index: list[Any] = [rows, cols]
        index.insert(self._axis, slice(None))
        if len(self._channels) == self._image.shape[self._axis]:
            return np.moveaxis(np.asarray(self._image[tuple(index)]), self._axis, 0)[self._channels]
        planes = []
        for channel in self._channels:
            index[self._axis] = channel
            planes.append(np.asarray(self._image[tuple(index)]))
        return np.stack(planes)

    def _scaled(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Map the image's values to 0..1 and make them finite."""
        wide = pixels.dtype.itemsize > 2  # float32 would drown small steps on a large offset
        values = pixels.astype(np.float64 if wide else np.float32)
        low, high = (limit.astype(values.dtype)[:, None, None] for limit in (self._low, self._high))
        with np.errstate(over="ignore", invalid="ignore"):
            values = (values - low) / (high - low)
        if pixels.dtype.kind == "f":
            np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        return np.asarray(values.clip(0, 1), np.float32)

    def _find_range(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the values that become 0 and 1, one pair for each channel in use."""
        sample = self._sample().reshape(len(self._channels), -1)
        groups = [sample.ravel()] * len(sample) if self._rgb else list(sample)
        found = {id(group): _limits(group) for group in groups}
        limits = [found[id(group)] for group in groups]
        known = [pair for pair in limits if pair is not None]
        if not known:
            raise ImageError("the image has no finite value; pass one with something to see")
        if all(low == high for low, high in known):
            limits = self._search_contrast()
        low, high = np.array([pair or (0.0, 1.0) for pair in limits], np.float64).T
        return low, np.where(high > low, high, low + 1)

    def _sample(self) -> npt.NDArray[Any]:
        """Return about `SAMPLES` pixels of the channels in use, (C, ...)."""
        height, width = self.shape
        share = max(1.0, height * width * len(self._channels) / SAMPLES)
        if isinstance(self._image, np.ndarray) or share == 1:
            step = int(np.ceil(np.sqrt(share)))
            return self._read(slice(0, None, step), slice(0, None, step))
        # A stride would touch every chunk of a lazy array: windows touch a few.
        side = int(np.sqrt(SAMPLES / len(self._channels))) // SAMPLING_GRID
        windows = [
            self._read(rows, cols)
            for rows in _spread_windows(height, side)
            for cols in _spread_windows(width, side)
        ]
        return np.concatenate([w.reshape(len(self._channels), -1) for w in windows], axis=1)

    def _search_contrast(self) -> list[tuple[float, float] | None]:
        """Look for the rare values of an image whose sample is constant."""
        extremes: list[list[float]] = [[] for _ in self._channels]
        side = 2048
        for row in range(0, self.shape[0], side):
            for col in range(0, self.shape[1], side):
                block = self._read(slice(row, row + side), slice(col, col + side))
                for values, plane in zip(extremes, block, strict=True):
                    finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
                    if finite.size:
                        values.extend((float(finite.min()), float(finite.max())))
        limits = [(min(values), max(values)) if values else None for values in extremes]
        if all(pair is None or pair[0] == pair[1] for pair in limits):
            values = sorted({pair[0] for pair in limits if pair})
            raise ImageError(
                f"the image is constant (every value is {', '.join(map(str, values))}): there is "
                "nothing to segment; check that the right image and channels were chosen"
            )
        return limits


class _Overlap:
    """What one axis of a view has in common with the image.

    Attributes
    ----------
    inside : slice
        Model pixels whose centre lies in the image.
    target : Axis
        Their centres, data coordinates.
    pixels : slice
        Data pixels to read.
    source : Axis
        Where those lie.
    """

    def __init__(self, origin: int, view: View, length: int) -> None:
        spacing = 1 / view.scale
        first = origin - 0.5 + 0.5 * spacing
        start = int(np.ceil(max(-0.5 - first, 0) / spacing))
        stop = min(view.size, int(np.floor((length - 0.5 - first) / spacing)) + 1)
        self.empty = start >= stop
        self.inside = slice(start, max(stop, start))
        self.target: Axis = (first + start * spacing, spacing, max(stop - start, 0))
        low, high = max(origin, 0), min(origin + view.extent, length)
        step = max(1, int(spacing / OVERSAMPLING))
        # A pixel beyond the window on either side lets the kernel reach over its border.
        low, high = max(low - step, 0), min(high + step, length)
        first_read = low + min((step - 1) // 2, max(high - low - 1, 0))
        self.pixels = slice(first_read, high, step)
        self.source: Axis = (float(first_read), float(step), len(range(first_read, high, step)))


def _halve(
    pixels: npt.NDArray[np.float32], rows: Axis, cols: Axis
) -> tuple[npt.NDArray[np.float32], Axis, Axis]:
    """Average blocks of 2 x 2; an odd last row or column is averaged alone."""
    for axis in (1, 2):
        even = pixels.shape[axis] // 2 * 2
        one = pixels[:, :even:2] if axis == 1 else pixels[:, :, :even:2]
        two = pixels[:, 1:even:2] if axis == 1 else pixels[:, :, 1:even:2]
        half = (one + two) * np.float32(0.5)
        if even < pixels.shape[axis]:
            # Its block reaches beyond what was read; the edge's own value stands for the rest.
            rest = pixels[:, even:] if axis == 1 else pixels[:, :, even:]
            half = np.concatenate([half, rest], axis)
        pixels = half
    return pixels, _halved(rows), _halved(cols)


def _halved(axis: Axis) -> Axis:
    first, step, count = axis
    return (first + step / 2, 2 * step, (count + 1) // 2)


def _three_channels(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn (C, h, w) into (3, h, w)."""
    count = len(values)
    if count == 3:
        return values
    if count == 2:
        return np.concatenate([values, values.mean(axis=0, keepdims=True)])
    return np.broadcast_to(values.mean(axis=0), (3, *values.shape[1:]))


def _check_dtype(dtype: Any) -> np.dtype[Any]:
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked.kind not in "biuf":
        raise ImageError(
            f"an image of {checked} cannot be segmented; convert it to bool, integers or floats"
        )
    return checked


def _find_channel_axis(shape: tuple[int, ...], axis: int | None) -> int | None:
    """Check or guess the channel axis; None for an image without one."""
    if axis is not None:
        if not -len(shape) <= axis < len(shape):
            raise ImageError(f"there is no channel axis {axis} in an image of shape {shape}")
        axis %= len(shape)
        if len(shape) != 3:
            raise ImageError(
                f"an image with channels has three axes, not shape {shape}; pick a plane first"
            )
        return axis
    if len(shape) == 2:
        return None
    if len(shape) == 3:
        if shape[2] <= MOST_GUESSED_CHANNELS and shape[2] < min(shape[:2]):
            return 2
        raise ImageError(
            f"cannot tell which axis of shape {shape} holds channels; pass channel_axis, or one "
            "plane of a stack"
        )
    raise ImageError(
        f"an image has two axes, or three with channels, not shape {shape}; pick a plane first"
    )


def _check_channels(channels: int | Sequence[int], count: int) -> list[int]:
    chosen = [channels] if isinstance(channels, int | np.integer) else list(channels)
    wrong = [channel for channel in chosen if not -count <= channel < count]
    if wrong or not chosen:
        raise ImageError(
            f"cannot use channels {chosen} of an image that has {count}; "
            f"choose from 0 to {count - 1}"
        )
    return [int(channel) % count for channel in chosen]


def _limits(values: npt.NDArray[Any]) -> tuple[float, float] | None:
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


def _spread_windows(length: int, side: int) -> list[slice]:
    """Up to `SAMPLING_GRID` windows spread evenly over an axis."""
    count = max(1, min(SAMPLING_GRID, length // max(side, 1)))
    starts = np.linspace(0, max(length - side, 0), count).astype(int)
    return [slice(int(start), int(start) + side) for start in starts]
