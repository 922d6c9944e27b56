"""The data of a run: views of real images mixed with views of scenes that are drawn as it goes.

The scenes stand in a ring on the training device. Every step draws a few and puts them in the
place of the oldest, so that a view's scene is seen a few times and never comes back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_pvpu.errors import ConfigError
from napari_pvpu.training.datasets import LEVELS, MIN_AREA, Views, ViewStore
from napari_pvpu.training.scenes.canvas import host_random
from napari_pvpu.training.scenes.components import object_boxes
from napari_pvpu.training.scenes.render import KINDS, SMALLEST, SceneBatch, render_scenes

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.training.datasets import Atlas, ViewSampling

# Chance of the parts of a scene that has any; its wholes have the rest.
_PARTS_SHARE = 0.4
# Largest share of a view's side that lies outside its scene, but for what its rotation adds.
_BEYOND = 0.08


@dataclass(frozen=True, slots=True)
class SceneStreamConfig:
    """How many scenes there are and how fast they change.

    Attributes
    ----------
    scenes : int
        Scenes in the ring; a multiple of `fresh`. At 256 pixels each takes 0.5 MB.
    fresh : int
        Scenes drawn at a time, of up to four to a kind.
    every : int
        Steps between draws.
    size : int
        Side of a scene in pixels.
    share : float
        Share of views that show scenes, 0 to 1; the others show the atlas.
    kinds : tuple of str
        Kinds to draw from, with equal chances.
    """

    scenes: int = 256
    fresh: int = 4
    every: int = 1
    size: int = 256
    share: float = 0.5
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        ConfigError
            If one is out of range or the ring cannot be filled evenly.
        """
        if self.fresh < 1 or self.every < 1 or self.scenes < 1 or self.scenes % self.fresh:
            raise ConfigError(
                f"a ring of {self.scenes} scenes cannot take {self.fresh} every {self.every} "
                "steps; use positive numbers and a multiple of the fresh scenes"
            )
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share {self.share} of scenes is not in 0 to 1")
        if self.size < SMALLEST:
            raise ConfigError(f"scenes of {self.size} pixels are too small; use {SMALLEST} or more")


class SceneRing(ViewStore):
    """A fixed number of scenes of one size that can be overwritten.

    A scene with parts counts as two images that share pixels, so that a view may have been made
    for a whole or for a part of one.

    Parameters
    ----------
    slots, size : int
        Scenes ``N`` and their side ``S`` in pixels.
    device : str or torch.device
        Where they live.
    """

    def __init__(self, slots: int, size: int, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self.slots, self.size = slots, size
        self._places: list[tuple[int, int]] = []
        offset, side = 0, size
        for _ in range(LEVELS):
            self._places.append((offset, side))
            offset += side * side
            if side >= 16:
                side //= 2
        self.pixels = torch.zeros(slots * offset, 3, dtype=torch.uint8, device=self.device)
        self.labels = torch.zeros(2 * slots * size**2, dtype=torch.int16, device=self.device)
        first = torch.arange(2 * slots) // 2 * offset
        table = [
            torch.stack([first + o, *[torch.full_like(first, s)] * 2], 1) for o, s in self._places
        ]
        self.levels = torch.stack(table, 1).to(self.device)
        self.label_starts = torch.arange(2 * slots, device=self.device) * size**2
        # The most objects a scene can hold are many more; these are all there are in practice.
        self.most = size**2 // (2 * MIN_AREA)
        count = 2 * slots * self.most
        number = torch.arange(count, device=self.device)
        self.object_image = number // self.most
        self.object_label = (number % self.most + 1).to(torch.int16)
        self.object_box = torch.zeros(count, 3, device=self.device)
        self.chances = torch.zeros(count, device=self.device)
        self.image_chances = torch.full((2 * slots,), 1e-9, device=self.device)

    def write(self, slot: int, scenes: SceneBatch) -> None:
        """Put scenes into slots from `slot` on.

        Parameters
        ----------
        slot : int
            The first one.
        scenes : SceneBatch
            Of the ring's size and device; has to fit.
        """
        count = len(scenes.image)
        where = slice(slot, slot + count)
        planes = scenes.image * 255
        pixels = self.pixels.view(self.slots, -1, 3)
        for level, (offset, side) in enumerate(self._places):
            if level and planes.shape[-1] != side:
                planes = torch.nn.functional.avg_pool2d(planes, 2)
            flat = planes.round().to(torch.uint8).flatten(2).mT
            pixels[where, offset : offset + side**2] = flat
        both = torch.stack([scenes.labels, scenes.parts], 1)
        self.labels.view(self.slots, 2, self.size, self.size)[where] = both
        boxes, there = object_boxes(both.flatten(0, 1), self.most, MIN_AREA)
        rows = slice(2 * slot, 2 * (slot + count))
        self.object_box.view(2 * self.slots, self.most, 3)[rows] = boxes
        # Where a scene has objects of all sizes the large ones would hardly ever be drawn.
        chances = there * boxes[..., 2].sqrt()
        self.chances.view(2 * self.slots, self.most)[rows] = chances
        some = there.any(1).view(count, 2).float()
        parts = some[:, 1] * _PARTS_SHARE
        share = torch.stack([some[:, 0] - parts, parts], 1)
        self.image_chances[rows] = share.clamp(min=1e-9).flatten()

    def _bounded(self, extent: Tensor) -> Tensor:
        """Let no view be larger than a scene, which is smaller than most images."""
        return extent.clamp(max=float(self.size))

    def _drawn_in(self, centre: Tensor, extent: Tensor) -> Tensor:
        """Let no view lie outside by more than a part, as views of large images do not."""
        margin = ((0.5 - _BEYOND) * extent[:, None]).clamp(max=self.size / 2)
        return torch.minimum(torch.maximum(centre, margin), self.size - 1 - margin)

    def _draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Choose images first: a single draw among all objects of all scenes costs more."""
        image = torch.multinomial(self.image_chances, count, True, generator=generator)
        chances = self.chances.view(-1, self.most)[image] + 1e-9
        drawn = torch.multinomial(chances, 1, generator=generator)[:, 0]
        return image * self.most + drawn


class DataEngine:
    """Views of an atlas and of a stream of scenes.

    The ring's content at a step depends on seed and step only (and on the kind of device, whose
    random numbers differ), so a run that is resumed goes on with the scenes it would have had.

    Parameters
    ----------
    atlas : Atlas or None
        Real images; None for scenes only.
    stream : SceneStreamConfig
        The scenes.
    seed : int
        Of the scenes.
    device : str or torch.device
        Where scenes are drawn and views are cut: the atlas's.

    Raises
    ------
    ConfigError
        If the atlas lives elsewhere, or there is neither an atlas nor a scene to show.
    """

    def __init__(
        self,
        atlas: Atlas | None,
        stream: SceneStreamConfig,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        if atlas is not None and atlas.device.type != self.device.type:
            raise ConfigError(f"the atlas is on {atlas.device}, scenes would be on {self.device}")
        if atlas is None and stream.share == 0:
            raise ConfigError("no images and a share of 0 for scenes: there is nothing to show")
        self.atlas, self.stream, self.seed = atlas, stream, seed
        self.share = 1.0 if atlas is None else stream.share
        self.ring: SceneRing | None = None
        self._drawn: int | None = None
        if self.share > 0:
            self.ring = SceneRing(stream.scenes, stream.size, self.device)
            self.restore(0)

    def __len__(self) -> int:
        """Return the number of objects in the atlas and of scenes in the ring."""
        return (len(self.atlas) if self.atlas else 0) + (self.ring.slots if self.ring else 0)

    def sample(self, count: int, sampling: ViewSampling, generator: torch.Generator) -> Views:
        """Cut a batch of views, those of scenes first.

        Parameters
        ----------
        count : int
            Views ``B``.
        sampling : ViewSampling
            Placement, scale and stretch.
        generator : torch.Generator
            On the engine's device.

        Returns
        -------
        Views
            The share of scenes is kept on average over batches; a batch has the next lower or
            higher number.
        """
        wanted = self.share * count
        scenes = int(wanted)
        if wanted > scenes:
            scenes += host_random(generator).random() < wanted - scenes
        stores: list[tuple[ViewStore | None, int]] = [
            (self.ring, scenes),
            (self.atlas, count - scenes),
        ]
        parts = [
            store.sample(number, sampling, generator)
            for store, number in stores
            if store is not None and number
        ]
        return (
            parts[0]
            if len(parts) == 1
            else Views(*(torch.cat(x) for x in zip(*parts, strict=True)))
        )

    def advance(self, step: int) -> None:
        """Make the ring what it is at a step; cheap for the step after the last.

        Parameters
        ----------
        step : int
            The step about to be taken, from 0.
        """
        draw = step // self.stream.every
        if self.ring is None or draw == self._drawn:
            return
        if self._drawn is None or draw != self._drawn + 1:
            self.restore(step)
            return
        self._render(draw)
        self._drawn = draw

    def restore(self, step: int) -> None:
        """Draw the whole ring as it is at a step.

        Parameters
        ----------
        step : int
            The step about to be taken, from 0.
        """
        if self.ring is None:
            return
        last = step // self.stream.every
        for draw in range(last - self.stream.scenes // self.stream.fresh + 1, last + 1):
            self._render(draw)
        self._drawn = last

    @torch.no_grad()
    def _render(self, draw: int) -> None:
        """Draw the scenes of one draw into their slots; draws before the run are negative."""
        assert self.ring is not None
        stream = self.stream
        seed = random.Random(f"scenes {self.seed} {draw}").getrandbits(62)
        generator = torch.Generator(self.device).manual_seed(seed)
        scenes = render_scenes(stream.fresh, stream.size, generator, stream.kinds)
        self.ring.write(draw % (stream.scenes // stream.fresh) * stream.fresh, scenes)
