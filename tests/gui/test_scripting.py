"""Copy as Python: the clipboard holds a script that makes the same labels in another process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from napari_pvpu import Box, Click
from napari_pvpu.napari_side.scripting import script_of

pytestmark = pytest.mark.gui


@pytest.fixture
def picture(tmp_path, blobs):
    path = tmp_path / "blobs.tif"
    tifffile.imwrite(path, blobs)
    return path


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


def opened(viewer):
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert panel.controller.wait()
    return panel


def test_script_of_the_clipboard_makes_the_same_labels(viewer, picture, tmp_path, notices) -> None:
    viewer.open(picture, plugin="napari")
    panel = opened(viewer)
    controller = panel.controller
    assert not panel.copy.isEnabled()
    for prompts in ([Click((30.0, 40.0)), Click((34.0, 44.0), False)], [Box((44, 74), (78, 108))]):
        for prompt in prompts:
            controller.add(prompt)
        controller.accept()
    controller.threshold = 0.4
    assert panel.copy.isEnabled()
    panel.copy.trigger()
    script, out = tmp_path / "session.py", tmp_path / "labels.tif"
    script.write_text(QApplication.clipboard().text(), "utf-8")
    subprocess.run([sys.executable, "-W", "ignore", script, out], check=True, cwd=tmp_path)
    labels = tifffile.imread(out)
    assert np.array_equal(labels, controller.session.labels)
    assert labels.max() == 2
    assert "python session.py labels.tif" in notices()[-1]


def test_script_for_an_image_without_a_file_takes_a_path(viewer, blobs) -> None:
    viewer.add_image(blobs)
    controller = opened(viewer).controller
    script = script_of(controller.workspace, controller.model)
    assert "read_image(sys.argv[1])" in script
    assert f"Segmenter({controller.model!r})" in script


def test_before_the_model_is_loaded_there_is_nothing_to_copy(viewer, blobs) -> None:
    viewer.add_image(blobs)
    _, panel = viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    assert script_of(panel.controller.workspace, "pvpu-nano") is None
    assert panel.controller.wait()
