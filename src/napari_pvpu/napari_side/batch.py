"""What a batch of objects needs to know of prompts and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.errors import OverlapError
from napari_pvpu.prompts import Box, Click, Polygon

if TYPE_CHECKING:
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session

__all__ = ["begins_object", "contested"]


def begins_object(prompt: Prompt) -> bool:
    """Tell whether a prompt is an object of its own in a batch; lines and the rest correct one."""
    return isinstance(prompt, Click | Box | Polygon) and prompt.positive


def contested(session: Session | None, plane: Plane) -> OverlapError | None:
    """Return what accepting the object at work would raise if the rule were to ask, or None."""
    if session is None or session.plane != plane:
        return None
    region = session.region
    there = np.asarray(session.labels[(*plane, *region.slices)])[region.mask]
    ids, counts = np.unique(there[there > 0], return_counts=True)
    if not len(ids):
        return None
    return OverlapError(
        session.opened or 0, {int(i): int(n) for i, n in zip(ids, counts, strict=True)}
    )
