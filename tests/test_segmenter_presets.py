"""Every preset behind the front door: clicks, boxes and scribbles in, masks out, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_pvpu import Box, Click, Scribble, Segmenter
from napari_pvpu.networks.models import PRESETS, build_model
from napari_pvpu.networks.weights import save_weights
from small_presets import made_up_scene, small_preset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", params=PRESETS)
def segmenter(request: pytest.FixtureRequest, tmp_path_factory) -> Segmenter:
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(build_model(small_preset(request.param)), path)
    return Segmenter(path, "cpu")


def test_a_session_with_every_kind_of_prompt(segmenter: Segmenter) -> None:
    image, _ = made_up_scene(110)
    session = segmenter.open(image)
    seen = []
    for prompt in (
        Click((30, 30)),
        Click((8, 60), positive=False),
        Box((15, 12), (50, 52)),
        Scribble([(22, 22), (30, 35), (40, 38)]),
    ):
        session.add(prompt)
        assert np.isfinite(session.probability).all()
        assert 0 <= session.score <= 1
        seen.append(session.probability)
    assert session.mask[30, 30]
    assert not session.mask[8, 60]
    session.undo()
    assert np.array_equal(session.probability, seen[2])
    session.redo()
    assert np.array_equal(session.probability, seen[3])
    assert session.accept() == 1
    assert session.labels[30, 30] == 1


def test_features_are_kept(segmenter: Segmenter) -> None:
    session = segmenter.open(made_up_scene(110)[0])
    session.add(Click((30, 30)))
    first = session.probability
    session.reset()
    session.add(Click((30, 30)))
    assert session.last_timing.encode_ms == 0
    assert np.array_equal(session.probability, first)


def test_value_propagation_works_on_its_features(segmenter: Segmenter) -> None:
    session = segmenter.open(made_up_scene(110)[0])
    session.value_propagation = True
    session.add(Click((30, 30)))
    session.add(Click((80, 40), positive=False))
    assert session.last_timing.em_ms > 0
    assert session.mask[30, 30]
    assert not session.mask[80, 40]
