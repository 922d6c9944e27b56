"""Tests of the random changes of views."""

from __future__ import annotations

import pytest
import torch

from napari_pvpu.training.augmentation import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def views(count: int = 32) -> torch.Tensor:
    """Views of a bright disc on a dark ground, with some of the image missing."""
    axis = torch.arange(40) - 19.5
    disc = (axis[:, None] ** 2 + axis**2 < 100).float()
    image = (0.2 + 0.5 * disc).expand(count, 3, 40, 40).clone()
    image[: count // 2, :, :7] = torch.nan
    return image


def test_what_lies_outside_stays_and_nothing_else_is_lost() -> None:
    image = views()
    out = augment(image, generator(1))
    torch.testing.assert_close(out.isnan(), image.isnan())
    assert not out.isinf().any()
    known = ~image.isnan()
    assert not torch.allclose(out[known], image[known])


def test_the_input_is_not_changed() -> None:
    image = views()
    before = image.clone()
    augment(image, generator())
    torch.testing.assert_close(image, before, equal_nan=True)


def test_the_generator_decides() -> None:
    first, again, other = (augment(views(), generator(s)) for s in (4, 4, 5))
    torch.testing.assert_close(first, again, equal_nan=True)
    assert not torch.equal(first.nan_to_num(), other.nan_to_num())


def test_objects_can_still_be_told_from_their_ground() -> None:
    out = augment(views(400), generator(2)).mean(1)
    inside, ground = out[:, 15:25, 15:25], out[:, 10:30, 1:5]
    gap = (inside.mean((1, 2)) - ground.mean((1, 2))).abs()
    noise = ground.std(dim=(1, 2))
    assert float((gap > noise).float().mean()) > 0.9


def test_outside_does_not_leak_in_where_views_are_blurred() -> None:
    flat = torch.full((200, 3, 32, 32), 0.6)
    flat[:, :, :, :10] = torch.nan
    out = augment(flat, generator(3))
    # Noise and light differ; a leak would darken the first column of all blurred views.
    edge, middle = out[:, :, :, 10].mean((1, 2)), out[:, :, :, 14].mean((1, 2))
    assert abs(float((edge - middle).mean())) < 0.02


@pytest.mark.parametrize("count", [1, 3], ids=str)
@pytest.mark.parametrize("size", [24, 33], ids=str)
def test_any_number_and_size_of_views_will_do(count: int, size: int) -> None:
    image = torch.rand(count, 3, size, size, generator=generator())
    assert augment(image, generator()).shape == image.shape
