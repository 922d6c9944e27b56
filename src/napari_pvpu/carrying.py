"""A mask carried from planes where it is known to the plane beside them.

Pure and safe in any thread, as `interaction` is: it reads the image and asks the network. Which
planes come one after the other is decided in `plane_walk`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pvpu.drawing import draw
from napari_pvpu.label_boxes import tight_box
from napari_pvpu.masks import MaskRules, settle
from napari_pvpu.prompts import Click
from napari_pvpu.propagation.carry_settings import CarrySettings
from napari_pvpu.rendering import joint_box, paste
from napari_pvpu.view_changes import carry_raster
from napari_pvpu.view_grid import extent_for, view_around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.predictor import Predictor
    from napari_pvpu.records import PixelBox, Plane
    from napari_pvpu.source import ImageSource
    from napari_pvpu.views import View

__all__ = ["Carried", "Carrier", "CarryPolicy", "PlaneMask", "overlap"]

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CarryPolicy:
    """Every number that decides how masks are carried, in one place.

    Attributes
    ----------
    fill : float
        Share of the view that the object is given. Less than for prompts: what lies around the
        object helps to follow it.
    settings : CarrySettings
        Of EM.
    memory : float
        Share of the nearest known plane's own mask in what the decoder is fed, 0 to 1, the rest
        being what EM carried there. EM follows what moves; the mask holds on to an object whose
        neighbours look the same.
    guards : int
        Negative clicks around the object, which keep it from running into its neighbours.
    guard_distance : float
        How far these lie from the object's outline, in diameters of a disk of its area.
    unaided : float
        Share in the answer of what the network says to the clicks alone, 0 to 1: with a mask
        before it, it follows an object well that stays as it is, and badly one that shrinks.
    least_seen : float
        Carried probability that some place has to reach; with less the object has gone.
    """

    fill: float = 0.32
    settings: CarrySettings = field(default_factory=CarrySettings)
    memory: float = 0.0
    guards: int = 4
    guard_distance: float = 0.3
    unaided: float = 0.9
    least_seen: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PlaneMask:
    """An object in one plane, over its box.

    Attributes
    ----------
    row, col : int
        First data pixel of the box.
    mask : array, (h, w), bool
        The object; at least one pixel of it.
    """

    row: int
    col: int
    mask: Bits

    @classmethod
    def tight(cls, row: int, col: int, mask: Bits) -> PlaneMask | None:
        """Return a mask over its own box, given over a larger one; None if it has no pixel."""
        box = tight_box(mask, row, col)
        if box is None:
            return None
        window = mask[box[0] - row : box[2] - row, box[1] - col : box[3] - col]
        return cls(box[0], box[1], window.copy())

    @property
    def box(self) -> PixelBox:
        """``(row0, col0, row1, col1)`` in data pixels, the last two exclusive."""
        height, width = self.mask.shape
        return (self.row, self.col, self.row + height, self.col + width)

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.mask.sum())

    def over(self, box: PixelBox) -> Bits:
        """Return the mask over another box, (h, w) bool."""
        out = np.zeros((box[2] - box[0], box[3] - box[1]), bool)
        paste(self.mask, (self.row, self.col), out, box[:2])
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What came of carrying an object to a plane.

    Attributes
    ----------
    mask : PlaneMask or None
        The object there; None if it is not to be found.
    score : float
        Intersection over union that the network expects of its mask, 0 to 1.
    borne_out : float
        Intersection over union, in the view, of the network's mask and what EM carried.
    """

    mask: PlaneMask | None
    score: float
    borne_out: float

    @property
    def confidence(self) -> float:
        """What speaks for the mask, 0 to 1."""
        return self.score * self.borne_out


class Carrier:
    """Carries masks within one image.

    Parameters
    ----------
    source : ImageSource
        The image, with all its planes.
    predictor : Predictor
        The network behind its numpy interface.
    threshold : float
        Probability above which a pixel belongs to the object.
    policy : CarryPolicy, optional
        Numbers to go by.
    rules : MaskRules, optional
        Numbers that shape masks.
    """

    def __init__(
        self,
        source: ImageSource,
        predictor: Predictor,
        threshold: float = 0.5,
        policy: CarryPolicy | None = None,
        rules: MaskRules | None = None,
    ) -> None:
        self._source, self._predictor, self._threshold = source, predictor, threshold
        self._policy, self._rules = policy or CarryPolicy(), rules or MaskRules()

    def carry(self, known: Sequence[tuple[Plane, PlaneMask, float]], plane: Plane) -> Carried:
        """Carry an object to a plane.

        Parameters
        ----------
        known : sequence of (plane, PlaneMask, weight)
            Planes where the object is known, the nearest first, and how much each counts.
        plane : tuple of int
            The plane to carry it to.
        """
        policy, here = self._policy, self._source.at(plane)
        shape = here.shape
        view = self._view([mask for _, mask, _ in known], here)
        features = self._features(plane, view)
        units = [
            (self._features(there, view), carry_raster(mask.mask, (mask.row, mask.col), view), much)
            for there, mask, much in known
        ]
        seen = self._predictor.carry(units, features, policy.settings)
        if seen.max() < policy.least_seen:
            return Carried(None, 0.0, 0.0)
        fed = (1 - policy.memory) * seen + policy.memory * units[0][1]
        prompts = [_middle(seen), *_guards(seen, policy.guards, policy.guard_distance)]
        answer = self._predictor.decode(features, prompts, fed.astype(np.float32), None)
        logits = answer.logits
        if policy.unaided:
            alone = self._predictor.decode(features, prompts, None, None)
            logits = policy.unaided * alone.logits + (1 - policy.unaided) * logits
        settled = settle(logits, view, (), shape, self._threshold, self._rules)
        drawing = draw(settled, view, (), shape, self._threshold)
        if drawing is None:
            return Carried(None, 0.0, 0.0)
        mask = PlaneMask.tight(drawing.row, drawing.col, drawing.mask)
        return Carried(mask, float(answer.score), overlap(settled > 0, seen > 0.5))

    def _view(self, masks: Sequence[PlaneMask], source: ImageSource) -> View:
        box = joint_box([mask.box for mask in masks])
        assert box is not None  # there is at least one mask
        row0, col0, row1, col1 = box
        size, aspect = self._predictor.view_size, source.aspect
        extent = extent_for(max((row1 - row0) * aspect, col1 - col0), self._policy.fill, size)
        center = ((row0 + row1 - 1) / 2, (col0 + col1 - 1) / 2)
        return view_around(center, extent, size, source.shape, aspect=aspect)

    def _features(self, plane: Plane, view: View) -> Any:
        source = self._source.at(plane)
        key = (source.token, view)
        features = self._predictor.cached(key)
        if features is None:
            features = self._predictor.encode(source.read_view(view), key)
        return features


def overlap(one: Bits, two: Bits) -> float:
    """Return the intersection over union of two masks of one shape; 1 if both are empty."""
    union = int((one | two).sum())
    return 1.0 if union == 0 else int((one & two).sum()) / union


def _middle(seen: Floats) -> Click:
    """Return the click that lies deepest within what was carried, in view coordinates."""
    inside = np.pad(seen > 0.5, 1)
    depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
    row, col = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Click((float(row), float(col)))


def _guards(seen: Floats, count: int, distance: float) -> list[Click]:
    """Return negative clicks around what was carried, in view coordinates.

    Parameters
    ----------
    seen : array, (S, S), float32
        Probability that was carried.
    count : int
        Directions in which there is to be one.
    distance : float
        From the outline, in diameters of a disk of the object's area.

    Returns
    -------
    list of Click
        In each direction, if there is room, the place at that distance where least was carried.
    """
    inside = seen > 0.5
    area = int(inside.sum())
    if not count or not area or area == inside.size:
        return []
    away = ndimage.distance_transform_edt(~inside)
    ring = np.abs(away - distance * math.sqrt(4 * area / math.pi)) < 1.5
    rows, cols = np.nonzero(ring)
    row, col = (float(each.mean()) for each in np.nonzero(inside))
    turns = np.arctan2(rows - row, cols - col) / (2 * math.pi) * count
    sector = np.rint(turns).astype(int) % count
    clicks = []
    for number in range(count):
        here = np.flatnonzero(sector == number)
        if len(here):
            best = here[np.argmin(seen[rows[here], cols[here]])]
            clicks.append(Click((float(rows[best]), float(cols[best])), False))
    return clicks
