"""Pictures to try the program on, with the true objects where they are known.

Three are photographs and micrographs that scikit-image installs with itself, one is simulated by
`napari_pvpu.training.synthetic` and stored beside this module. A stack and a movie are drawn when
they are asked for. Nothing is downloaded. The functions without an argument are what napari offers
under File > Open Sample.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "NAMES",
    "VOLUMES",
    "Sample",
    "cell",
    "coins",
    "ihc",
    "load",
    "movie",
    "simulated",
    "stack",
]

LayerTuple = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture.

    Parameters
    ----------
    name : str
        Its key in this module and in napari's menu.
    title : str
        What it shows.
    image : ndarray of uint8, shape (H, W) or (H, W, 3)
        Not to be written to.
    truth : ndarray of uint16, shape (H, W)
        The true objects, 0 is background.
    truth_source : str
        How the truth was made, so that nobody takes it for more than it is.
    """

    name: str
    title: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint16]
    truth_source: str


def load(name: str) -> Sample:
    """Load a sample picture by name.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    Sample
        With read-only arrays.

    Raises
    ------
    DatasetError
        If there is no sample of that name.
    """
    if name not in _LOADERS:
        raise DatasetError(f"there is no sample {name!r}; there are {', '.join(NAMES)}")
    sample = _LOADERS[name]()
    for array in (sample.image, sample.truth):
        array.flags.writeable = False
    return sample


def coins() -> list[LayerTuple]:
    """Provide the coins to napari."""
    return _layers("coins")


def cell() -> list[LayerTuple]:
    """Provide the single cell to napari."""
    return _layers("cell")


def ihc() -> list[LayerTuple]:
    """Provide the stained tissue to napari."""
    return _layers("ihc")


def simulated() -> list[LayerTuple]:
    """Provide the simulated cells to napari."""
    return _layers("simulated")


def stack() -> list[LayerTuple]:
    """Provide a simulated stack of nuclei to napari."""
    return _volume("nuclei", "stack", ("z", "y", "x"))


def movie() -> list[LayerTuple]:
    """Provide a simulated movie of cells to napari."""
    return _volume("movie", "movie", ("t", "y", "x"))


def _volume(kind: str, name: str, axes: tuple[str, ...]) -> list[LayerTuple]:
    from napari_pvpu.evaluation.volumes import draw_volume

    image = draw_volume(kind, 0, (32, 192, 192)).image
    return [(image, {"name": name, "axis_labels": axes}, "image")]


def _layers(name: str) -> list[LayerTuple]:
    sample = load(name)
    return [(sample.image.copy(), {"name": name}, "image")]


def _coins() -> Sample:
    from scipy import ndimage
    from skimage import data, filters, segmentation

    image = data.coins()
    # Dark table and bright metal seed a flooding of the gradient, which meets at the rims.
    seeds = np.where(image < 30, 1, np.where(image > 150, 2, 0))
    metal = segmentation.watershed(filters.sobel(image), seeds) == 2
    metal = ndimage.binary_opening(ndimage.binary_fill_holes(metal), iterations=2)
    return Sample(
        "coins",
        "Greek coins, photograph",
        image,
        ndimage.label(metal)[0].astype(np.uint16),
        "watershed of the gradient from dark and bright seeds; looked over coin by coin",
    )


def _cell() -> Sample:
    from scipy import ndimage
    from skimage import data, filters

    image = data.cell()
    bright = ndimage.binary_fill_holes(image > filters.threshold_otsu(image))
    bright = ndimage.binary_opening(bright, iterations=3)
    return Sample(
        "cell",
        "A cell, quantitative phase microscopy",
        image,
        ndimage.label(bright)[0].astype(np.uint16),
        "Otsu's threshold with holes filled; looked over",
    )


def _ihc() -> Sample:
    from skimage import data, draw

    image = data.immunohistochemistry()
    traced = json.loads(_file("ihc_outlines.json").read_text("utf-8"))
    truth = np.zeros(image.shape[:2], np.uint16)
    for index, one in enumerate(traced["objects"], start=1):
        inside = draw.polygon2mask(truth.shape, one["outline"])
        for hole in one["holes"]:
            inside &= ~draw.polygon2mask(truth.shape, hole)
        truth[inside] = index
    return Sample(
        "ihc",
        "Glands in colon tissue, immunohistochemistry",
        image,
        truth,
        "outlines of three glands traced by hand, good to about 3 pixels",
    )


def _simulated() -> Sample:
    return Sample(
        "simulated",
        "Cells in phase contrast, simulated",
        _picture("simulated.png"),
        _picture("simulated_labels.png").astype(np.uint16),
        "exact: the simulation draws the cells first and the picture from them",
    )


def _picture(name: str) -> NDArray[np.uint8]:
    from PIL import Image

    with _file(name).open("rb") as file, Image.open(file) as picture:
        return np.array(picture)


def _file(name: str) -> Any:
    return resources.files("napari_pvpu").joinpath("data", name)


_LOADERS: dict[str, Callable[[], Sample]] = {
    "coins": _coins,
    "cell": _cell,
    "ihc": _ihc,
    "simulated": _simulated,
}
NAMES = tuple(_LOADERS)
VOLUMES = ("stack", "movie")
"""Samples of many planes, by the names of the functions that draw them."""
