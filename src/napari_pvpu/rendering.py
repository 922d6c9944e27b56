"""The object at work as pixels: network, settings, the mask it was opened from, and paint.

The last word is the user's: paint over prompts over the network's answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.corrections import known_before
from napari_pvpu.drawing import Drawing, draw, marked_pixels, smoothed
from napari_pvpu.masks import settle

if TYPE_CHECKING:
    from napari_pvpu.current_object import CurrentObject, Origin, Paint
    from napari_pvpu.masks import MaskRules
    from napari_pvpu.records import ObjectState
    from napari_pvpu.session_settings import SessionSettings
    from napari_pvpu.views import View

__all__ = ["joint_box", "paste", "render"]

PixelBox = tuple[int, int, int, int]
Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]


def render(
    current: CurrentObject | None,
    settings: SessionSettings,
    shape: tuple[int, int],
    rules: MaskRules,
) -> Drawing | None:
    """Draw the object at work into an image of this shape.

    Parameters
    ----------
    current : CurrentObject or None
        The object.
    settings : SessionSettings
        By which it is drawn.
    shape : (rows, cols)
        The image's.
    rules : MaskRules
        Numbers that shape masks.

    Returns
    -------
    Drawing or None
        None if it has no pixel.
    """
    if current is None:
        return None
    state, origin, paint = current.state, current.origin, current.paint
    drawing = None
    if state is not None:
        drawing = _draw(state, settings, shape, rules)
        if origin is not None and origin.prior in state.prompts:
            start = _draw(_seen_from(origin.state, state.view), settings, shape, rules)
            changed = _changed(start, drawing, origin, state, settings, shape)
            drawing = _with_origin(origin, changed, drawing, settings)
    if drawing is not None and settings.min_size > 1:
        drawing = _without_small_parts(drawing, current, settings.min_size, shape)
    return drawing if paint is None else _painted(drawing, paint)


def joint_box(boxes: list[PixelBox]) -> PixelBox | None:
    """Return the smallest box around several, None for none."""
    if not boxes:
        return None
    row0, col0, row1, col1 = zip(*boxes, strict=True)
    return (min(row0), min(col0), max(row1), max(col1))


def paste(
    source: npt.NDArray[Any],
    source_at: tuple[int, int],
    out: npt.NDArray[Any],
    out_at: tuple[int, int],
) -> None:
    """Copy what two rasters have in common from one into the other.

    Parameters
    ----------
    source, out : array, (h, w)
        From which and into which.
    source_at, out_at : (row, col)
        Data pixels at which they begin.
    """
    row0, col0 = max(source_at[0], out_at[0]), max(source_at[1], out_at[1])
    row1 = min(source_at[0] + source.shape[0], out_at[0] + out.shape[0])
    col1 = min(source_at[1] + source.shape[1], out_at[1] + out.shape[1])
    if row0 < row1 and col0 < col1:
        out[row0 - out_at[0] : row1 - out_at[0], col0 - out_at[1] : col1 - out_at[1]] = source[
            row0 - source_at[0] : row1 - source_at[0], col0 - source_at[1] : col1 - source_at[1]
        ]


def _draw(
    state: ObjectState, settings: SessionSettings, shape: tuple[int, int], rules: MaskRules
) -> Drawing | None:
    logits, threshold = state.shown(settings.value_propagation), settings.threshold
    settled = settle(logits, state.view, state.prompts, shape, threshold, rules)
    return draw(settled, state.view, state.prompts, shape, threshold, settings.smoothing)


def _seen_from(state: ObjectState, view: View) -> ObjectState:
    """Return what was known when an object was opened as another view shows it."""
    if view == state.view:
        return state
    seen = known_before(state.logits.astype(np.float32), state.view, view)
    outside = -np.abs(state.logits).max()
    logits = np.where(np.isnan(seen), outside, seen).astype(np.float16)
    return replace(state, view=view, logits=logits, propagated=None)


def _changed(
    start: Drawing | None,
    now: Drawing | None,
    origin: Origin,
    state: ObjectState,
    settings: SessionSettings,
    shape: tuple[int, int],
) -> tuple[PixelBox, Bits]:
    """Return where the network has changed its mind since an object was opened: box and pixels.

    The box holds the object, with room for its smoothing.
    """
    reach = int(np.ceil(3 * settings.smoothing))
    top, left = origin.prior.offset
    height, width = origin.prior.mask.shape
    boxes = [(top - reach, left - reach, top + height + reach, left + width + reach)]
    boxes += [drawing.box for drawing in (start, now) if drawing is not None]
    row0, col0, row1, col1 = joint_box(boxes) or boxes[0]
    box = (max(row0, 0), max(col0, 0), min(row1, shape[0]), min(col1, shape[1]))
    before, after = (_probability(each, box) > settings.threshold for each in (start, now))
    changed = before != after
    if state.view != origin.state.view:
        changed = _without_flicker(changed, box, state, shape)
    return box, changed


def _without_flicker(
    changed: Bits, box: PixelBox, state: ObjectState, shape: tuple[int, int]
) -> Bits:
    """Leave out changes that another view's raster makes: no deeper than one of its pixels.

    Those that hold a mark of the user's stay.
    """
    places, count = ndimage.label(changed, np.ones((3, 3), bool))
    if not count:
        return changed
    depth = ndimage.distance_transform_edt(np.pad(changed, 1))[1:-1, 1:-1]
    deepest = ndimage.maximum(depth, places, np.arange(count + 1))
    stays = np.asarray(deepest) > max(*state.view.spacing, 1.0)
    for prompt in state.prompts:
        pixels = marked_pixels(prompt, shape) - box[:2]
        pixels = pixels[((pixels >= 0) & (pixels < places.shape)).all(axis=1)]
        stays[places[pixels[:, 0], pixels[:, 1]]] = True
    stays[0] = False
    return np.asarray(stays[places], bool)


def _with_origin(
    origin: Origin,
    change: tuple[PixelBox, Bits],
    now: Drawing | None,
    settings: SessionSettings,
) -> Drawing | None:
    """Return the mask an object was opened from, changed where the network changed its mind.

    A view shows a mask at its own scale only. So what the network adds to the object or takes
    from it since it was opened is put into the original; all other pixels stay as they were.
    """
    box, changed = change
    known = _within(box, origin.prior.mask.astype(np.float32), *origin.prior.offset)
    known = smoothed(known, settings.smoothing)
    probability = _probability(now, box)
    after = probability > settings.threshold
    mask = np.where(changed, after, known > settings.threshold)
    probability = np.where(mask == after, probability, known)
    return Drawing(box[0], box[1], mask, probability) if mask.any() else None


def _without_small_parts(
    drawing: Drawing, current: CurrentObject, min_size: int, shape: tuple[int, int]
) -> Drawing:
    """Leave out parts of few pixels, but neither the largest nor any with a positive mark."""
    parts, count = ndimage.label(drawing.mask, np.ones((3, 3), bool))
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    areas[0] = 0
    stays = areas >= min_size
    stays[areas.argmax()] = True
    for prompt in current.prompts:
        if getattr(prompt, "positive", False):
            pixels = marked_pixels(prompt, shape) - (drawing.row, drawing.col)
            pixels = pixels[((pixels >= 0) & (pixels < parts.shape)).all(axis=1)]
            stays[parts[pixels[:, 0], pixels[:, 1]]] = True
    stays[0] = False
    return Drawing(drawing.row, drawing.col, stays[parts], drawing.probability)


def _painted(drawing: Drawing | None, paint: Paint) -> Drawing | None:
    """Put paint over a drawing."""
    boxes = [paint.box] if drawing is None else [paint.box, drawing.box]
    box = joint_box(boxes) or paint.box
    probability = _probability(drawing, box)
    mask = np.zeros(probability.shape, bool)
    if drawing is not None:
        mask[_inner(drawing.box, box)] = drawing.mask
    window = _inner(paint.box, box)
    for value, inside in ((1, True), (-1, False)):
        here = paint.values == value
        mask[window][here] = inside
        probability[window][here] = inside
    return Drawing(box[0], box[1], mask, probability) if mask.any() else None


def _probability(drawing: Drawing | None, box: PixelBox) -> Floats:
    """Return the probability of a drawing over a box that holds it, 0 where it has none."""
    if drawing is None:
        return np.zeros((box[2] - box[0], box[3] - box[1]), np.float32)
    return _within(box, drawing.probability, drawing.row, drawing.col)


def _within(box: PixelBox, values: Floats, row: int, col: int) -> Floats:
    """Return what a raster with its first pixel at (row, col) shows of a box, 0 elsewhere."""
    out = np.zeros((box[2] - box[0], box[3] - box[1]), np.float32)
    paste(values, (row, col), out, box[:2])
    return out


def _inner(inner: PixelBox, outer: PixelBox) -> tuple[slice, slice]:
    """Return where a box lies in one that holds it."""
    return (
        slice(inner[0] - outer[0], inner[2] - outer[0]),
        slice(inner[1] - outer[1], inner[3] - outer[1]),
    )
