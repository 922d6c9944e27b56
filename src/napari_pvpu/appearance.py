"""How an image is shown to the network: which channels, and what their values become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import ImageError
from napari_pvpu.normalisation import Normalisation, check_projection, project
from napari_pvpu.sampling import find_limits

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from napari_pvpu.levels import Levels
    from napari_pvpu.normalisation import Limits

__all__ = ["Appearance"]


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """Settings by which an image is shown; made by `Appearance.of`.

    Attributes
    ----------
    channels : tuple of int
        Those in use.
    projection : str
        What becomes of more than three.
    normalisation : Normalisation
        What becomes of their values.
    """

    channels: tuple[int, ...]
    projection: str
    normalisation: Normalisation

    @classmethod
    def of(
        cls,
        levels: Levels,
        channels: int | Sequence[int] | None,
        rgb: bool | None,
        projection: str,
        limits: Limits | None,
        gamma: float,
        *,
        like_rgb: bool = False,
    ) -> Appearance:
        """Check settings, and find those that are not given.

        Parameters
        ----------
        levels : Levels
            The image, which is looked through for `limits` if there are none.
        channels, rgb, projection, limits, gamma
            As for `ImageSource`.
        like_rgb : bool
            Whether the axes and dtype are those of an rgb image, if it has as many channels.

        Raises
        ------
        ImageError
            If they do not fit the image.
        """
        count = levels.channel_count
        if rgb is None:
            rgb = count in (3, 4) and channels is None and like_rgb
        if rgb and count not in (3, 4):
            raise ImageError(f"an rgb image has 3 or 4 channels, not {count}; pass rgb=False")
        everything = list(range(3 if rgb else count))
        chosen = everything if channels is None else _check_channels(channels, count)
        checked = check_projection(projection)
        used = chosen[:3] if projection == "first three" else chosen
        low, high = find_limits(levels, used, together=rgb) if limits is None else _pair(limits)
        return cls(tuple(used), checked, Normalisation(low, high, gamma, len(used)))

    @property
    def key(self) -> Hashable:
        """Equal for settings that show the same."""
        return (
            self.channels, self.projection, self.normalisation.limits, self.normalisation.gamma
        )  # fmt: skip

    def applied(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Turn values (channels in use, h, w) into at most three channels of 0 to 1."""
        return project(self.normalisation.apply(values), self.projection)


def _check_channels(channels: int | Sequence[int], count: int) -> list[int]:
    chosen = [channels] if isinstance(channels, int | np.integer) else list(channels)
    wrong = [channel for channel in chosen if not -count <= channel < count]
    if wrong or not chosen:
        raise ImageError(
            f"cannot use channels {chosen} of an image that has {count}; "
            f"choose from 0 to {count - 1}"
        )
    return [int(channel) % count for channel in chosen]


def _pair(limits: Any) -> tuple[Any, Any]:
    try:
        low, high = limits
    except (TypeError, ValueError) as error:
        raise ImageError(f"limits are a pair (low, high), not {limits!r}") from error
    return low, high
