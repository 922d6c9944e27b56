"""The atlas: where a view's pixels come from, and how objects are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pvpu.training.datasets import Atlas, ViewSampling, augment, to_uint8

UPRIGHT = ViewSampling(size=32, fill=(0.3, 0.6), fill_mode=0.4, shift=0.0, stretch=0.0)


def ramp(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in red, columns in green, and a square of 20 pixels as the only object."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(height)[:, None]
    image[..., 1] = np.arange(width)
    image[..., 2] = 255
    labels = np.zeros((height, width), np.uint16)
    labels[30:50, 60:80] = 7
    return image, labels


def make(*pairs: tuple[np.ndarray, np.ndarray, str], **options) -> Atlas:
    return Atlas(pairs, **options)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_image_and_labels_of_a_view_agree() -> None:
    """The colour of a ramp says where a pixel came from; the label has to be of there."""
    image, labels = ramp(120, 200)
    atlas = make((image, labels, "a"))
    views = atlas.sample(8, UPRIGHT, generator())
    low, high = np.percentile(image[:: max(1, 120 // 512), :: max(1, 200 // 512)], (0.5, 99.5))
    rows = views.image[:, 0] * (high - low) + low
    cols = views.image[:, 1] * (high - low) + low
    known = ~views.image.isnan().any(1)
    square = (rows - 39.5).abs().maximum((cols - 69.5).abs())
    assert (views.labels[known & (square < 8)] == 7).all()
    assert (views.labels[known & (square > 12)] == 0).all()
    assert (views.labels == 7).flatten(1).any(1).all()


def test_object_fills_the_share_that_was_asked_for() -> None:
    atlas = make((*ramp(120, 200), "a"))
    views = atlas.sample(64, UPRIGHT, generator())
    share = (views.labels == 7).flatten(1).float().mean(1).sqrt()
    assert float(share.min()) > 0.27
    assert float(share.max()) < 0.66


def test_pixels_outside_the_image_are_nan_with_label_zero() -> None:
    labels = np.ones((40, 40), np.uint16)
    atlas = make((np.full((40, 40), 9, np.uint8), labels, "a"))
    views = atlas.sample(4, ViewSampling(size=32, fill=(0.2, 0.4), fill_mode=0.3), generator())
    outside = views.image.isnan().any(1)
    assert outside.flatten(1).any(1).all()
    torch.testing.assert_close(views.labels > 0, ~outside)


def test_images_of_different_sizes_share_the_buffer() -> None:
    small = np.full((40, 50), 1, np.uint16)
    big, big_labels = ramp(120, 200)
    atlas = make((np.zeros((40, 50), np.uint8), small, "a"), (big, big_labels, "b"))
    views = atlas.sample(64, UPRIGHT, generator())
    assert set(views.target.tolist()) == {1, 7}
    for labels, target in zip(views.labels, views.target, strict=True):
        assert set(labels.unique().tolist()) <= {0, int(target)}


def test_weights_decide_how_often_a_group_is_drawn() -> None:
    pairs = [
        (np.zeros((40, 40), np.uint8), np.full((40, 40), i, np.uint16), str(i)) for i in (1, 2)
    ]
    atlas = make(*pairs, weights={"1": 9.0, "2": 1.0})
    targets = atlas.sample(400, UPRIGHT, generator()).target
    assert 0.82 < float((targets == 1).float().mean()) < 0.97


def test_the_same_seed_gives_the_same_views() -> None:
    atlas = make((*ramp(120, 200), "a"))
    first, again = (atlas.sample(4, ViewSampling(size=32), generator(5)) for _ in range(2))
    torch.testing.assert_close(first.image, again.image, equal_nan=True)
    assert torch.equal(first.labels, again.labels)


def test_specks_are_no_objects() -> None:
    labels = np.zeros((40, 40), np.uint16)
    labels[3:5, 3:5] = 1
    with pytest.raises(ValueError, match="30 pixels"):
        make((np.zeros((40, 40), np.uint8), labels, "a"))


def test_labels_above_the_limit_are_reported() -> None:
    labels = np.full((40, 40), 40_000, np.uint16)
    with pytest.raises(ValueError, match="40000"):
        make((np.zeros((40, 40), np.uint8), labels, "a"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64], ids=str)
def test_any_dtype_is_stretched_to_bytes(dtype: type) -> None:
    image = np.linspace(10, 200, 100).reshape(10, 10).astype(dtype)
    out = to_uint8(image)
    assert out.shape == (10, 10, 3)
    assert out.dtype == np.uint8
    assert out.min() == 0
    assert out.max() == 255
    assert (out[..., 0] == out[..., 2]).all()


def test_augmentation_keeps_what_lies_outside() -> None:
    image = torch.rand(16, 3, 24, 24, generator=generator())
    image[:, :, :5] = torch.nan
    out = augment(image, generator(1))
    torch.testing.assert_close(out.isnan(), image.isnan())
    assert not torch.allclose(out[:, :, 5:], image[:, :, 5:])
