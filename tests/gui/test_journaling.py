"""Session files of the panel: nothing is lost, and what was left is offered again."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu import Click, attach
from napari_pvpu.checked_lines import from_line, to_line
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
    controller.resume()
    assert controller.wait()
    assert "no session file" in notices()[-1]
    controller.add(Click((30, 40)))
    assert controller.accept() == 1


def rewritten(path, change) -> None:
    """Change the header of a session file, as another program would have written it."""
    first, _, rest = path.read_bytes().partition(b"\n")
    header = from_line(first)
    change(header)
    path.write_bytes(to_line(header) + rest)


def of_other_model(header) -> None:
    header["model"]["name"] = "pvpu-large"


def of_other_version(header) -> None:
    header.update(version=99, package="7.0")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (of_other_model, "made with the model “pvpu-large”; choose that"),
        (of_other_version, "written by napari-pvpu 7.0; use that version"),
    ],
)
def test_session_of_another_model_or_version_is_told_of(
    make_napari_viewer, blobs, sessions, notices, change, told
) -> None:
    viewer = make_napari_viewer()
    left_behind(viewer, blobs, sessions)
    [path] = sessions.iterdir()
    rewritten(path, change)
    viewer.add_image(blobs, name="again")
    panel = Panel(viewer)
    controller = panel.controller
    assert controller.wait()
    assert not panel.earlier.isHidden()
    assert told in panel.earlier.text.text()
    assert panel.resume.isHidden()
    controller.resume()
    assert controller.wait()
    assert str(path) in notices()[-1] or "pvpu-large" in notices()[-1]
    assert path.exists()
    panel.close()


def test_older_sessions_can_be_gone_on_with(make_napari_viewer, blobs, sessions) -> None:
    viewer = make_napari_viewer()
    labels = left_behind(viewer, blobs, sessions)
    [oldest] = sessions.iterdir()
    viewer.add_image(blobs, name="again")
    panel = Panel(viewer)
    controller = panel.controller
    assert controller.wait()
    panel.dismiss.click()
    assert panel.earlier.isHidden()
    controller.add(Click((60, 90)))
    assert controller.wait()
    history = panel.history
    history.menu.aboutToShow.emit()
    older, _, other = history.menu.actions()
    assert older.text().endswith(": 3 steps, 1 object accepted")
    assert other.text() == "Open a session file…"
    assert [each.path for each in controller.earlier_sessions()] == [oldest]
    older.trigger()
    assert controller.wait()
    np.testing.assert_array_equal(controller.session.labels, labels)
    [left] = controller.earlier_sessions()
    assert left.summary == "1 step, no object accepted yet", "what was at work is kept, too"
    panel.close()


def test_session_file_from_elsewhere_is_copied(
    make_napari_viewer, blobs, sessions, tmp_path, notices
) -> None:
    viewer = make_napari_viewer()
    labels = left_behind(viewer, blobs, sessions)
    [path] = sessions.iterdir()
    elsewhere = path.rename(tmp_path / "from a friend.pvpu-session")
    content = elsewhere.read_bytes()
    viewer.add_image(255 - blobs, name="other")
    controller = attach(viewer)
    controller.resume(elsewhere)
    assert controller.wait()
    assert "another image" in notices()[-1]
    viewer.add_image(blobs, name="again")
    controller.image = viewer.layers["again"]
    assert controller.wait()
    assert controller.earlier_sessions() == []
    controller.resume(str(elsewhere))
    assert controller.wait()
    np.testing.assert_array_equal(viewer.layers["again objects"].data, labels)
    controller.accept()
    assert elsewhere.read_bytes() == content


def test_nothing_to_go_on_with_is_said(make_napari_viewer, blobs, sessions, notices) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs)
    controller = attach(viewer)
    assert controller.wait()
    controller.resume()
    assert "no earlier session" in notices()[-1]


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
