"""A recorded session played in a real window; with any weights, for masks are not the point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_pvpu import attach
from napari_pvpu.demo.player import Player, WindowClosedError
from napari_pvpu.demo.recording import RecordedObject, Recording
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import save_weights
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

pytestmark = pytest.mark.gui

PROMPTS = (
    Click((190.0, 214.0)),
    Box((170.0, 188.0), (217.0, 237.0)),
    Scribble(((230.0, 190.0), (230.0, 240.0)), positive=False),
    Click((150.0, 300.0), positive=False),
)
RECORDING = Recording("one", "coins", "One coin", (RecordedObject("face", PROMPTS, 14),))


@pytest.fixture
def weights(tmp_path: Path, small_config: ModelConfig) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(build_model(small_config), path)
    return path


def test_session_is_played_through_the_layers(make_napari_viewer, weights: Path) -> None:
    viewer = make_napari_viewer(show=True)
    controller = attach(viewer)
    controller.model = str(weights)
    shown = []

    def look() -> None:
        clicks, strokes = controller.workspace.prompts.layers
        shown.append((len(clicks.data), list(strokes.shape_type), controller.session.prompts))

    result = Player(viewer, controller).play(RECORDING, look)

    assert shown == [(2, ["rectangle", "path"], PROMPTS)]
    [one] = result.objects
    assert one.label == 1
    assert len(one.ious) == len(one.milliseconds) == len(PROMPTS)
    assert min(one.milliseconds) > 0
    assert result.labels[190, 214] == 1  # clicked pixels obey, whatever the network thinks
    assert result.labels[150, 300] == 0
    np.testing.assert_array_equal(result.labels, viewer.layers["coins objects"].data)
    assert controller.session.objects[1].prompts == PROMPTS
    controller.close()


def test_closed_window_ends_the_play(make_napari_viewer, weights: Path) -> None:
    viewer = make_napari_viewer(show=True)
    controller = attach(viewer)
    controller.model = str(weights)
    with pytest.raises(WindowClosedError):
        Player(viewer, controller).play(RECORDING, viewer.window._qt_window.hide)
    controller.close()
