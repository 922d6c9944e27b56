"""Any array-like, or pyramid of them, as planes that can be looked at through views.

Only windows of the image are ever read, and of those only as many pixels as a view can show.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.appearance import Appearance
from napari_pvpu.axes import Layout, find_axes
from napari_pvpu.errors import ImageError
from napari_pvpu.levels import Levels, as_levels
from napari_pvpu.normalisation import three_channels
from napari_pvpu.resample import resample
from napari_pvpu.sections import Grid
from napari_pvpu.windows import Overlap, halve

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_pvpu.normalisation import Limits
    from napari_pvpu.views import View

__all__ = ["ImageSource"]

MOST_STRETCHED = 64.0
"""Times that a pixel of a section may be higher than wide in a view, or wider than high."""


@dataclass(frozen=True, slots=True)
class _Token:
    """What was seen: the image as opened (by identity), the plane, and how it is shown."""

    image: object
    plane: tuple[int, ...] | None
    shown: Hashable


class ImageSource:
    """An image whose planes are seen as three float channels, read window by window.

    Parameters
    ----------
    image : array-like or sequence of array-like
        Two to five axes; numpy, memory map, dask, zarr or anything that has ``shape``, ``dtype``
        and slicing. bool, integers or floats. It is kept, never copied. Of a sequence of arrays
        of different shapes each is a level of a pyramid, the first at full size.
    axes : str or sequence of str, optional
        What the axes are, such as ``"TCZYX"``; see `napari_pvpu.axes`, also for what is guessed
        otherwise. Every position along T, Z and other letters is a plane; Y and X make it up.
    channels : int or sequence of int, optional
        Which channels to use, in this order; by default all.
    channel_axis : int, optional
        Which axis holds the channels, another way to say so than `axes`.
    rgb : bool, optional
        Whether the channels are red, green, blue (and alpha, which is ignored) and share one
        normalisation. By default true for 3 or 4 channels along S, or of uint8 at the end.
    projection : str
        What becomes of more than three channels: ``"mean"``, ``"max"`` or ``"first three"``.
    limits : (low, high), optional
        Values that become 0 and 1, two numbers or one of each for every channel in use, such as a
        layer's contrast limits. By default percentiles, of samples spread over all planes.
    gamma : float
        Exponent applied to what is between 0 and 1, such as a layer's gamma.

    Raises
    ------
    ImageError
        If dimensions, dtype, axes, channels or settings do not fit; without `limits`, also if the
        image has no finite value or is constant, or if it is too large to search for values that
        no sample showed.

    Notes
    -----
    One channel becomes three equal ones; two become (first, second, mean); three stay; more are
    projected. Values are scaled so that the percentiles 0.5 and 99.5 (of each channel, of all
    together for rgb) become 0 and 1, and clipped there. In the image NaN and -inf become 0 and
    +inf becomes 1; only what lies outside it is NaN.

    Of a pyramid the coarsest level is read that still has a pixel for every model pixel.

    Examples
    --------
    >>> import numpy as np
    >>> source = ImageSource(np.arange(240).reshape(5, 2, 6, 4), axes="TCYX")
    >>> source.plane_shape, source.shape, source.at((3,)).axes
    ((5,), (6, 4), 'CYX')
    """

    def __init__(
        self,
        image: Any,
        *,
        axes: str | Sequence[str] | None = None,
        channels: int | Sequence[int] | None = None,
        channel_axis: int | None = None,
        rgb: bool | None = None,
        projection: str = "mean",
        limits: Limits | None = None,
        gamma: float = 1.0,
    ) -> None:
        arrays = as_levels(image)
        shape = tuple(int(length) for length in arrays[0].shape)
        self._layout = Layout(find_axes(shape, axes, channel_axis=channel_axis, rgb=rgb))
        self._levels = Levels(arrays, self._layout)
        self._dtype: np.dtype[Any] = np.dtype(arrays[0].dtype)
        self._identity = object()
        self._grid = Grid(
            self._layout.plane_axes + "YX", (*self._levels.plane_shape, *self._levels.shape())
        )
        self._spacing = (1.0,) * len(self._grid.axes)
        self._aspect = 1.0
        self._plane: tuple[int, ...] | None = None if self._levels.plane_shape else ()
        like_rgb = self._looks_like_rgb()
        self._show(
            Appearance.of(self._levels, channels, rgb, projection, limits, gamma, like_rgb=like_rgb)
        )

    def adjusted(
        self,
        *,
        channels: int | Sequence[int] | None = None,
        rgb: bool | None = None,
        projection: str = "mean",
        limits: Limits | None = None,
        gamma: float = 1.0,
    ) -> ImageSource:
        """Return the same image, or plane, with other settings, all to be named as at first.

        Its token is another, unless the settings come to the same: what is kept under tokens is
        found again when settings return.
        """
        other = copy.copy(self)
        like_rgb = self._looks_like_rgb()
        other._show(
            Appearance.of(self._levels, channels, rgb, projection, limits, gamma, like_rgb=like_rgb)
        )
        return other

    def spaced(self, spacing: Sequence[float]) -> ImageSource:
        """Return the same image with other distances between pixels.

        Parameters
        ----------
        spacing : sequence of float
            Along each axis of `grid`, in any unit; at first 1 each. Only sections across the
            image's own planes are seen by it: as they are in the world.

        Raises
        ------
        ImageError
            If they are not as many positive numbers.
        """
        given = tuple(float(step) for step in spacing)
        if len(given) != len(self._grid.axes) or not all(0 < step < math.inf for step in given):
            raise ImageError(
                f"the spacing of an image with the axes {', '.join(self._grid.axes)} is a positive "
                f"number for each, not {given}"
            )
        other = copy.copy(self)
        other._spacing = given
        return other

    def _show(self, appearance: Appearance) -> None:
        """Take settings."""
        self._appearance = appearance
        self._token = _Token(self._identity, self._plane, self._appearance.key)

    def _looks_like_rgb(self) -> bool:
        axes, place = self._layout.axes, self._layout.channel
        if place is None:
            return False
        return axes[place] == "S" or (place == len(axes) - 1 and self._dtype == np.uint8)

    @property
    def axes(self) -> str:
        """What the axes are, one letter each; those of the plane for a single one."""
        axes = self._layout.axes
        if self._plane is None:
            return axes
        return "".join(letter for letter in axes if letter not in self._layout.plane_axes)

    @property
    def plane_axes(self) -> str:
        """Letters of the plane axes, in the order of an index; empty for a single plane."""
        return self._layout.plane_axes if self._plane is None else ""

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of the plane axes; ``()`` for a single plane."""
        return self._levels.plane_shape if self._plane is None else ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns: of every plane, or of a single one that was chosen with `at`."""
        return self._levels.shape()

    @property
    def grid(self) -> Grid:
        """Axes of the image, channels aside, and its lengths along them; YX of a single plane."""
        return self._grid

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distances between pixels along the axes of `grid`, see `spaced`."""
        return self._spacing

    @property
    def aspect(self) -> float:
        """Height of a pixel in its widths as views show it; 1 but for sections."""
        return self._aspect

    @property
    def channel_count(self) -> int:
        """Channels of the image, in use or not; 1 without a channel axis."""
        return self._levels.channel_count

    @property
    def token(self) -> Hashable:
        """A key for this image as opened, this plane and these settings.

        Equal for the same plane asked for again, and for no other source.
        """
        return self._token

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels in use."""
        return self._appearance.channels

    @property
    def limits(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Values that become 0 and 1, for each channel in use."""
        return self._appearance.normalisation.limits

    @property
    def projection(self) -> str:
        """What becomes of more than three channels."""
        return self._appearance.projection

    @property
    def gamma(self) -> float:
        """Exponent applied to what is between 0 and 1."""
        return self._appearance.normalisation.gamma

    def at(self, plane: tuple[int, ...]) -> ImageSource:
        """Return one plane of the image; a single plane's only one is ``()``, itself.

        Parameters
        ----------
        plane : tuple of int
            Position on each plane axis, from 0. Of a section across these planes, such as one
            along Z and X, a number for each axis of `grid`: -1 for the two that it shows.

        Raises
        ------
        ImageError
            If there is no such plane.
        """
        if self._plane is not None:
            if tuple(plane) != ():
                raise ImageError(
                    f"there is no plane {tuple(plane)} in a single plane; its index is ()"
                )
            return self
        wanted = self._grid.check(plane)
        chosen = copy.copy(self)
        chosen._plane = wanted
        chosen._token = _Token(self._identity, wanted, self._appearance.key)
        if self._grid.is_section(wanted):
            chosen._cut(wanted)
        rows, cols = self._grid.shown(wanted)
        chosen._grid = Grid("YX", self._grid.shape(wanted))
        chosen._spacing = (self._spacing[rows], self._spacing[cols])
        return chosen

    def _cut(self, section: tuple[int, ...]) -> None:
        """Take the axes that a section shows for rows and columns, and Y and X for others."""
        rows, cols = self._grid.shown(section)
        shown = self._grid.axes[rows], self._grid.axes[cols]
        hidden = [letter for letter in "YX" if letter not in shown]
        free = [letter for letter in shown if letter not in "YX"]
        named = dict(zip((*hidden, *shown), (*free, *"YX"), strict=True))
        before = self._layout.axes
        self._layout = Layout("".join(named.get(letter, letter) for letter in before))
        self._levels = self._levels.seen_by(self._layout)
        at = dict(zip(self._grid.axes, section, strict=True))
        self._plane = tuple(at[before[place]] for place in self._layout.planes)
        ratio = self._spacing[rows] / self._spacing[cols]
        self._aspect = min(max(ratio, 1 / MOST_STRETCHED), MOST_STRETCHED)

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

        Raises
        ------
        ImageError
            If the image has several planes and none was chosen with `at`.
        """
        if self._plane is None:
            raise ImageError(
                f"the image has planes along {', '.join(self.plane_axes)}, {self.plane_shape} of "
                "them; choose one with at()"
            )
        out = np.full((3, view.size, view.size), np.nan, np.float32)
        level = self._levels.level_for(view.extent / view.size, view.aspect)
        (height, width), (down, across) = self.shape, self._levels.factors(level)
        row_count, col_count = self._levels.shape(level)
        rows = Overlap(view.row, view, height, down, row_count, view.aspect)
        cols = Overlap(view.col, view, width, across, col_count)
        if rows.empty or cols.empty:
            return out
        used = list(self._appearance.channels)
        raw = self._levels.read(self._plane, used, rows.pixels, cols.pixels, level)
        pixels = self._appearance.applied(raw)
        rows_axis, cols_axis = rows.source, cols.source
        # Halving by means first is much cheaper than one wide triangle, and what training does.
        high = down * view.aspect
        while max(rows_axis[1] * high, cols_axis[1] * across) * view.scale <= 0.5:
            pixels, rows_axis, cols_axis = halve(pixels, rows_axis, cols_axis)
        seen = resample(pixels, (rows_axis, rows.target), (cols_axis, cols.target))
        out[:, rows.inside, cols.inside] = three_channels(seen)
        return out
