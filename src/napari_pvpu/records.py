"""Plain records that sessions, interactions and predictors hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_pvpu.prompts import PriorMask
from napari_pvpu.session_settings import OverlapRule, SessionSettings
from napari_pvpu.ties import Ties

if TYPE_CHECKING:
    from napari_pvpu.current_object import Origin, Paint
    from napari_pvpu.drawing import Drawing
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.views import View

__all__ = [
    "ChangedRegion",
    "ObjectRecord",
    "ObjectState",
    "Plane",
    "Prediction",
    "RawPrediction",
    "Request",
    "Timing",
]

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
PixelBox: TypeAlias = tuple[int, int, int, int]
Plane: TypeAlias = tuple[int, ...]
"""Index over the axes before rows and columns; ``()`` in an image of one plane. Of a section across
such planes one number for each axis, see `napari_pvpu.sections`."""


@dataclass(frozen=True, slots=True)
class RawPrediction:
    """What the network says to one set of prompts in one view.

    Attributes
    ----------
    logits : array, (S, S), float32
        Of the object.
    propagated : array, (S, S), float32, or None
        The same after EM value propagation, if that was asked for.
    score : float
        Intersection over union that the network expects of its mask, 0 to 1.
    decode_ms, em_ms : float
        Milliseconds spent in the network's light part and in EM.
    """

    logits: Floats
    propagated: Floats | None
    score: float
    decode_ms: float
    em_ms: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds that an interaction took.

    Attributes
    ----------
    encode_ms, decode_ms, em_ms, total_ms : float
        In the image encoder (0 when the views were known), in the light part of the network, in
        EM value propagation, and all in all with reading and drawing.
    views : int
        Views looked through.
    """

    encode_ms: float = 0.0
    decode_ms: float = 0.0
    em_ms: float = 0.0
    total_ms: float = 0.0
    views: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ObjectState:
    """What is known of the current object after an interaction.

    Attributes
    ----------
    prompts : tuple of Prompt
        All of the object.
    view : View
        The view that answered.
    previous : array, (S, S), float16, or None
        The probability that was fed to the network there.
    logits, propagated : array, (S, S), float16
        The answer without and, once asked for, with EM value propagation.
    score : float
        Expected intersection over union.
    """

    prompts: tuple[Prompt, ...]
    view: View
    previous: Halves | None
    logits: Halves
    propagated: Halves | None
    score: float

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (self.previous, self.logits, self.propagated)
        masks = [p.mask for p in self.prompts if isinstance(p, PriorMask)]
        return 256 + sum(array.nbytes for array in (*arrays, *masks) if array is not None)

    def shown(self, value_propagation: bool) -> Halves:
        """Return the logits that the user sees with the EM switch on or off."""
        if value_propagation and self.propagated is not None:
            return self.propagated
        return self.logits


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """All that an interaction depends on, besides image and network.

    Attributes
    ----------
    generation : int
        Number by which the session tells whether the answer is still wanted.
    prompts : tuple of Prompt
        All of the object.
    base : ObjectState or None
        What was known before.
    value_propagation : bool
        The EM switch.
    threshold : float
        Probability above which a pixel belongs to the object.
    object_length, canvas_extent : float or None
        Hints for the first view, see `first_views`.
    view : View or None
        Look through this view and no other.
    plane : tuple of int
        Of the image.
    smoothing, min_size : float, int
        See `SessionSettings`.
    paint : Paint or None
        What the user has painted of the object.
    origin : Origin or None
        The mask that the object was opened from.
    accepting : str or None
        The prompts begin the next object: when the answer comes, the one at work is accepted by
        this rule for overlaps.
    """

    generation: int
    prompts: tuple[Prompt, ...]
    base: ObjectState | None
    value_propagation: bool
    threshold: float
    object_length: float | None = None
    canvas_extent: float | None = None
    view: View | None = None
    plane: Plane = ()
    smoothing: float = 0.0
    min_size: int = 0
    paint: Paint | None = None
    origin: Origin | None = None
    accepting: OverlapRule | None = None

    @property
    def settings(self) -> SessionSettings:
        """The settings by which the answer is drawn."""
        return SessionSettings(
            self.value_propagation, self.threshold, self.smoothing, self.min_size
        )


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer to a request, to be committed by the session.

    Attributes
    ----------
    request : Request
        What was asked.
    state : ObjectState or None
        What is known now; None without prompts.
    drawing : Drawing or None
        The object in the image; None if no pixel belongs to it.
    timing : Timing
        What it took.
    """

    request: Request
    state: ObjectState | None
    drawing: Drawing | None
    timing: Timing


@dataclass(frozen=True, slots=True, eq=False)
class ChangedRegion:
    """The part of the image in which something changed, with what is there now.

    Attributes
    ----------
    row, col : int
        First data pixel.
    mask : array, (h, w), bool
        The current object.
    probability : array, (h, w), float32
        Of the current object, 0 to 1.
    labels : array, (h, w), or None
        Accepted objects, if those changed.
    plane : tuple of int
        The plane of the image that this is a part of.
    notice : str or None
        A sentence for the user, if a prompt seems to have made the mask worse, or changed nothing.
    more : tuple of ChangedRegion
        What changed in other planes, or far away in this one.
    """

    row: int
    col: int
    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    labels: npt.NDArray[np.unsignedinteger] | None = None
    plane: Plane = ()
    notice: str | None = None
    more: tuple[ChangedRegion, ...] = ()

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where the region lies in its plane."""
        height, width = self.mask.shape
        return (slice(self.row, self.row + height), slice(self.col, self.col + width))


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """An accepted object.

    Attributes
    ----------
    prompts : tuple of Prompt
        What made it, in the plane `plane`.
    score : float or None
        Intersection over union that the network expected; None if it did not make the object.
    box : (row0, col0, row1, col1)
        Its data pixels in that plane, the last two exclusive.
    plane : tuple of int
        The plane it was made in.
    parts : tuple of (plane, box)
        Its boxes in further planes.
    paint : Paint or None
        What the user painted of it.
    ties : Ties
        How its planes hang together, and the object it came from.
    section : tuple of int or None
        The section across the image's own planes that it was made in, if that is where its prompts
        lie; `plane` is then one of those that have pixels of it.
    """

    prompts: tuple[Prompt, ...]
    score: float | None
    box: PixelBox
    plane: Plane = ()
    parts: tuple[tuple[Plane, PixelBox], ...] = ()
    paint: Paint | None = None
    ties: Ties = field(default_factory=Ties)
    section: Plane | None = None

    @property
    def home(self) -> Plane:
        """The plane that its prompts lie in."""
        return self.plane if self.section is None else self.section

    @property
    def boxes(self) -> dict[Plane, PixelBox]:
        """Its box in each of the image's own planes that it has pixels in."""
        return {self.plane: self.box, **dict(self.parts)}

    def with_box(self, plane: Plane, box: PixelBox | None) -> ObjectRecord | None:
        """Return the record with another box in a plane; None if it has no pixel left.

        Without its box in the plane that it was made in, its prompts mean nothing any more.
        """
        boxes = {**self.boxes, plane: box}
        ties = self.ties if box is not None else self.ties.noted(plane, None)
        left = {each: known for each, known in boxes.items() if known is not None}
        if not left:
            return None
        home, prompts, paint = self.plane, self.prompts, self.paint
        if home not in left:
            home = min(left)
            if self.section is None:
                prompts, paint = (), None
        rest = tuple(sorted((each, known) for each, known in left.items() if each != home))
        return replace(
            self, prompts=prompts, box=left[home], plane=home, parts=rest, paint=paint, ties=ties
        )
