"""Batches of synthetic scenes with exact labels, drawn on the device they are used on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_pvpu.errors import ConfigError
from napari_pvpu.training.scenes import abstract, fluorescence, labelfree, materials, tissue
from napari_pvpu.training.scenes.canvas import Canvas, host_random
from napari_pvpu.training.scenes.components import tidy
from napari_pvpu.training.scenes.optics import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_pvpu.training.scenes.painting import Painting

PAINTERS: dict[str, Callable[[Canvas], Painting]] = {
    painter.__name__: painter
    for painter in (
        fluorescence.nuclei,
        fluorescence.cells,
        fluorescence.membranes,
        fluorescence.vesicles,
        fluorescence.neurons,
        labelfree.phase_contrast,
        labelfree.dic,
        labelfree.quantitative_phase,
        labelfree.brightfield,
        labelfree.bacteria,
        labelfree.yeast,
        tissue.histology,
        tissue.smear,
        tissue.electron_tissue,
        tissue.axons,
        tissue.fibres,
        tissue.colonies,
        materials.powder,
        materials.particles,
        materials.grains,
        materials.phases,
        materials.pores,
        materials.layers,
        materials.cracks,
        materials.melt_pools,
        materials.strands,
        abstract.textures,
        abstract.leaves,
        abstract.solids,
        abstract.regions,
        abstract.nested,
        abstract.ghosts,
    )
}
"""What draws each kind of scene."""

KINDS: tuple[str, ...] = tuple(PAINTERS)
"""Names of all kinds of scene."""

MIN_AREA = 30
"""Smallest object, in pixels; smaller pieces are background."""

SMALLEST = 48
"""Smallest side of a scene, in pixels."""

# Scenes that share a kind and how it is built. Fewer would be more varied but cost a GPU more.
_GROUP = 4


class SceneBatch(NamedTuple):
    """Scenes with labels.

    Attributes
    ----------
    image : Tensor
        ``(B, 3, S, S)`` float32, 0 to 1; grey pictures have equal channels.
    labels : Tensor
        ``(B, S, S)`` int16, 0 for background; each label is one connected piece of at least
        `MIN_AREA` pixels, numbered from 1 in each scene.
    parts : Tensor
        ``(B, S, S)`` int16: objects inside those of `labels`, such as nuclei in cells, numbered
        and connected likewise; 0 where there is none.
    kind : Tensor
        ``(B,)`` int64, index into `KINDS`.
    """

    image: Tensor
    labels: Tensor
    parts: Tensor
    kind: Tensor


def render_scenes(
    count: int, size: int, generator: torch.Generator, kinds: Sequence[str] = KINDS
) -> SceneBatch:
    """Draw scenes of random kinds.

    Scenes come in groups of up to four of one kind, which share how they are built (which shapes
    and steps) and differ in all that is drawn. A scene may hold no object: an empty field is a
    picture, too.

    Parameters
    ----------
    count, size : int
        Scenes ``B`` and their side ``S`` in pixels.
    generator : torch.Generator
        Source of all randomness; the scenes are drawn on its device. The same state gives the
        same scenes on the same device.
    kinds : sequence of str
        Names from `KINDS` with equal chances; repeat one to favour it.

    Returns
    -------
    SceneBatch
        On the generator's device.

    Raises
    ------
    ConfigError
        For no scenes, a size below `SMALLEST`, or a name that is not in `KINDS`.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not kinds:
        named = ", ".join(unknown) or "(none)"
        raise ConfigError(f"no such kind of scene: {named}; choose from {', '.join(KINDS)}")
    if count < 1 or size < SMALLEST:
        raise ConfigError(
            f"cannot draw {count} scenes of {size} pixels; ask for at least 1 scene of at least "
            f"{SMALLEST} pixels"
        )
    host = host_random(generator)
    images, labels, parts, numbers = [], [], [], []
    for start in range(0, count, _GROUP):
        kind = host.choice(list(kinds))
        canvas = Canvas(min(_GROUP, count - start), size, generator, host)
        painting = PAINTERS[kind](canvas)
        images.append(record(canvas, painting.image, painting.look))
        whole = tidy(painting.labels, MIN_AREA)
        labels.append(whole)
        if painting.parts is None:
            parts.append(torch.zeros_like(whole))
        else:
            parts.append(tidy(painting.parts * (whole > 0), MIN_AREA))
        numbers += [KINDS.index(kind)] * canvas.count
    return SceneBatch(
        torch.cat(images), torch.cat(labels), torch.cat(parts), _indices(numbers, generator.device)
    )


def _indices(numbers: list[int], device: torch.device) -> Tensor:
    """Copy without making the host wait."""
    return torch.tensor(numbers).to(device, non_blocking=True)
