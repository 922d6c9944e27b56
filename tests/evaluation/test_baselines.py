from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.baselines import BASELINES, contrast, make_baseline
from napari_pvpu.evaluation.metrics import iou
from napari_pvpu.prompts import Box, Click, Scribble

ROW, COL = np.mgrid[:120, :150]
DISK = np.hypot(ROW - 60, COL - 70) < 18
NEIGHBOUR = np.hypot(ROW - 60, COL - 104) < 18  # touches the disk's right


def picture(colour: bool = False, noise: float = 0.03) -> np.ndarray:
    rng = np.random.default_rng(0)
    scene = 0.2 + 0.5 * DISK + 0.05 * ndimage.gaussian_filter(rng.normal(size=DISK.shape), 8)
    scene = ndimage.gaussian_filter(scene, 1) + noise * rng.normal(size=DISK.shape)
    grey = np.clip(scene * 60000, 0, 65535).astype(np.uint16)
    return np.stack([grey, grey // 2, 65535 - grey], axis=-1) if colour else grey


@pytest.fixture(params=list(BASELINES))
def method(request):
    if request.param == "grabcut":
        pytest.importorskip("cv2")
    return make_baseline(request.param)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_finds_a_clear_disk_from_one_click(method, colour: bool) -> None:
    image = picture(colour)
    region = method.predict(image, [Click((58, 66))], None)
    assert iou(region.crop((0, 0, 120, 150)), DISK) > 0.8


@pytest.mark.parametrize(
    "prompt",
    [Box((40, 50), (80, 90)), Scribble([(52.0, 62.0), (60.0, 75.0), (68.0, 78.0)])],
    ids=["box", "scribble"],
)
def test_finds_a_clear_disk_from_other_prompts(method, prompt) -> None:
    region = method.predict(picture(), [prompt], None)
    assert iou(region.crop((0, 0, 120, 150)), DISK) > 0.8


def test_stays_inside_the_image_and_obeys_clicks(method) -> None:
    image = picture()
    prompts = [Click((58, 66)), Click((60, 80), False)]
    first = method.predict(image, prompts[:1], None)
    region = method.predict(image, prompts, first)
    top, left, bottom, right = region.rect
    assert 0 <= top <= bottom <= 120
    assert 0 <= left <= right <= 150
    mask = region.crop((0, 0, 120, 150))
    assert mask[58, 66]
    assert not mask[60, 80]


def test_gives_the_same_answer_again(method) -> None:
    first = method.predict(picture(), [Click((58, 66))], None)
    method.predict(picture(colour=True), [Click((20, 20))], None)
    again = method.predict(picture(), [Click((58, 66))], None)
    assert first.rect == again.rect
    np.testing.assert_array_equal(first.mask, again.mask)


def test_a_constant_image_gives_some_answer(method) -> None:
    region = method.predict(np.full((50, 60), 7, np.uint8), [Click((20, 30))], None)
    assert region.crop((20, 30, 21, 31)).all()


def test_a_negative_click_alone_gives_nothing(method) -> None:
    assert not method.predict(picture(), [Click((58, 66), False)], None).mask.any()


def test_negative_click_separates_a_touching_neighbour() -> None:
    image = picture() + (30000 * ndimage.gaussian_filter(NEIGHBOUR * 1.0, 1)).astype(np.uint16)
    method = make_baseline("watershed")
    one = method.predict(image, [Click((60, 66))], None)
    two = method.predict(image, [Click((60, 66)), Click((60, 104), False)], one)
    assert iou(two.crop((0, 0, 120, 150)), DISK) > 0.8


def test_contrast_prefers_the_true_outline() -> None:
    image = picture(noise=0).astype(np.float32)[..., None] / 65535
    shrunk = ndimage.binary_erosion(DISK, iterations=5)
    grown = ndimage.binary_dilation(DISK, iterations=5)
    assert contrast(image, DISK) > contrast(image, shrunk)
    assert contrast(image, DISK) > contrast(image, grown)
    assert contrast(image, np.zeros_like(DISK)) == -1
    assert contrast(image, np.ones_like(DISK)) == -1


def test_unknown_method() -> None:
    with pytest.raises(PvpuError, match="unknown method 'magic'; use pvpu or one of random-walker"):
        make_baseline("magic")


def test_grabcut_without_opencv_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PvpuError, match=r"napari-pvpu\[baselines\]"):
        make_baseline("grabcut")
