"""Session files of the panel: nothing is lost, and what was left is offered again."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu import Click, attach
from napari_pvpu.journal import read_journal
from napari_pvpu.napari_side import journaling
from napari_pvpu.napari_side.panel import Panel

pytestmark = pytest.mark.gui


def left_behind(viewer, blobs, sessions) -> np.ndarray:
    """Accept an object and begin another, then forget all but the file, as a killed napari does."""
    viewer.add_image(blobs, name="first")
    controller = attach(viewer)
    controller.add(Click((30, 40)))
    controller.accept()
    controller.add(Click((60, 90)))
    assert controller.wait()
    labels = np.array(controller.session.labels)
    [path] = sessions.iterdir()
    content = path.read_bytes()
    viewer.layers.clear()
    assert controller.wait()
    for other in sessions.iterdir():
        other.unlink()
    # By a program that is not there any more: process numbers end below four million.
    path.with_name(f"{path.name.split('-')[0]}-1-9999999{journaling.SUFFIX}").write_bytes(content)
    return labels


def test_killed_session_is_offered_and_resumed(make_napari_viewer, blobs, sessions) -> None:
    viewer = make_napari_viewer()
    labels = left_behind(viewer, blobs, sessions)
    viewer.add_image(blobs, name="again")
    panel = Panel(viewer)
    controller = panel.controller
    assert controller.wait()
    assert not panel.earlier.isHidden()
    assert "steps, 1 object accepted)" in panel.earlier.text.text()
    panel.resume.click()
    assert controller.wait()
    np.testing.assert_array_equal(controller.session.labels, labels)
    np.testing.assert_array_equal(viewer.layers["again objects"].data, labels)
    assert controller.workspace.prompts.read() == (Click((60, 90)),)
    assert panel.earlier.isHidden()
    assert controller.accept() == 2
    [path] = sessions.iterdir()
    assert read_journal(path).operations[-1].name == "accept", "the file goes on"
    controller.go_to(0)
    assert not viewer.layers["again objects"].data.any()
    panel.close()


def test_session_of_another_image_is_not_offered(make_napari_viewer, blobs, sessions) -> None:
    viewer = make_napari_viewer()
    left_behind(viewer, blobs, sessions)
    viewer.add_image(255 - blobs, name="other")
    controller = attach(viewer)
    assert controller.wait()
    assert controller.workspace.earlier is None


def test_session_that_cannot_be_resumed_is_told(
    make_napari_viewer, blobs, sessions, notices
) -> None:
    viewer = make_napari_viewer()
    left_behind(viewer, blobs, sessions)
    viewer.add_image(blobs, name="again")
    controller = attach(viewer)
    assert controller.wait()
    controller.workspace.earlier.path.write_text("nothing")
    controller.workspace.resume()
    assert controller.wait()
    assert "no session file" in notices()[-1]
    controller.add(Click((30, 40)))
    assert controller.accept() == 1


def test_folder_that_cannot_be_written_is_told_and_hinders_nothing(
    make_napari_viewer, blobs, sessions, notices
) -> None:
    sessions.write_text("a file, no folder")
    viewer = make_napari_viewer()
    viewer.add_image(blobs)
    controller = attach(viewer)
    assert controller.wait()
    assert "cannot be written" in notices()[-1]
    controller.add(Click((30, 40)))
    assert controller.accept() == 1


def test_file_of_a_session_without_steps_is_removed(make_napari_viewer, blobs, sessions) -> None:
    viewer = make_napari_viewer()
    image = viewer.add_image(blobs)
    controller = attach(viewer)
    assert controller.wait()
    assert len(list(sessions.iterdir())) == 1
    viewer.layers.remove(image)
    assert controller.wait()
    assert list(sessions.iterdir()) == []
