"""Random changes of colour, light, sharpness and noise of views, in batches on their device."""

from __future__ import annotations

import torch
from torch import Tensor


def augment(image: Tensor, generator: torch.Generator) -> Tensor:
    """Change colours, contrast, sharpness, noise and shading of a batch of views.

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
    device, count = image.device, len(image)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    def per_view(chance: float) -> Tensor:
        return uniform(count, 1, 1, 1) < chance

    grey = (image * torch.tensor([0.3, 0.5, 0.2], device=device).view(1, 3, 1, 1)).sum(1, True)
    image = torch.where(per_view(0.25), grey.expand_as(image), image)
    order = torch.argsort(uniform(count, 3), dim=1)[:, :, None, None].expand_as(image)
    image = torch.where(per_view(0.15), image.gather(1, order), image)
    tint = 1 + (uniform(count, 3, 1, 1) - 0.5) * 0.7 * (uniform(count, 1, 1, 1) < 0.4)
    image = image * tint
    image = torch.where(per_view(0.15), 1 - image, image)
    image = image.clamp(min=0) ** torch.exp((uniform(count, 1, 1, 1) - 0.5) * 1.2)
    image = _blur_some(image, per_view(0.2))
    size = image.shape[-1]
    ramp = torch.linspace(-1, 1, size, device=device)
    slope = (uniform(count, 2, 1, 1) - 0.5) * (uniform(count, 1, 1, 1) < 0.3)
    shade = slope[:, :1] * ramp.view(1, 1, size, 1) + slope[:, 1:] * ramp.view(1, 1, 1, size)
    image = image * (1 + shade)
    noise = torch.randn(image.shape, generator=generator, device=device)
    strength = uniform(count, 1, 1, 1) ** 2 * 0.12 * (uniform(count, 1, 1, 1) < 0.4)
    # Clip bright ends as saturation does.
    ceiling = torch.where(per_view(0.1), 0.6 + 0.4 * uniform(count, 1, 1, 1), 10.0)
    return torch.minimum(image + noise * strength, ceiling)


def _blur_some(image: Tensor, chosen: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    blurred = torch.nn.functional.avg_pool2d(padded, 3, 1)
    # A NaN would spread from the border of the image; keep such pixels sharp.
    return torch.where(chosen & ~blurred.isnan(), blurred, image)
