"""A square window of the image at the network's size, and what lies where in it.

The network always sees S x S model pixels. A view is a window of ``extent`` x ``extent`` data
pixels shown at that size. Lengths are in data pixels unless their name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_pvpu.prompts import Bounds, Box, Click, Prompt, Scribble

__all__ = ["Edges", "View"]

Edges: TypeAlias = tuple[bool, bool, bool, bool]
"""Top, left, bottom, right."""


@dataclass(frozen=True, slots=True)
class View:
    """A square window of the image at the network's size.

    Parameters
    ----------
    row, col : int
        First data pixel of the window; it may lie outside the image.
    extent : int
        Side of the window in data pixels.
    size : int
        Side of the view in model pixels.
    aspect : float
        Height of a data pixel in its widths. The window is a square of the world: its side is
        ``extent`` columns, and ``extent / aspect`` rows.
    """

    row: int
    col: int
    extent: int
    size: int = 128
    aspect: float = 1.0

    @property
    def scale(self) -> float:
        """Model pixels per data pixel, along a row."""
        return self.size / self.extent

    @property
    def spacing(self) -> tuple[float, float]:
        """Data pixels per model pixel, down and across."""
        return 1 / (self.scale * self.aspect), 1 / self.scale

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Window ``(row0, col0, row1, col1)`` in data pixels, the last two exclusive."""
        height = math.ceil(self.extent / self.aspect)
        return (self.row, self.col, self.row + height, self.col + self.extent)

    def to_view(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn data coordinates (..., 2) into view coordinates (model pixels)."""
        origin = np.array((self.row, self.col), np.float64)
        return (np.asarray(points, np.float64) + 0.5 - origin) * self._scales - 0.5

    def to_data(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn view coordinates (..., 2) into data coordinates."""
        origin = np.array((self.row, self.col), np.float64)
        return (np.asarray(points, np.float64) + 0.5) / self._scales - 0.5 + origin

    def contains(
        self, bounds: Bounds, margin: float = 0.0, shape: tuple[int, int] | None = None
    ) -> bool:
        """Tell whether a box lies in the window, `margin` model pixels from its edges at least.

        With the image's `shape` given, edges beyond the image do not count.
        """
        down, across = (margin * step for step in self.spacing)
        cut = (True,) * 4 if shape is None else self.inner_edges(shape)
        row1, col1 = self._far
        gaps = (
            bounds[0] - self.row + 0.5 >= down,
            bounds[1] - self.col + 0.5 >= across,
            row1 - 0.5 - bounds[2] >= down,
            col1 - 0.5 - bounds[3] >= across,
        )
        return all(held or not edge for held, edge in zip(gaps, cut, strict=True))

    def inner_edges(self, shape: tuple[int, int]) -> Edges:
        """Tell which sides of the window cut through the image."""
        row1, col1 = self._far
        return (self.row > 0, self.col > 0, row1 < shape[0], col1 < shape[1])

    def prompt_to_view(self, prompt: Prompt) -> Prompt:
        """Return a click, scribble or box in view coordinates; a prior mask as it is."""
        if isinstance(prompt, Click):
            return Click(self._pair(prompt.position), prompt.positive)
        if isinstance(prompt, Scribble):
            path = self.to_view(prompt.path)
            return Scribble(tuple(map(tuple, path.tolist())), prompt.positive)
        if isinstance(prompt, Box):
            return Box(self._pair(prompt.start), self._pair(prompt.stop), prompt.positive)
        return prompt

    @property
    def _scales(self) -> npt.NDArray[np.float64]:
        return np.array((self.scale * self.aspect, self.scale))

    @property
    def _far(self) -> tuple[float, float]:
        return self.row + self.extent / self.aspect, self.col + self.extent

    def _pair(self, point: tuple[float, float]) -> tuple[float, float]:
        row, col = self.to_view(point).tolist()
        return row, col
