"""What was done to a session, as plain data: the journal's lines and the script's.

An operation is the name of a method of `Session` with its arguments, or one of two more:
``"prompts"``, an interaction with all that it depended on, and ``"set"``, a setting.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.errors import JournalError, PromptError
from napari_pvpu.prompts import (
    Box,
    Click,
    Polygon,
    PriorMask,
    Scribble,
    prompt_from_json,
    prompt_to_json,
)
from napari_pvpu.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "METHODS",
    "Operation",
    "OperationLog",
    "pack_array",
    "pack_labels",
    "unpack_array",
]

METHODS = frozenset(
    """
    accept accept_into adopt delete divide end_object fill_holes go_to grow join keep_off lose
    merge open_mask open_object paint paint_labels propagate redo relabel remove_small reset
    return_to_best see shrink smooth split undo unlink
    """.split()
)
"""Operations that are methods of a session."""

_PROMPTS = (Click, Scribble, Box, Polygon, PriorMask)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One thing done to a session.

    Attributes
    ----------
    name : str
        One of `METHODS`, ``"prompts"`` or ``"set"``.
    values : dict
        Its arguments: prompts, arrays (as they are or packed), numbers, words, None, and lists of
        these.
    result : object
        What the method returned, if a replay has to come to the same.
    """

    name: str
    values: Mapping[str, Any]
    result: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return values that `json.dumps` takes."""
        out = {"op": self.name, **{key: _encode(value) for key, value in self.values.items()}}
        return out if self.result is None else {**out, "result": self.result}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Operation:
        """Build the operation that `to_json` described.

        Raises
        ------
        JournalError
            If the name is unknown or a value is damaged.
        """
        name = values.get("op")
        if name not in {*METHODS, "prompts", "set"}:
            raise JournalError(
                f"unknown operation {name!r}; the session was written by a newer version"
            )
        try:
            known = {k: _decode(v) for k, v in values.items() if k not in ("op", "result")}
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise JournalError(f"operation {name!r} is damaged: {error}") from error
        return cls(str(name), known, values.get("result"))


class OperationLog:
    """Operations in the order in which they were done, and who wants to know of them."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._listener: Callable[[Operation], None] | None = None

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All of them."""
        return tuple(self._operations)

    def add(self, operation: Operation) -> None:
        """Note an operation that has just been done."""
        self._operations.append(operation)
        if self._listener is not None:
            self._listener(operation)

    def listen(self, listener: Callable[[Operation], None] | None) -> None:
        """Call `listener` with each operation from now on; None for nobody."""
        self._listener = listener


def pack_array(array: npt.NDArray[Any]) -> dict[str, Any]:
    """Turn an array into values that `json.dumps` takes, compressed."""
    bits = array.dtype == bool
    raw = np.packbits(array).tobytes() if bits else np.ascontiguousarray(array).tobytes()
    text = base64.b64encode(zlib.compress(raw, 1)).decode("ascii")
    return {"type": "array", "dtype": array.dtype.str, "shape": list(array.shape), "zlib": text}


def pack_labels(labels: Any) -> dict[str, Any]:
    """Turn labels into values that `json.dumps` takes, sparse ones tile by tile."""
    if not isinstance(labels, SparseLabels):
        return pack_array(labels)
    tiles = [
        [*place, base64.b64encode(content).decode("ascii")] for *place, content in labels.packed()
    ]
    return {
        "type": "sparse labels",
        "dtype": labels.dtype.str,
        "shape": list(labels.shape),
        "tiles": tiles,
    }


def unpack_array(values: Mapping[str, Any]) -> Any:
    """Build what `pack_array` or `pack_labels` described.

    Raises
    ------
    ValueError, KeyError, zlib.error
        If the values are damaged.
    """
    shape = tuple(int(length) for length in values["shape"])
    dtype = np.dtype(values["dtype"])
    if values["type"] == "sparse labels":
        labels = SparseLabels(shape, dtype)
        for plane, row, col, content in values["tiles"]:
            labels.put_packed(tuple(plane), row, col, base64.b64decode(content, validate=True))
        return labels
    raw = zlib.decompress(base64.b64decode(values["zlib"], validate=True))
    if dtype.kind == "b":
        count = int(np.prod(shape, dtype=np.int64))
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=count)
        return bits.astype(bool).reshape(shape)
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def _encode(value: Any) -> Any:
    if isinstance(value, _PROMPTS):
        return prompt_to_json(value)
    if isinstance(value, np.ndarray):
        return pack_array(value)
    if isinstance(value, list | tuple):
        return [_encode(each) for each in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") in ("array", "sparse labels"):
        return unpack_array(value)
    try:
        return prompt_from_json(value)
    except PromptError as error:
        raise ValueError(str(error)) from error
