"""What a batch of objects needs to know of prompts and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.prompts import Box, Click, Polygon

if TYPE_CHECKING:
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session

__all__ = ["begins_object", "contested"]


def begins_object(prompt: Prompt) -> bool:
    """Tell whether a prompt is an object of its own in a batch; lines and the rest correct one."""
    return isinstance(prompt, Click | Box | Polygon) and prompt.positive


def contested(session: Session | None, plane: Plane) -> bool:
    """Tell whether the object at work in a plane has pixels that are others' already."""
    if session is None or session.plane != plane:
        return False
    region = session.region
    there = np.asarray(session.labels[(*plane, *region.slices)])
    return bool((there[region.mask] > 0).any())
