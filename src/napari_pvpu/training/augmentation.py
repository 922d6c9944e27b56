"""Random changes of colour, light, sharpness and noise of views, in batches on their device."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_pvpu.training.scenes.noise import blur
from napari_pvpu.training.scenes.optics import block_artefacts


class _Draws:
    """Random numbers for a batch of views: one to a view, shaped to act on ``(B, C, S, S)``."""

    def __init__(self, count: int, generator: torch.Generator, device: torch.device) -> None:
        self.count, self.generator, self.device = count, generator, device

    def rand(self, *shape: int) -> Tensor:
        """Draw uniform numbers, ``(B, 1, 1, 1)`` or ``(B, *shape)``."""
        shape = shape or (1, 1, 1)
        return torch.rand(self.count, *shape, generator=self.generator, device=self.device)

    def randn(self, *shape: int) -> Tensor:
        """Draw normal numbers, ``(B, *shape)``."""
        return torch.randn(self.count, *shape, generator=self.generator, device=self.device)

    def chance(self, share: float) -> Tensor:
        """Decide for each view, ``(B, 1, 1, 1)`` bool."""
        return self.rand() < share


def augment(image: Tensor, generator: torch.Generator) -> Tensor:
    """Change colours, contrast, sharpness, light, noise and compression of a batch of views.

    Nothing waits for the device: every change is computed for all views and kept for some.

    Parameters
    ----------
    image : Tensor
        ``(B, 3, S, S)``, 0 to 1, NaN outside the image, which stays.
    generator : torch.Generator
        On the device of `image`.

    Returns
    -------
    Tensor
        ``(B, 3, S, S)``; may leave 0 to 1, since the network normalises each view.
    """
    draws = _Draws(len(image), generator, image.device)
    outside = image.isnan()
    image = image.masked_fill(outside, 0.0)
    image = _coloured(image, draws)
    image = _defocused(image, (~outside[:, :1]).to(image.dtype), draws)
    image = _lit(image, draws)
    image = _grained(image, draws)
    chosen = draws.chance(0.1)
    blocks = block_artefacts(image, 0.02 + 0.18 * draws.rand() ** 2)
    image = torch.where(chosen, blocks, image)
    # Clip bright ends as saturation does.
    ceiling = torch.where(draws.chance(0.1), 0.6 + 0.4 * draws.rand(), 10.0)
    return torch.minimum(image, ceiling).masked_fill_(outside, torch.nan)


def _coloured(image: Tensor, draws: _Draws) -> Tensor:
    """Make grey, exchange, mix or tint channels; invert; change gamma and contrast."""
    device = image.device
    # Filled in on the device: copying numbers there would make the host wait for a GPU.
    grey = torch.cat([torch.full((3, 1), part, device=device) for part in (0.3, 0.5, 0.2)], dim=1)
    mix = torch.eye(3, device=device).expand(len(image), 3, 3)
    pick = torch.argsort(draws.rand(3), dim=1)[:, :, None].expand(-1, -1, 3)
    mix = torch.where(draws.chance(0.15)[:, 0], mix.gather(1, pick), mix)
    # Other dyes and filters: each channel any mixture of those there are.
    other = draws.rand(3, 3) ** 2
    other = other / other.sum(2, keepdim=True).clamp(min=0.2) * (0.4 + 0.6 * draws.rand(3, 1))
    mix = torch.where(draws.chance(0.08)[:, 0], other, mix)
    mix = torch.where(draws.chance(0.25)[:, 0], grey, mix)
    tint = 1 + (draws.rand(3, 1) - 0.5) * 0.7 * draws.chance(0.4)[:, 0]
    image = ((mix * tint) @ image.flatten(2)).view(image.shape)
    image = torch.where(draws.chance(0.15), 1 - image, image)
    image = image.clamp(min=0) ** torch.exp((draws.rand() - 0.5) * 1.2)
    # Little contrast over a bright ground, so that noise counts for more.
    contrast = torch.where(draws.chance(0.25), 0.35 + 0.65 * draws.rand(), 1.0)
    return image * contrast + (1 - contrast) * draws.rand()


def _defocused(image: Tensor, known: Tensor, draws: _Draws) -> Tensor:
    """Blur some views a little and a few much; what lies outside does not leak in."""
    chosen = draws.chance(0.25)
    sigma = 0.5 + 0.6 * draws.rand() + 3.0 * draws.rand() * draws.chance(0.2)
    both = blur(torch.cat([image * known, known], 1), sigma[:, 0])
    return torch.where(chosen, both[:, :3] / both[:, 3:].clamp(min=1e-3), image)


def _lit(image: Tensor, draws: _Draws) -> Tensor:
    """Tilt the light across some views and lay stripes over a few."""
    size = image.shape[-1]
    ramp = torch.linspace(-1, 1, size, device=image.device)
    slope = (draws.rand(2, 1, 1) - 0.5) * draws.chance(0.3)
    shade = slope[:, :1] * ramp.view(1, 1, size, 1) + slope[:, 1:] * ramp.view(1, 1, 1, size)
    lines = draws.randn(1, size, 1) * (0.06 * draws.rand() ** 2) * draws.chance(0.08)
    across = draws.chance(0.3)
    stripes = torch.where(across, lines.mT, lines)
    return image * (1 + shade) + stripes


def _grained(image: Tensor, draws: _Draws) -> Tensor:
    """Add noise that is the same everywhere (read noise) or grows with the light (photons)."""
    strength = draws.rand() ** 2 * 0.12 * draws.chance(0.4)
    shot = draws.rand() * draws.chance(0.5)
    power = (image.clamp(min=0) * shot + (1 - shot)).sqrt_()
    return torch.addcmul(image, draws.randn(*image.shape[1:]), power.mul_(strength))
