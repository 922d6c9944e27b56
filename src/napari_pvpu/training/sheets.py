"""Pictures of what a network is fed in training, to be looked at before a run is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_pvpu.errors import ConfigError, PvpuError
from napari_pvpu.features.devices import choose_device
from napari_pvpu.training.datasets import Views, ViewSampling, augment
from napari_pvpu.training.engine import DataEngine, SceneStreamConfig
from napari_pvpu.training.run_data import read_pairs, training_data
from napari_pvpu.training.scenes.render import KINDS, render_scenes
from napari_pvpu.training.scenes.sheet import scene_sheet, view_sheet
from napari_pvpu.training.user_sheet import user_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_pvpu.training.datasets import Atlas

__all__ = ["contact_sheet", "stacked", "write_picture"]

_SCENE_SIZE = 256
_GAP = 12
# A user's row shows several rounds.
_A_USER = 4


def contact_sheet(
    data: Sequence[str | Path] = (),
    *,
    images: str | Path | None = None,
    min_area: int = 1,
    skip_bad: bool = False,
    scenes: bool = False,
    kind: Sequence[str] = (),
    users: bool = False,
    count: int = 32,
    size: int = 128,
    columns: int = 8,
    seed: int = 0,
    device: str = "cpu",
) -> NDArray[np.uint8]:
    """Draw what training is fed: streamed scenes, augmented views of data, users' prompts.

    Parameters
    ----------
    data : sequence of str or Path
        See `load_sources`; their views are shown, if there are any.
    images, min_area, skip_bad
        See `RunOptions`.
    scenes : bool
        Show streamed scenes; also if nothing else is asked for.
    kind : sequence of str
        Kinds of scenes; all by default.
    users : bool
        Show prompts of simulated users, on views of the data, or of scenes without data.
    count, size, columns : int
        Scenes or views to show, and a quarter as many users; side of views in pixels; tiles in a
        row.
    seed : int
        Of all that is random.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8, one sheet below another.

    Raises
    ------
    ConfigError
        If there is no such kind of scene.
    DatasetError
        If the data cannot be used, see `train`.
    """
    unknown = sorted(set(kind) - set(KINDS))
    if unknown:
        raise ConfigError(f"there is no kind of scene {unknown[0]!r}; kinds are {', '.join(KINDS)}")
    place = choose_device(device)
    generator = torch.Generator(place).manual_seed(seed)
    kinds, sheets = tuple(kind) or KINDS, []
    if scenes or not (data or users):
        batch = render_scenes(count, _SCENE_SIZE, generator, kinds)
        sheets.append(scene_sheet(batch, columns))
    if data or users:
        pairs = read_pairs(data, images, min_area, skip_bad)
        stream = None if pairs else SceneStreamConfig(scenes=count, fresh=count, kinds=kinds)
        store = training_data(pairs, 0.0, stream, seed, place)
        sampling = ViewSampling(size=size)
        if data:
            sheets.append(view_sheet(_augmented(store, count, sampling, generator), columns))
        if users:
            views = _augmented(store, -(-count // _A_USER), sampling, generator)
            sheets.append(user_sheet(views, seed=seed))
    return stacked(sheets)


def _augmented(
    store: Atlas | DataEngine, count: int, sampling: ViewSampling, generator: torch.Generator
) -> Views:
    views = store.sample(count, sampling, generator)
    return views._replace(image=augment(views.image, generator))


def stacked(sheets: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures one below another on white.

    Parameters
    ----------
    sheets : sequence of ndarray
        ``(H, W, 3)`` uint8 each, at least one.
    """
    width = max(sheet.shape[1] for sheet in sheets)
    rows: list[NDArray[np.uint8]] = []
    for sheet in sheets:
        height = sheet.shape[0] + (_GAP if rows else 0)
        row = np.full((height, width, 3), 255, np.uint8)
        row[height - sheet.shape[0] :, : sheet.shape[1]] = sheet
        rows.append(row)
    return np.concatenate(rows)


def write_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture as its file's name says.

    Parameters
    ----------
    picture : ndarray
        ``(H, W, 3)`` uint8.
    path : Path
        In ``.png``, ``.webp``, ``.jpg`` and the like.

    Raises
    ------
    PvpuError
        If the name says nothing that Pillow writes, or the file cannot be written.
    """
    from PIL import Image

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    except (OSError, ValueError) as error:
        raise PvpuError(f"{path} cannot be written: {error}") from error
