"""A picture of what the simulated user does, to be looked at before a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

from napari_pvpu.networks.prompt_batch import BOX, CLICK, EMPTY, SCRIBBLE, PromptBatch
from napari_pvpu.training.habits import UserHabits
from napari_pvpu.training.prior_masks import corrupt_masks
from napari_pvpu.training.simulate import PromptMemory, SimulatedUser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.networks.interface import PromptableNetwork
    from napari_pvpu.training.datasets import Views

__all__ = ["user_sheet"]

_POSITIVE: Final = (60, 255, 60)
_NEGATIVE: Final = (255, 50, 50)
_OUTLINE: Final = (255, 220, 0)
_TINT: Final = (40, 110, 255)
_GAP: Final = 4


class _Panel(NamedTuple):
    """One round of one object: the mask that the user saw, and what came to mind."""

    seen: NDArray[np.bool_] | None
    prompts: PromptBatch  # of one object, K slots


def user_sheet(
    views: Views,
    habits: UserHabits | None = None,
    *,
    rounds: int = 5,
    priors: float = 0.34,
    seed: int = 0,
    zoom: int = 2,
    network: PromptableNetwork | None = None,
) -> NDArray[np.uint8]:
    """Show the prompts that a simulated user gives, round by round.

    A row is an object, a column a round. The object's outline is yellow, the mask that the user
    answers is tinted blue; the prompts of the round are green if positive and red if negative: a
    dot is a click, a rectangle a box, a line a scribble.

    Parameters
    ----------
    views : Views
        ``B`` views of S pixels; of each, the object that it was made for.
    habits : UserHabits, optional
        How the user behaves; as for the default model if left out.
    rounds : int
        Columns, at least 1.
    priors : float
        Share of the rows, the last ones, that begin with a spoilt mask.
    seed : int
        Of the user.
    zoom : int
        Pixels of the picture for each of a view, at least 1.
    network : PromptableNetwork, optional
        What answers the prompts, on the views' device. Without one the masks after each round are
        spoilt copies of the object.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.

    Raises
    ------
    ValueError
        If `rounds` or `zoom` is below 1, or there is no view.
    """
    count = len(views.image)
    if min(rounds, zoom, count) < 1:
        raise ValueError(
            f"rounds is {rounds}, zoom {zoom}, views are {count}; each has to be 1 or more"
        )
    device = views.image.device
    generator = torch.Generator(device).manual_seed(seed)
    user = SimulatedUser(habits or UserHabits(), generator, torch.Generator().manual_seed(seed))
    blank = min(count, math.ceil(count * (1 - priors)))
    rows = []
    for part, spoilt in ((slice(0, blank), False), (slice(blank, count), True)):
        group = type(views)(*(field[part] for field in views))
        if len(group.image):
            rows += _play(group, user, rounds, network, spoilt)
    truth = (views.labels == views.target[:, None, None]).cpu().numpy()
    images = (views.image.nan_to_num(0).clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return _tiled(
        [
            [_drawn(image, mask, panel, zoom) for panel in row]
            for image, mask, row in zip(images, truth, rows, strict=True)
        ]
    )


@torch.no_grad()
def _play(
    views: Views,
    user: SimulatedUser,
    rounds: int,
    network: PromptableNetwork | None,
    spoilt: bool,
) -> list[list[_Panel]]:
    """Let a user play on a group of views; return the panels of each view."""
    truth = views.labels == views.target[:, None, None]
    others = (views.labels > 0) & ~truth
    inside = ~views.image[:, 0].isnan()
    features = None if network is None else network.encode(views.image)
    prediction = corrupt_masks(truth, user.generator, others) & inside if spoilt else None
    previous = None if prediction is None else prediction[:, None].float()
    memory, columns = PromptMemory(), []
    for _ in range(rounds):
        before = len(memory.rounds)
        user.answer(truth, prediction, memory, others, inside)
        given = PromptBatch(*(field[:, before:].cpu() for field in memory.batch()))
        seen = [None] * len(truth) if prediction is None else list(prediction.cpu().numpy())
        columns.append(
            [
                _Panel(mask, PromptBatch(*(field[i] for field in given)))
                for i, mask in enumerate(seen)
            ]
        )
        if network is None or features is None:
            prediction = corrupt_masks(truth, user.generator, others) & inside
        else:
            previous = network.decode(features, memory.batch(), previous).logits.sigmoid()
            prediction = (previous[:, 0] > 0.5) & inside
    return [list(row) for row in zip(*columns, strict=True)]


def _drawn(
    image: NDArray[np.uint8], truth: NDArray[np.bool_], panel: _Panel, zoom: int
) -> NDArray[np.uint8]:
    """Draw one panel: ``(S * zoom, S * zoom, 3)``."""
    canvas = image.astype(np.float32)
    if panel.seen is not None:
        canvas[panel.seen] = 0.6 * canvas[panel.seen] + 0.4 * np.array(_TINT)
    canvas = np.kron(canvas, np.ones((zoom, zoom, 1), np.float32)).astype(np.uint8)
    large = np.kron(truth, np.ones((zoom, zoom), bool))
    padded = np.pad(large, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    canvas[large & ~inner] = _OUTLINE
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    points, valid, kinds, positive = panel.prompts
    for k, kind in enumerate(kinds.tolist()):
        if kind != EMPTY:
            # (x, y) in pixels of the picture; a pixel's centre is half a pixel into it.
            path = ((points[k][valid[k]].flip(-1) + 0.5) * zoom).tolist()
            _mark(pen, kind, [(x, y) for x, y in path], bool(positive[k]), zoom)
    return np.asarray(picture)


def _mark(
    pen: ImageDraw.ImageDraw,
    kind: int,
    path: list[tuple[float, float]],
    positive: bool,
    zoom: int,
) -> None:
    """Draw one prompt."""
    colour = _POSITIVE if positive else _NEGATIVE
    if kind == CLICK:
        (x, y), radius = path[0], 2.0 * zoom
        pen.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=colour, outline=(0, 0, 0)
        )
    elif kind == BOX:
        (left, top), (right, bottom) = path
        pen.rectangle((left, top, right, bottom), outline=colour, width=max(1, zoom // 2))
    elif kind == SCRIBBLE:
        pen.line(path, fill=colour, width=zoom, joint="curve")


def _tiled(rows: list[list[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Put panels of one size side by side, with gaps."""
    grid = np.stack([np.stack(row) for row in rows])
    grid = np.pad(grid, ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
    height, width, tall, wide, _ = grid.shape
    return grid.transpose(0, 2, 1, 3, 4).reshape(height * tall, width * wide, 3)
