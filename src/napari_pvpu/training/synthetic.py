"""Synthetic microscopy and materials scenes with exact label maps.

The real training images are thin on phase contrast, DIC, bacteria, electron microscopy and
stained tissue; these scenes carry them. They aim at variety of shape, texture, scale, contrast
and polarity rather than at any one instrument. numpy, scipy and scikit-image only.

From a shell: ``python -m napari_pvpu.training.synthetic --out sheet.png --kind phase_contrast``.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training import synthetic_abstract as abstract
from napari_pvpu.training import synthetic_demo as demo
from napari_pvpu.training import synthetic_fluorescence as fluorescence
from napari_pvpu.training import synthetic_labelfree as labelfree
from napari_pvpu.training import synthetic_materials as materials
from napari_pvpu.training import synthetic_stained as stained
from napari_pvpu.training import synthetic_structures as structures
from napari_pvpu.training import synthetic_tissue as tissue
from napari_pvpu.training.synthetic_appearance import record
from napari_pvpu.training.synthetic_layouts import MIN_AREA, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_fields import Field, Size
    from napari_pvpu.training.synthetic_painting import Painting
    from napari_pvpu.training.synthetic_shapes import Labels

_PAINTERS: dict[str, Callable[[Size, np.random.Generator], Painting]] = {
    painter.__name__: painter
    for painter in (
        fluorescence.nuclei,
        fluorescence.cells_fluorescence,
        fluorescence.membranes,
        labelfree.phase_contrast,
        labelfree.dic,
        labelfree.quantitative_phase,
        labelfree.brightfield,
        labelfree.bacteria,
        labelfree.yeast,
        stained.smear,
        stained.blood,
        fluorescence.neurons,
        stained.histology,
        tissue.tissue_em,
        tissue.axons,
        tissue.colonies,
        tissue.muscle,
        materials.powder,
        materials.precipitates,
        materials.particles,
        materials.grains,
        structures.layers,
        structures.melt_pools,
        materials.pores,
        structures.filaments,
        structures.lamellae,
        abstract.textures,
        abstract.leaves,
        abstract.solids,
        abstract.rings,
        abstract.regions,
        abstract.ghosts,
    )
}

KINDS: tuple[str, ...] = tuple(_PAINTERS)
"""Names of all kinds of scene."""

_DEMOS: dict[str, Callable[[np.random.Generator], tuple[Field, Labels]]] = {
    "fluorescence": demo.fluorescence,
    "phase": demo.phase,
    "em": demo.em,
}

DEMOS: tuple[str, ...] = tuple(_DEMOS)
"""Names of the demonstration scenes."""

_TRIES = 6


@dataclass(frozen=True, slots=True)
class Scene:
    """One synthetic picture.

    Attributes
    ----------
    image
        (H, W, 3) uint8, grey pictures with three equal channels.
    labels
        (H, W) uint16, 0 background; each label is one connected piece of at least `MIN_AREA` px.
    kind
        One of `KINDS`, or the name of a demonstration scene.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    kind: str


def generate_scene(kind: str, size: Size, rng: np.random.Generator) -> Scene:
    """Draw one scene.

    Parameters
    ----------
    kind
        One of `KINDS`.
    size
        (rows, cols) in pixels, at least 32 each.
    rng
        Source of all randomness: the same state gives the same scene.

    Returns
    -------
    Scene
        Image, labels and kind; holds at least one object.

    Raises
    ------
    ValueError
        For an unknown kind or a size below 32 pixels.
    """
    if kind not in _PAINTERS:
        raise ValueError(f"unknown kind of scene {kind!r}; choose one of {', '.join(KINDS)}")
    if min(size) < 32:
        raise ValueError(f"a scene of {size[0]} x {size[1]} pixels is too small; use at least 32")
    for _ in range(_TRIES):
        painting = _PAINTERS[kind](size, rng)
        labels = tidy(painting.labels)
        if labels.max() > 0:
            image = record(painting.image, rng, painting.look)
            return Scene(image, labels.astype(np.uint16), kind)
    raise RuntimeError(f"{kind} gave no object of {MIN_AREA} px or more in {_TRIES} tries")


def demo_scene(name: str) -> Scene:
    """A simulated micrograph to show, the same at every call.

    Parameters
    ----------
    name
        "fluorescence" (nuclei), "phase" (cells in phase contrast) or "em" (mitochondria in an
        electron micrograph of neuropil).

    Returns
    -------
    Scene
        512 x 512 pixels, with exact labels.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in _DEMOS:
        raise ValueError(f"unknown demonstration scene {name!r}; choose one of {', '.join(DEMOS)}")
    image, labels = _DEMOS[name](np.random.default_rng(20))
    picture = demo.to_grey8(image)
    return Scene(picture, tidy(labels, 4 * MIN_AREA).astype(np.uint16), name)


def scene_at(index: int, size: Size, seed: int, kinds: Sequence[str] = KINDS) -> Scene:
    """The scene number `index` of a seed: depends on (seed, index), size and kinds only."""
    rng = np.random.default_rng([seed, index])
    kind = str(kinds[int(rng.integers(len(kinds)))])
    return generate_scene(kind, size, rng)


def generate_scenes(
    n: int,
    size: Size = (256, 256),
    seed: int = 0,
    workers: int = 1,
    *,
    kinds: Sequence[str] = KINDS,
    start: int = 0,
) -> Iterator[Scene]:
    """Scenes `start` to `start + n - 1` of a seed, in order, for any number of workers.

    Parameters
    ----------
    n
        Number of scenes.
    size
        (rows, cols) in pixels.
    seed
        Scene i depends on (seed, i) only.
    workers
        Processes; 1 stays in this one.
    kinds
        Kinds to draw from, with equal chances; repeat a name to favour it.
    start
        Index of the first scene.

    Yields
    ------
    Scene
        One at a time; a list of many 256 x 256 scenes takes a third of a megabyte each.
    """
    draw = partial(scene_at, size=size, seed=seed, kinds=tuple(kinds))
    indices = range(start, start + n)
    if workers <= 1:
        yield from map(draw, indices)
        return
    # Fresh interpreters: forking a process that holds torch threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(draw, indices, chunksize=8)


def outlined(scene: Scene, colour: tuple[int, int, int] = (255, 60, 60)) -> NDArray[np.uint8]:
    """The image (H, W, 3) uint8 with the inner outlines of all objects in a colour."""
    labels = scene.labels
    edge = np.zeros(labels.shape, dtype=bool)
    vertical, horizontal = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= vertical
    edge[:-1] |= vertical
    edge[:, 1:] |= horizontal
    edge[:, :-1] |= horizontal
    picture = scene.image.copy()
    picture[edge & (labels > 0)] = colour
    return picture


def contact_sheet(
    scenes: Sequence[Scene], columns: int = 6, *, outlines: bool = True, border: int = 2
) -> NDArray[np.uint8]:
    """Tile scenes of one size.

    Parameters
    ----------
    scenes
        At least one scene, all of the same size.
    columns
        Scenes in a row.
    outlines
        Draw object outlines on every second scene, so that the picture itself can be seen too.
    border
        White pixels between scenes.

    Returns
    -------
    ndarray
        (rows, cols, 3) uint8.
    """
    columns = min(columns, len(scenes))
    height, width = scenes[0].labels.shape
    rows = -(-len(scenes) // columns)
    shape = (rows * (height + border), columns * (width + border), 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for number, scene in enumerate(scenes):
        tile = outlined(scene) if outlines and number % 2 else scene.image
        r, c = divmod(number, columns)
        top, left = r * (height + border), c * (width + border)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a contact sheet of scenes to an image file."""
    parser = argparse.ArgumentParser(description="Contact sheet of synthetic scenes.")
    parser.add_argument("--out", type=Path, required=True, help="image file to write")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all kinds")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--columns", type=int, default=6)
    chosen = parser.parse_args(arguments)
    scenes = list(
        generate_scenes(
            chosen.count, (chosen.size, chosen.size), chosen.seed, kinds=chosen.kind or KINDS
        )
    )
    from skimage import io

    io.imsave(chosen.out, contact_sheet(scenes, chosen.columns), check_contrast=False)


if __name__ == "__main__":
    main()
