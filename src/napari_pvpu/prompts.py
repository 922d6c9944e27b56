"""What a user says about an object: clicks, scribbles, boxes, polygons and masks, as plain data.

Coordinates are ``(row, col)`` in data pixels, pixel centres at integers. Every prompt checks
itself when it is made; whether it lies in an image is for the session to say.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import PromptError

__all__ = [
    "Bounds",
    "Box",
    "Click",
    "Point",
    "Polygon",
    "PriorMask",
    "Prompt",
    "Scribble",
    "clip_bounds",
    "joint_bounds",
    "prompt_from_json",
    "prompt_to_json",
]

Point: TypeAlias = tuple[float, float]
Bounds: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Click:
    """One clicked position.

    Parameters
    ----------
    position : (row, col)
        Data coordinates.
    positive : bool
        Whether the position belongs to the object.

    Raises
    ------
    PromptError
        If the position is not two finite numbers.
    """

    position: Point
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", _point(self.position, "a click"))
        object.__setattr__(self, "positive", bool(self.positive))

    @property
    def bounds(self) -> Bounds:
        """Smallest box around the prompt, ``(row0, col0, row1, col1)``, data coordinates."""
        return (*self.position, *self.position)


@dataclass(frozen=True, slots=True)
class Scribble:
    """A line drawn through the object, or through what is not the object.

    Parameters
    ----------
    path : sequence of (row, col)
        At least two points in data coordinates, in the order drawn.
    positive : bool
        Whether the line belongs to the object.

    Raises
    ------
    PromptError
        If there are fewer than two points or any is not two finite numbers.
    """

    path: tuple[Point, ...]
    positive: bool = True

    def __post_init__(self) -> None:
        path = _points(self.path, "a scribble")
        if len(path) < 2:
            raise PromptError(
                f"a scribble needs at least two points but has {len(path)}; "
                "use Click for a single point"
            )
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "positive", bool(self.positive))

    @property
    def bounds(self) -> Bounds:
        """Smallest box around the prompt, ``(row0, col0, row1, col1)``, data coordinates."""
        rows, cols = zip(*self.path, strict=True)
        return (min(rows), min(cols), max(rows), max(cols))


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around the object, or around what is not the object.

    Parameters
    ----------
    start, stop : (row, col)
        Any two opposite corners in data coordinates; they are sorted so that ``start <= stop``.
    positive : bool
        Whether the box frames the object.

    Raises
    ------
    PromptError
        If a corner is not two finite numbers or the box has no area.
    """

    start: Point
    stop: Point
    positive: bool = True

    def __post_init__(self) -> None:
        one, two = _point(self.start, "a box corner"), _point(self.stop, "a box corner")
        start = (min(one[0], two[0]), min(one[1], two[1]))
        stop = (max(one[0], two[0]), max(one[1], two[1]))
        if start[0] == stop[0] or start[1] == stop[1]:
            raise PromptError(
                f"the box from {start} to {stop} has no area; "
                "give two opposite corners that differ in row and column"
            )
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "stop", stop)
        object.__setattr__(self, "positive", bool(self.positive))

    @property
    def bounds(self) -> Bounds:
        """Smallest box around the prompt, ``(row0, col0, row1, col1)``, data coordinates."""
        return (*self.start, *self.stop)


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed line around the object, around a part of it, or around what is not the object.

    Parameters
    ----------
    path : sequence of (row, col)
        At least three corners in data coordinates; the last is joined to the first.
    positive : bool
        Whether it says where the object is. Nothing inside a negative one belongs to the object.
    filled : bool
        Of a positive one: True if what is inside is the object, roughly, which the network then
        makes exact (a prior mask); False if the object lies inside and ends there at the latest
        (a box with a shape).

    Raises
    ------
    PromptError
        If there are fewer than three corners, any is not two finite numbers, or all lie in one
        row or column.
    """

    path: tuple[Point, ...]
    positive: bool = True
    filled: bool = False

    def __post_init__(self) -> None:
        path = _points(self.path, "a polygon")
        if len(path) < 3:
            raise PromptError(
                f"a polygon needs at least three corners but has {len(path)}; draw a line all "
                "the way round"
            )
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "positive", bool(self.positive))
        object.__setattr__(self, "filled", bool(self.filled))
        row0, col0, row1, col1 = self.bounds
        if row0 == row1 or col0 == col1:
            raise PromptError(
                f"the polygon from {(row0, col0)} to {(row1, col1)} has no area; draw a line all "
                "the way round"
            )

    @property
    def bounds(self) -> Bounds:
        """Smallest box around the prompt, ``(row0, col0, row1, col1)``, data coordinates."""
        rows, cols = zip(*self.path, strict=True)
        return (min(rows), min(cols), max(rows), max(cols))


@dataclass(frozen=True, slots=True, eq=False)
class PriorMask:
    """A first idea of the object, from another program or from an earlier session.

    Parameters
    ----------
    mask : array of bool, (h, w)
        True where the object is thought to be. It is copied.
    offset : (row, col)
        Data pixel at which the mask's first element lies, whole numbers.

    Raises
    ------
    PromptError
        If the mask is not two-dimensional, is empty or has no True element, or the offset is not
        two whole numbers.
    """

    mask: npt.NDArray[np.bool_]
    offset: tuple[int, int] = (0, 0)
    _area: Bounds = field(init=False, repr=False)

    def __post_init__(self) -> None:
        mask = np.asarray(self.mask)
        if mask.ndim != 2 or mask.dtype.kind not in "biu":
            raise PromptError(
                f"a prior mask has to be a two-dimensional array of bool, not "
                f"{mask.ndim}-dimensional of {mask.dtype}; compare it with a value first"
            )
        mask = mask.astype(bool)  # always a copy
        if not mask.any():
            raise PromptError(
                f"the prior mask of shape {mask.shape} marks no pixel; leave it out instead"
            )
        mask.flags.writeable = False
        row, col = _point(self.offset, "a prior mask's offset")
        if not (row.is_integer() and col.is_integer()):
            raise PromptError(f"a prior mask's offset has to be whole pixels, not {(row, col)}")
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "offset", (int(row), int(col)))
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        area = (row + rows[0], col + cols[0], row + rows[-1], col + cols[-1])
        object.__setattr__(self, "_area", tuple(float(value) for value in area))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PriorMask):
            return NotImplemented
        return self.offset == other.offset and np.array_equal(self.mask, other.mask)

    def __hash__(self) -> int:
        return hash((self.offset, self.mask.shape, np.packbits(self.mask).tobytes()))

    @property
    def bounds(self) -> Bounds:
        """Smallest box around the True pixels, ``(row0, col0, row1, col1)``, their centres."""
        return self._area


Prompt: TypeAlias = Click | Scribble | Box | Polygon | PriorMask


def joint_bounds(bounds: Iterable[Bounds]) -> Bounds:
    """Return the smallest box around several boxes.

    Parameters
    ----------
    bounds : iterable of (row0, col0, row1, col1)
        At least one.
    """
    row0, col0, row1, col1 = zip(*bounds, strict=True)
    return (min(row0), min(col0), max(row1), max(col1))


def clip_bounds(bounds: Bounds, shape: tuple[int, int]) -> Bounds:
    """Return the part of a box that lies in an image of this shape, rims of pixels included."""
    row0, col0, row1, col1 = (
        min(max(value, -0.5), length - 0.5)
        for value, length in zip(bounds, (*shape, *shape), strict=True)
    )
    return row0, col0, row1, col1


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Turn a prompt into values that `json.dumps` takes.

    Returns
    -------
    dict
        With the key ``"type"``: ``"click"``, ``"scribble"``, ``"box"``, ``"polygon"`` or
        ``"prior_mask"``. Masks are base64 of their bits, rows first.
    """
    if isinstance(prompt, PriorMask):
        bits = base64.b64encode(np.packbits(prompt.mask).tobytes()).decode("ascii")
        shape = list(prompt.mask.shape)
        return {"type": "prior_mask", "offset": list(prompt.offset), "shape": shape, "bits": bits}
    if isinstance(prompt, Click):
        where: dict[str, Any] = {"type": "click", "position": list(prompt.position)}
    elif isinstance(prompt, Scribble):
        where = {"type": "scribble", "path": [list(point) for point in prompt.path]}
    elif isinstance(prompt, Polygon):
        path = [list(point) for point in prompt.path]
        where = {"type": "polygon", "path": path, "filled": prompt.filled}
    else:
        where = {"type": "box", "start": list(prompt.start), "stop": list(prompt.stop)}
    return where | {"positive": prompt.positive}


def prompt_from_json(values: Mapping[str, Any]) -> Prompt:
    """Build the prompt that `prompt_to_json` described.

    Raises
    ------
    PromptError
        If the type is unknown, a key is missing or a value is of the wrong kind.
    """
    try:
        kind = values["type"]
        if kind == "click":
            return Click(values["position"], values.get("positive", True))
        if kind == "scribble":
            return Scribble(values["path"], values.get("positive", True))
        if kind == "box":
            return Box(values["start"], values["stop"], values.get("positive", True))
        if kind == "polygon":
            flags = values.get("positive", True), values.get("filled", False)
            return Polygon(values["path"], *flags)
        if kind == "prior_mask":
            return _prior_mask_from_json(values)
    except (KeyError, TypeError) as error:
        raise PromptError(f"this does not describe a prompt ({error!r}): {values!r}") from error
    raise PromptError(
        f"unknown prompt type {kind!r}; known are 'click', 'scribble', 'box', 'polygon' and "
        "'prior_mask'"
    )


def _prior_mask_from_json(values: Mapping[str, Any]) -> PriorMask:
    height, width = (int(side) for side in values["shape"])
    try:
        bits = np.frombuffer(base64.b64decode(values["bits"], validate=True), np.uint8)
        mask = np.unpackbits(bits, count=height * width).astype(bool).reshape(height, width)
    except ValueError as error:
        raise PromptError(f"the bits of the prior mask are damaged: {error}") from error
    if len(bits) != math.ceil(height * width / 8):
        raise PromptError(
            f"a prior mask of {height} x {width} takes {math.ceil(height * width / 8)} bytes, "
            f"not {len(bits)}"
        )
    return PriorMask(mask, values.get("offset", (0, 0)))


def _points(path: Any, what: str) -> tuple[Point, ...]:
    if not isinstance(path, Sequence | np.ndarray):
        raise PromptError(
            f"{what} has to be a sequence of (row, col) points, not {type(path).__name__}"
        )
    return tuple(_point(point, what) for point in path)


def _point(value: Any, what: str) -> Point:
    """Check a position and return it as two plain floats."""
    try:
        row, col = (float(number) for number in value)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} has to be two numbers (row, col), not {value!r}") from error
    if not (math.isfinite(row) and math.isfinite(col)):
        raise PromptError(
            f"{what} has to be finite but is {(row, col)}; leave out prompts without a position"
        )
    return row, col
