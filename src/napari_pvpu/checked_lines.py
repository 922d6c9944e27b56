"""Lines of files that are only appended to: ``CRC JSON``, whole or not there.

The CRC-32 of the JSON stands before it in eight hexadecimal digits, so that a line that was torn
by a crash, or damaged later, is known as such.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

__all__ = ["from_line", "to_line"]


def to_line(values: dict[str, Any]) -> bytes:
    """Return values as a line, its end included.

    Parameters
    ----------
    values : dict
        That `json.dumps` takes; NaN and infinities are refused.
    """
    text = json.dumps(values, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def from_line(line: bytes) -> dict[str, Any] | None:
    """Return the values of a line, given without its end; None if it is damaged."""
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
