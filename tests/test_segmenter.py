"""The front door, with a network of random weights behind it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_pvpu.errors import DeviceError, ImageError, ModelNotFoundError
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble
from napari_pvpu.segmenter import Segmenter
from napari_pvpu.source import ImageSource

IMAGE = np.random.default_rng(0).integers(0, 255, (150, 210), np.uint8)


@pytest.fixture(scope="module")
def segmenter(small_config, tmp_path_factory):
    import torch

    from napari_pvpu.networks.models import build_model
    from napari_pvpu.networks.weights import save_weights

    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(build_model(small_config), path)
    return Segmenter(path, "cpu")


def test_it_says_what_it_is(segmenter):
    assert (segmenter.model_name, segmenter.device, segmenter.view_size) == ("small", "cpu", 64)


def test_the_public_rhythm(segmenter):
    session = segmenter.open(IMAGE)
    session.add(Click((120, 88)))
    session.add(Click((130, 60), positive=False))
    session.add(Scribble([(120, 88), (110, 120), (100, 180)]))
    session.add(Box((80, 60), (149, 130)))
    assert session.mask.shape == session.probability.shape == session.labels.shape == IMAGE.shape
    session.undo()
    assert len(session.prompts) == 3
    session.redo()
    assert session.mask[120, 88]
    assert session.accept() == 1
    assert session.labels[120, 88] == 1


@pytest.mark.parametrize("em", [False, True])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_clicked_pixels_end_on_their_side_whatever_the_network_says(segmenter, em, threshold):
    session = segmenter.open(IMAGE)
    session.value_propagation = em
    session.threshold = threshold
    rng = np.random.default_rng(5)
    clicks = {}
    for positive in (True, False, True, False, False, True):
        position = tuple(rng.integers((0, 0), IMAGE.shape).tolist())
        clicks[position] = positive
        session.add(Click(position, positive))
        assert all(session.mask[place] == side for place, side in clicks.items())
    session.add(Scribble([(10, 10), (10, 90)]))
    assert session.mask[10, 10:91].all()


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        IMAGE.astype(np.uint16) * 100,
        IMAGE / 255,
        IMAGE > 100,
        np.stack([IMAGE] * 3, axis=-1),
        np.stack([IMAGE, IMAGE.T[:150, :150].repeat(2, 1)[:, :210]], axis=-1),
        np.where(IMAGE > 200, np.nan, IMAGE),
    ],
    ids=["uint8", "uint16", "float", "bool", "rgb", "two-channels", "nan"],
)
def test_every_image_can_be_clicked(segmenter, image):
    session = segmenter.open(image)
    session.add(Click((70, 70)))
    assert session.mask[70, 70]
    assert np.isfinite(session.probability).all()


def test_a_prior_mask_alone_is_a_prompt(segmenter):
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    session = segmenter.open(IMAGE)
    session.add(PriorMask(mask, (40, 40)))
    assert session.view.contains((60, 60, 79, 79))


def test_sessions_share_features_but_not_each_others(segmenter):
    one, two = segmenter.open(IMAGE), segmenter.open(255 - IMAGE)
    click = Click((70, 70))
    one.add(click)
    assert one.last_timing.encode_ms > 0
    one.reset()
    one.add(click)
    assert one.last_timing.encode_ms == 0
    two.add(click)
    assert two.last_timing.encode_ms > 0


def test_a_session_repeats_itself_bit_for_bit(segmenter):
    seen = []
    for _ in range(2):
        session = segmenter.open(IMAGE)
        session.add(Click((70, 70)))
        session.add(Click((90, 120), False))
        session.value_propagation = True
        seen.append(session.probability.tobytes())
    assert seen[0] == seen[1]


def test_the_em_switch_changes_the_mask_and_back(segmenter):
    session = segmenter.open(IMAGE)
    session.add(Click((70, 70)))
    off = session.probability
    session.value_propagation = True
    on = session.probability
    assert session.last_timing.em_ms > 0
    assert not np.array_equal(on, off)
    session.value_propagation = False
    assert np.array_equal(session.probability, off)


def test_bad_images_are_refused(segmenter):
    with pytest.raises(ImageError, match="pass axes= one of"):
        segmenter.open(np.zeros((3, 3, 3, 3)))
    with pytest.raises(ImageError, match="constant"):
        segmenter.open(np.zeros((30, 30)))


def test_what_is_told_of_an_image_reaches_the_network(segmenter):
    """Channels last and channels first, as one of several planes or alone: it is one image."""
    channels = np.stack([IMAGE, IMAGE[::-1], IMAGE[:, ::-1], 255 - IMAGE])
    settings = {"projection": "max", "limits": (20, 220), "gamma": 0.5, "rgb": False}
    sources = [
        ImageSource(channels, axes="CYX", **settings),
        ImageSource(np.moveaxis(channels, 0, -1), axes="YXC", **settings),
        ImageSource([channels, channels], axes="TCYX", **settings).at((1,)),
    ]
    sessions = [segmenter.open(channels, axes="CYX", **settings), *map(segmenter.open, sources)]
    other = segmenter.open(channels, axes="CYX")
    for session in [*sessions, other]:
        session.add(Click((70, 70)))
    seen = {session.probability.tobytes() for session in sessions}
    assert len(seen) == 1
    assert other.probability.tobytes() not in seen


def test_a_source_brings_its_settings_along(segmenter):
    with pytest.raises(ImageError, match="brings its settings"):
        segmenter.open(ImageSource(IMAGE), gamma=2)


def test_unknown_models_and_devices_are_refused():
    with pytest.raises(ModelNotFoundError):
        Segmenter("no-such-model", "cpu")
    with pytest.raises(DeviceError):
        Segmenter("pvpu-nano", "no-such-device")


def test_sessions_and_all_below_import_no_torch_and_no_screen():
    code = (
        "import sys, napari_pvpu.session, napari_pvpu.segmenter; "
        "print(sorted({'torch', 'napari', 'qtpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
