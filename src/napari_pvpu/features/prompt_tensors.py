"""Prompts in view coordinates as the tensors that the network reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.prompts import Box, Click, PriorMask, Prompt, Scribble

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PIECE_LENGTH", "SPACING", "prompt_batch", "reads_twice", "split_path"]

PIECE_LENGTH = 64.0
"""Longest piece of a scribble that becomes one token, model pixels along the path."""

SPACING = 1.0
"""Distance of the samples on a piece, model pixels, at most."""

READ_TWICE = 2
"""Most prompts with which a mask that is there is read without, too."""

Points = npt.NDArray[np.float64]


def split_path(
    path: Points, length: float = PIECE_LENGTH, spacing: float = SPACING
) -> list[Points]:
    """Cut a path into equal pieces and sample them evenly.

    Parameters
    ----------
    path : array, (n, 2)
        Corners in view coordinates.
    length : float
        Longest piece, along the path.
    spacing : float
        Distance of neighbouring samples, at most.

    Returns
    -------
    list of array, each (m, 2)
        Each piece begins where the one before ends. A path of no length is one piece of one
        sample.
    """
    steps = np.hypot(*np.diff(path, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    total = along[-1]
    if total == 0:
        return [path[:1]]
    pieces = int(np.ceil(total / length))
    samples = int(np.ceil(total / pieces / spacing))
    at = np.linspace(0, total, pieces * samples + 1)
    dense = np.stack([np.interp(at, along, path[:, axis]) for axis in (0, 1)], axis=1)
    return [dense[k * samples : (k + 1) * samples + 1] for k in range(pieces)]


def prompt_batch(prompts: Sequence[Prompt]) -> PromptBatch:
    """Turn the prompts of one view into a batch of one.

    Parameters
    ----------
    prompts : sequence of Prompt
        In view coordinates. A scribble longer than `PIECE_LENGTH` takes several slots; prior
        masks take none, for they reach the network as the previous probability.

    Returns
    -------
    PromptBatch
        (1, K, P, 2) with K at least 1, on the CPU; one empty slot if there are no prompts.
    """
    slots: list[tuple[int, bool, Points | list[tuple[float, float]]]] = []
    for prompt in prompts:
        if isinstance(prompt, Click):
            slots.append((CLICK, prompt.positive, [prompt.position]))
        elif isinstance(prompt, Box):
            slots.append((BOX, prompt.positive, [prompt.start, prompt.stop]))
        elif isinstance(prompt, Scribble):
            pieces = split_path(np.array(prompt.path))
            slots += [(SCRIBBLE, prompt.positive, piece) for piece in pieces]
        else:
            assert isinstance(prompt, PriorMask)
    slots = slots or [(EMPTY, False, [])]
    kinds, positives, lines = zip(*slots, strict=True)
    lengths = [len(points) for points in lines]
    # Filled as arrays, which takes a tenth of the time that as many small tensors would.
    places = np.zeros((1, len(slots), max(2, *lengths), 2), np.float32)
    for k, points in enumerate(lines):
        if lengths[k]:
            places[0, k, : lengths[k]] = points
    valid = np.arange(places.shape[2]) < np.array(lengths)[:, None]
    rest = (valid[None], np.array([kinds], np.int64), np.array([positives], np.bool_))
    return PromptBatch(*map(torch.from_numpy, (places, *rest)))


def reads_twice(prompts: PromptBatch) -> bool:
    """Tell whether a mask that is there is worth a second reading without it.

    While little is known, the mask before may be wrong as a whole, and an answer from the prompts
    alone corrects it. With more prompts it is mostly right, and the answer that builds on it alone
    is better, on training objects: 0.870 for 0.865 after five clicks, with 4.4 % for 5.3 % of the
    clicks making a mask worse; after the second click reading once costs 0.007.

    Parameters
    ----------
    prompts : PromptBatch
        All of the object; a long scribble has several slots.

    Returns
    -------
    bool
        True for up to `READ_TWICE` slots.
    """
    return prompts.kind.shape[1] <= READ_TWICE
