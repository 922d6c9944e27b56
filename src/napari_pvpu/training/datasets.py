"""Training images in one flat buffer, from which views are cut in batches on any device.

Images of all sizes stand one after another in a single tensor, each with a pyramid of halved
copies. A batch of views is then one gather: no padding, no loop over images, no copy between
host and device, the same code on a CPU and a GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import ndimage as ndi
from torch import Tensor

from napari_pvpu.training.augmentation import augment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = [
    "LEVELS",
    "MIN_AREA",
    "Atlas",
    "ViewSampling",
    "ViewStore",
    "Views",
    "augment",
    "to_uint8",
]

# Objects with fewer pixels than this are specks or remains of a cut.
MIN_AREA = 30
# Halved copies of an image, and the image itself.
LEVELS = 5


class Views(NamedTuple):
    """A batch of views with the labels seen in them.

    Attributes
    ----------
    image : Tensor
        ``(B, 3, S, S)`` float32, 0 to 1, NaN outside the image.
    labels : Tensor
        ``(B, S, S)`` int16, 0 for background and outside.
    target : Tensor
        ``(B,)`` int16, the label that the view was made for.
    """

    image: Tensor
    labels: Tensor
    target: Tensor


@dataclass(frozen=True, slots=True)
class ViewSampling:
    """How views are placed around an object.

    Attributes
    ----------
    size : int
        Side of the view in model pixels.
    fill : tuple of float
        Range of the object's extent over the view's; drawn as a triangle in the logarithm with
        its peak at `fill_mode`.
    fill_mode : float
        See `fill`.
    shift : float
        Largest distance of the object's centre from the view's, over the view's side.
    stretch : float
        Largest logarithm of the anisotropic stretch.
    """

    size: int = 128
    fill: tuple[float, float] = (0.06, 2.5)
    fill_mode: float = 0.42
    shift: float = 0.3
    stretch: float = 0.2


def to_uint8(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Stretch an image between its percentiles 0.5 and 99.5, as `ImageSource` does.

    Parameters
    ----------
    image : ndarray
        ``(H, W)`` or ``(H, W, C)`` of any numeric dtype; channels after the third are dropped.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    planes = np.asarray(image)
    planes = planes[..., None] if planes.ndim == 2 else planes[..., :3]
    sample = planes[:: max(1, planes.shape[0] // 512), :: max(1, planes.shape[1] // 512)]
    low, high = np.percentile(sample, (0.5, 99.5))
    scaled = (planes.astype(np.float32) - low) / max(float(high - low), 1e-6)
    out = (scaled.clip(0, 1) * 255).round().astype(np.uint8)
    return np.repeat(out, 3, axis=2) if out.shape[2] == 1 else out


def _halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = (s - s % 2 for s in image.shape[:2])
    blocks = image[:h, :w].reshape(h // 2, 2, w // 2, 2, 3)
    return blocks.mean((1, 3)).round().astype(np.uint8)


class ViewStore:
    """Images of any size with a pyramid each, their labels and objects, and how views are cut.

    What a subclass has to set, all on one device; ``N`` images (which may share pixels), ``K``
    objects.

    Attributes
    ----------
    device : torch.device
        Where all of it lives and views are cut.
    pixels : Tensor
        ``(P, 3)`` uint8, all levels of all images, row by row.
    labels : Tensor
        ``(Q,)`` int16, all label maps, row by row.
    levels : Tensor
        ``(N, 5, 3)`` int64: first pixel, height and width of each level of each image.
    label_starts : Tensor
        ``(N,)`` int64, first entry of each image in `labels`.
    object_image, object_label : Tensor
        ``(K,)`` int64 and int16.
    object_box : Tensor
        ``(K, 3)`` float32: centre row, centre column and extent in pixels.
    chances : Tensor
        ``(K,)`` float32, how often an object is drawn.
    """

    device: torch.device
    pixels: Tensor
    labels: Tensor
    levels: Tensor
    label_starts: Tensor
    object_image: Tensor
    object_label: Tensor
    object_box: Tensor
    chances: Tensor

    def sample(self, count: int, how: ViewSampling, generator: torch.Generator) -> Views:
        """Cut a batch of views around random objects.

        Parameters
        ----------
        count : int
            Views ``B``.
        how : ViewSampling
            Placement, scale and stretch.
        generator : torch.Generator
            On the store's device.

        Returns
        -------
        Views
            Images, labels and the labels they were made for.
        """
        index = self._draw(count, generator)
        grid, scale = self._grid(index, how, generator)
        picked = self.object_image[index]
        return Views(
            self._pixels_at(picked, grid, scale),
            self._labels_at(picked, grid),
            self.object_label[index],
        )

    def _draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Choose objects, ``(B,)`` int64."""
        return torch.multinomial(self.chances, count, True, generator=generator)

    def _grid(
        self, index: Tensor, how: ViewSampling, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Place the views: ``(B, S, S, 2)`` data coordinates and ``(B,)`` pixel sizes."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=self.device)

        count = len(index)
        box = self.object_box[index]
        low, mode, high = (math.log(v) for v in (how.fill[0], how.fill_mode, how.fill[1]))
        u, split = uniform(count), (mode - low) / (high - low)
        fill = torch.where(
            u < split,
            low + (u * (high - low) * (mode - low)).sqrt(),
            high - ((1 - u) * (high - low) * (high - mode)).sqrt(),
        ).exp()
        extent = self._bounded((box[:, 2] / fill).clamp(min=how.size / 4))
        scale = extent / how.size
        # A view that is much larger than its object may be off centre by more of itself.
        shift = (uniform(count, 2) * 2 - 1) * how.shift * extent[:, None]
        angle = uniform(count) * 2 * math.pi
        # Half of the views stay upright, as most are in use.
        upright = uniform(count) < 0.5
        angle = torch.where(upright, (angle / (math.pi / 2)).floor() * (math.pi / 2), angle)
        stretch = ((uniform(count) * 2 - 1) * how.stretch).exp()
        flip = torch.where(uniform(count) < 0.5, -1.0, 1.0)
        axis = torch.arange(how.size, device=self.device) - (how.size - 1) / 2
        rows = axis[None, :, None] * (scale * stretch)[:, None, None]
        cols = axis[None, None, :] * (scale / stretch * flip)[:, None, None]
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        centre = self._drawn_in(box[:, :2] + shift, extent)
        return (
            torch.stack(
                [
                    cos * rows - sin * cols + centre[:, 0, None, None],
                    sin * rows + cos * cols + centre[:, 1, None, None],
                ],
                dim=-1,
            ),
            scale,
        )

    def _bounded(self, extent: Tensor) -> Tensor:
        """Limit the sides of views, ``(B,)`` in pixels of the image."""
        return extent

    def _drawn_in(self, centre: Tensor, extent: Tensor) -> Tensor:
        """Move the centres of views, ``(B, 2)``, towards the image."""
        return centre

    def _pixels_at(self, image: Tensor, grid: Tensor, scale: Tensor) -> Tensor:
        """Interpolate colours bilinearly in the level that fits the pixel size."""
        level = (scale.log2() + 0.5).floor().long().clamp(0, LEVELS - 1)
        full = self.levels[image, 0].view(-1, 1, 1, 3)
        start, height, width = self.levels[image, level].view(-1, 1, 1, 3).unbind(-1)
        factor = 2.0 ** level.view(-1, 1, 1)
        row = (grid[..., 0] + 0.5) / factor - 0.5
        col = (grid[..., 1] + 0.5) / factor - 0.5
        r0, c0 = row.floor(), col.floor()
        fr, fc = (row - r0)[..., None], (col - c0)[..., None]

        def at(r: Tensor, c: Tensor) -> Tensor:
            r = torch.minimum(r.long().clamp(min=0), height - 1)
            c = torch.minimum(c.long().clamp(min=0), width - 1)
            return self.pixels[start + r * width + c].float()

        top = at(r0, c0) * (1 - fc) + at(r0, c0 + 1) * fc
        bottom = at(r0 + 1, c0) * (1 - fc) + at(r0 + 1, c0 + 1) * fc
        out = (top * (1 - fr) + bottom * fr) / 255
        inside = _inside(grid, full[..., 1], full[..., 2])
        out = torch.where(inside[..., None], out, torch.nan)
        return out.permute(0, 3, 1, 2).contiguous()

    def _labels_at(self, image: Tensor, grid: Tensor) -> Tensor:
        _, height, width = self.levels[image, 0].view(-1, 1, 1, 3).unbind(-1)
        row = torch.minimum(grid[..., 0].round().long().clamp(min=0), height - 1)
        col = torch.minimum(grid[..., 1].round().long().clamp(min=0), width - 1)
        found = self.labels[self.label_starts[image].view(-1, 1, 1) + row * width + col]
        return torch.where(_inside(grid, height, width), found, 0)


class Atlas(ViewStore):
    """All images of a training set in one flat tensor.

    Parameters
    ----------
    pairs : iterable of (ndarray, ndarray, str)
        Image ``(H, W)`` or ``(H, W, C)``, labels ``(H, W)`` with 0 as background, and the name
        of the group it belongs to.
    weights : dict of str to float
        Share of each group in a batch; groups without an entry get 1.
    device : str or torch.device
        Where the buffer lives and views are cut.

    Raises
    ------
    ValueError
        If no image holds an object of `MIN_AREA` pixels.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[NDArray[np.generic], NDArray[np.generic], str]],
        weights: dict[str, float] | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        pixels: list[NDArray[np.uint8]] = []
        labels: list[NDArray[np.int16]] = []
        levels: list[list[tuple[int, int, int]]] = []
        starts: list[int] = []
        objects: list[tuple[int, int, float, float, float]] = []
        groups: list[str] = []
        pixel_offset = label_offset = 0
        for image, label, group in pairs:
            found = list(_objects(label))
            if not found:
                continue
            objects += [(len(groups), *entry) for entry in found]
            groups.append(group)
            starts.append(label_offset)
            labels.append(label.astype(np.int16).ravel())
            label_offset += label.size
            table, current = [], to_uint8(image)
            for _ in range(LEVELS):
                table.append((pixel_offset, *current.shape[:2]))
                pixels.append(current.reshape(-1, 3))
                pixel_offset += current.shape[0] * current.shape[1]
                if min(current.shape[:2]) >= 16:
                    current = _halve(current)
            levels.append(table)
        if not objects:
            raise ValueError(f"no image holds an object of at least {MIN_AREA} pixels")
        self.device = torch.device(device)
        self.pixels = torch.from_numpy(np.concatenate(pixels)).to(self.device)
        self.labels = torch.from_numpy(np.concatenate(labels)).to(self.device)
        self.levels = torch.tensor(levels, device=self.device)
        self.label_starts = torch.tensor(starts, device=self.device)
        table_array = np.array(objects)
        self.object_image = torch.tensor(table_array[:, 0].astype(np.int64), device=self.device)
        self.object_label = torch.tensor(table_array[:, 1].astype(np.int16), device=self.device)
        self.object_box = torch.tensor(table_array[:, 2:], dtype=torch.float32, device=self.device)
        self.chances = self._object_chances(groups, table_array[:, 0].astype(int), weights or {})

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.object_image)

    def _object_chances(
        self, groups: list[str], image: NDArray[np.int_], weights: dict[str, float]
    ) -> Tensor:
        """Give groups their weights; in a group, images by the square root of their objects."""
        per_image = np.bincount(image, minlength=len(groups)).astype(float)
        share = np.sqrt(per_image)
        names = np.array(groups)
        for name in set(groups):
            mine = names == name
            share[mine] *= weights.get(name, 1.0) / share[mine].sum()
        return torch.tensor(share[image] / per_image[image], device=self.device).float()

    def advance(self, step: int) -> None:
        """Do nothing: these images stay the same at every step."""

    def restore(self, step: int) -> None:
        """Do nothing: these images stay the same at every step."""


def _inside(grid: Tensor, height: Tensor, width: Tensor) -> Tensor:
    row, col = grid.unbind(-1)
    return (row > -0.5) & (row < height - 0.5) & (col > -0.5) & (col < width - 0.5)


def _objects(labels: NDArray[np.generic]) -> Iterable[tuple[int, float, float, float]]:
    """Yield label, centre row, centre column and extent of each object that is large enough."""
    if labels.max(initial=0) > np.iinfo(np.int16).max:
        raise ValueError(f"label {labels.max()} is larger than 32767; relabel the image")
    areas = np.bincount(labels.ravel().astype(np.int64))
    for label, box in enumerate(ndi.find_objects(labels.astype(np.int32)), start=1):
        if box is not None and areas[label] >= MIN_AREA:
            (r0, r1), (c0, c1) = ((s.start, s.stop) for s in box)
            yield label, (r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2, float(max(r1 - r0, c1 - c0))
