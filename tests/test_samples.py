from __future__ import annotations

import socket

import numpy as np
import pytest
from scipy import ndimage

from napari_pvpu import samples
from napari_pvpu.errors import DatasetError


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a sample picture asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    ("name", "shape", "objects"),
    [
        ("coins", (303, 384), 24),
        ("cell", (660, 550), 1),
        ("ihc", (512, 512, 3), 3),
        ("simulated", (512, 512), 46),
    ],
)
@pytest.mark.usefixtures("offline")
def test_sample_has_picture_and_truth(name: str, shape: tuple[int, ...], objects: int) -> None:
    sample = samples.load(name)
    assert sample.image.shape == shape
    assert sample.image.dtype == np.uint8
    assert sample.truth.shape == shape[:2]
    assert sample.truth.dtype == np.uint16
    assert set(np.unique(sample.truth)) == set(range(objects + 1))
    assert not sample.image.flags.writeable
    assert not sample.truth.flags.writeable


@pytest.mark.parametrize("name", samples.NAMES)
def test_every_true_object_is_one_piece_and_stands_out(name: str) -> None:
    sample = samples.load(name)
    for label in range(1, int(sample.truth.max()) + 1):
        mask = sample.truth == label
        assert ndimage.label(mask, np.ones((3, 3)))[1] == 1
        assert mask.sum() > 100
        ring = ndimage.binary_dilation(mask, iterations=8) & (sample.truth == 0)
        inside = sample.image[mask].mean(axis=0)
        outside = sample.image[ring].mean(axis=0)
        assert np.abs(inside - outside).max() > 8


def test_coins_truth_meets_coins_measured_by_eye() -> None:
    # Centre and half axes (rows, cols) of three coins, read off the enlarged picture.
    measured = [(44.5, 335, 28, 29.5), (187, 347.5, 30.5, 32), (127, 154, 17, 19)]
    truth = samples.load("coins").truth
    rows, cols = np.indices(truth.shape)
    for row, col, half_height, half_width in measured:
        ellipse = ((rows - row) / half_height) ** 2 + ((cols - col) / half_width) ** 2 <= 1
        coin = truth == truth[round(row), round(col)]
        assert np.count_nonzero(coin & ellipse) / np.count_nonzero(coin | ellipse) > 0.93


def test_lumen_of_the_gland_is_not_part_of_it() -> None:
    truth = samples.load("ihc").truth
    assert truth[150, 350] == 0
    assert truth[150, 300] == truth[150, 420] == 2


def test_unknown_sample_names_the_known_ones() -> None:
    with pytest.raises(DatasetError, match=r"no sample 'cats'.*coins"):
        samples.load("cats")


@pytest.mark.parametrize("provider", [samples.coins, samples.cell, samples.ihc, samples.simulated])
def test_provider_gives_one_image_layer_that_may_be_written_to(provider) -> None:
    [(data, options, kind)] = provider()
    assert kind == "image"
    assert options["name"] == provider.__name__
    assert data.flags.writeable
    np.testing.assert_array_equal(data, samples.load(provider.__name__).image)


@pytest.mark.parametrize(("name", "axes"), [("stack", "zyx"), ("movie", "tyx")])
@pytest.mark.usefixtures("offline")
def test_volume_is_drawn_with_its_axes(name: str, axes: str) -> None:
    ((image, about, kind),) = getattr(samples, name)()
    assert name in samples.VOLUMES
    assert (kind, about["axis_labels"]) == ("image", tuple(axes))
    assert (image.shape, image.dtype) == ((32, 192, 192), np.uint8)
    assert image.std() > 10
