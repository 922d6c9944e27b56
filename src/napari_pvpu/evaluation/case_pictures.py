"""Draw one object: the image around it, its true and found outlines, and the prompts.

Truth is cyan, the result orange. Prompts carry the number of their interaction, positive ones on a
green disk, negative ones on a red square: shape tells them apart for those whom colour does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_pvpu.evaluation.regions import Rect, RegionMask, clip_rect, union_rect
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FOUND", "SIDE", "TRUE", "case_rect", "draw_case"]

SIDE = 320
TRUE = (0, 200, 255)
FOUND = (255, 150, 0)
_POSITIVE = (20, 130, 50)
_NEGATIVE = (200, 30, 40)
_WHITE = (255, 255, 255)
_OUTSIDE = 128
_LEAST = 48
_MARGIN = 0.15
_MOST = 4.0
_RADIUS = 9


def case_rect(truth: Rect, found: Rect, shape: tuple[int, int]) -> Rect:
    """The square of an image that shows an object and what was found of it.

    Parameters
    ----------
    truth, found : (row0, col0, row1, col1)
        Half-open boxes; `found` may have no area.
    shape : (height, width)
        Of the image.

    Returns
    -------
    (row0, col0, row1, col1)
        Around both with a margin, 48 pixels at least, but no more than four times as long as the
        object: what ran away to the other end of the image may be cut off. Moved into the image as
        far as it fits.
    """
    longest = max(truth[2] - truth[0], truth[3] - truth[1])
    row, col = (truth[0] + truth[2]) // 2, (truth[1] + truth[3]) // 2
    reach = round(_MOST * max(longest, _LEAST / 2) / 2)
    near = clip_rect(found, (row - reach, col - reach, row + reach, col + reach))
    both = union_rect(truth, near)
    side = max(both[2] - both[0], both[3] - both[1])
    side = max(round(side * (1 + 2 * _MARGIN)), _LEAST)
    starts = []
    for low, high, size in ((both[0], both[2], shape[0]), (both[1], both[3], shape[1])):
        start = (low + high - side) // 2
        centred = (size - side) // 2
        starts.append(centred if side >= size else min(max(start, 0), size - side))
    return starts[0], starts[1], starts[0] + side, starts[1] + side


def draw_case(
    image: NDArray[Any],
    truth: RegionMask,
    found: RegionMask,
    prompts: Sequence[Click | Box | Scribble],
    side: int = SIDE,
) -> Image.Image:
    """Draw one object.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, C)
        The whole image; shown are grey or its first three channels, stretched to the contrast
        around the object.
    truth, found : RegionMask
        The object, and what was found.
    prompts : sequence of Click, Box or Scribble
        In order, in image coordinates (row, col).
    side : int
        Of the picture, in pixels.

    Returns
    -------
    PIL.Image.Image
        RGB, (side, side). What lies outside the image is grey.
    """
    rect = case_rect(truth.rect, found.rect, (image.shape[0], image.shape[1]))
    picture = _background(image, rect).resize(
        (side, side), Image.Resampling.BICUBIC, reducing_gap=2.0
    )
    pixels = np.array(picture)
    # The truth's line is wider, so that it shows on both sides of the result's where they agree.
    for region, colour, width in ((truth, TRUE, 4), (found, FOUND, 2)):
        pixels[_outline(region.crop(rect), side, width)] = colour
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    scale = side / (rect[2] - rect[0])
    for number, prompt in enumerate(prompts, 1):
        _draw_prompt(draw, prompt, number, (rect[0], rect[1]), scale)
    return picture


def _background(image: NDArray[Any], rect: Rect) -> Image.Image:
    """The part of an image as RGB of 8 bits, grey where there is no image."""
    values = image[..., None] if image.ndim == 2 else image
    channels = [min(index, values.shape[2] - 1) for index in range(3)]
    top, left, bottom, right = clip_rect(rect, (0, 0, image.shape[0], image.shape[1]))
    part = values[top:bottom, left:right, channels].astype(np.float64)
    low, high = np.nanpercentile(part, (0.5, 99.5))
    shown = np.nan_to_num((part - low) / max(float(high - low), 1e-12))
    height, width = rect[2] - rect[0], rect[3] - rect[1]
    out = np.full((height, width, 3), _OUTSIDE, np.uint8)
    inside = np.clip(shown * 255, 0, 255).astype(np.uint8)
    out[top - rect[0] : bottom - rect[0], left - rect[1] : right - rect[1]] = inside
    return Image.fromarray(out)


def _outline(mask: NDArray[np.bool_], side: int, width: int) -> NDArray[np.bool_]:
    """The line along a mask's edge, once the mask fills a picture of that side."""
    at = (np.arange(side) + 0.5) * mask.shape[0] / side
    index = at.astype(np.intp)
    large = mask[np.ix_(index, index)]
    inner = width // 2
    grown = ndimage.binary_dilation(large, iterations=width - inner)
    # Cut off by the picture's edge is not ended there.
    shrunk = ndimage.binary_erosion(large, iterations=inner, border_value=1)
    return np.asarray(grown & ~shrunk)


def _draw_prompt(
    draw: ImageDraw.ImageDraw,
    prompt: Click | Box | Scribble,
    number: int,
    origin: tuple[int, int],
    scale: float,
) -> None:
    def place(point: tuple[float, float]) -> tuple[float, float]:
        """(x, y) in the picture; pixel centres are at integers in the image."""
        return (point[1] + 0.5 - origin[1]) * scale, (point[0] + 0.5 - origin[0]) * scale

    colour = _POSITIVE if prompt.positive else _NEGATIVE
    if isinstance(prompt, Box):
        (x0, y0), (x1, y1) = place(prompt.start), place(prompt.stop)
        corners = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        draw.rectangle(corners, outline=_WHITE, width=4)
        draw.rectangle(corners, outline=colour, width=2)
        at = corners[0], corners[1]
    elif isinstance(prompt, Scribble):
        line = [place(point) for point in prompt.path]
        draw.line(line, fill=_WHITE, width=5, joint="curve")
        draw.line(line, fill=colour, width=3, joint="curve")
        at = line[0]
    else:
        at = place(prompt.position)
    x, y = at
    corners = (x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
    shape = draw.ellipse if prompt.positive else draw.rectangle
    shape(corners, fill=colour, outline=_WHITE, width=1)
    draw.text(at, str(number), fill=_WHITE, font=ImageFont.load_default(12), anchor="mm")
