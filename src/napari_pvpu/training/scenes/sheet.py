"""Contact sheets: what scenes look like, and what a network is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_pvpu.training.datasets import Views
    from napari_pvpu.training.scenes.render import SceneBatch

_WHOLE, _PART, _TARGET, _OUTSIDE = (255, 60, 60), (60, 220, 255), (255, 230, 0), (90, 40, 110)


def scene_sheet(
    scenes: SceneBatch, columns: int = 8, *, outlines: bool = True, border: int = 2
) -> NDArray[np.uint8]:
    """Tile scenes, each beside itself with outlines.

    Parameters
    ----------
    scenes : SceneBatch
        At least one scene, on any device.
    columns : int
        Tiles in a row; with outlines two tiles make a scene.
    outlines : bool
        Whether a copy with outlines follows each scene: objects red, their parts blue.
    border : int
        White pixels between tiles.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    tiles = []
    pictures = _bytes(scenes.image)
    wholes, parts = scenes.labels.cpu().numpy(), scenes.parts.cpu().numpy()
    for picture, whole, part in zip(pictures, wholes, parts, strict=True):
        tiles.append(picture)
        if outlines:
            marked = outlined(picture, whole, _WHOLE)
            tiles.append(outlined(marked, part, _PART))
    return tiled(tiles, columns, border)


def view_sheet(views: Views, columns: int = 8, *, border: int = 2) -> NDArray[np.uint8]:
    """Tile views as the network gets them, with the outline of the object to be found.

    Parameters
    ----------
    views : Views
        At least one view, its image after augmentation, on any device. Each is stretched to its
        own range, as the network's normalisation does.
    columns : int
        Views in a row.
    border : int
        White pixels between views.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8; what lies outside an image is violet.
    """
    image = views.image.detach().float().cpu()
    known = ~image.isnan().any(1)
    filled = image.nan_to_num(0.0)
    flat = filled.flatten(1)
    low, high = flat.quantile(0.002, dim=1), flat.quantile(0.998, dim=1)
    span = (high - low).clamp(min=1e-3).view(-1, 1, 1, 1)
    pictures = _bytes((filled - low.view(-1, 1, 1, 1)) / span)
    pictures[~known.numpy()] = _OUTSIDE
    target = (views.labels == views.target.view(-1, 1, 1)).cpu().numpy()
    tiles = [outlined(p, t, _TARGET) for p, t in zip(pictures, target, strict=True)]
    return tiled(tiles, columns, border)


def _bytes(image: Tensor) -> NDArray[np.uint8]:
    """Turn ``(B, 3, H, W)`` of 0 to 1 into ``(B, H, W, 3)`` bytes."""
    out: NDArray[np.uint8] = (
        (image.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy().copy()
    )
    return out


def outlined(
    picture: NDArray[np.uint8], labels: NDArray[np.generic], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Draw the inner outlines of all objects.

    Parameters
    ----------
    picture : ndarray
        ``(H, W, 3)`` uint8.
    labels : ndarray
        ``(H, W)`` integers or bool, 0 for background.
    colour : tuple of int
        Red, green and blue, 0 to 255.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8, a copy.
    """
    edge = np.zeros(labels.shape, dtype=bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    out = picture.copy()
    out[edge & (labels != 0)] = colour
    return out


def tiled(tiles: list[NDArray[np.uint8]], columns: int, border: int = 2) -> NDArray[np.uint8]:
    """Lay pictures of one size side by side.

    Parameters
    ----------
    tiles : list of ndarray
        At least one, each ``(H, W, 3)`` uint8.
    columns : int
        Pictures in a row.
    border : int
        White pixels between pictures.

    Returns
    -------
    ndarray
        ``(rows * (H + border) - border, columns * (W + border) - border, 3)`` uint8.
    """
    columns = max(1, min(columns, len(tiles)))
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    shape = (rows * (height + border) - border, columns * (width + border) - border, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        row, col = divmod(number, columns)
        top, left = row * (height + border), col * (width + border)
        sheet[top : top + height, left : left + width] = tile
    return sheet
