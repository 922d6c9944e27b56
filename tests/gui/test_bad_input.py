"""What does not fit is refused with a sentence, and never costs what the user has done."""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from flood_engine import FloodEngine
from napari_pvpu import Click
from napari_pvpu.errors import ImageError
from napari_pvpu.export import atomic
from napari_pvpu.napari_side.controller import Controller
from napari_pvpu.source import ImageSource

pytestmark = pytest.mark.gui

ONE, TWO = Click((30, 40)), Click((60, 90))


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def controller(viewer, blobs, qtbot):
    viewer.add_image(blobs, name="blobs")
    controller = Controller(viewer)
    controller._engine = controller.engine_for_tests = FloodEngine()
    controller.open()
    assert controller.wait()
    yield controller
    controller.engine_for_tests.may_answer.set()
    controller.close()


@pytest.fixture
def accepted(controller):
    """An object is accepted already, and must be there in the end."""
    controller.add(ONE)
    assert controller.accept() == 1
    yield
    assert list(controller.session.objects) == [1]


# Layers


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        pytest.param(Labels(np.zeros((9, 9), int), name="cells"), "Labels", id="labels"),
        pytest.param(Points(np.zeros((1, 2)), name="spots"), "Points", id="points"),
        pytest.param(Image(np.zeros((9, 9)), name="elsewhere"), "not in this viewer", id="away"),
        pytest.param(None, "image layer", id="none"),
    ],
)
def test_what_is_no_image_of_the_viewer_is_refused(
    controller, accepted, notices, layer, told
) -> None:
    if layer is not None and not isinstance(layer, Image):
        controller.viewer.add_layer(layer)
    controller.image = layer
    assert told in notices()[-1]
    assert controller.image.name == "blobs"


def test_image_of_too_many_axes_is_refused(viewer, controller, accepted, notices) -> None:
    many = viewer.add_image(np.zeros((2, 2, 2, 2, 9, 9)), name="many")
    assert controller.wait()
    controller.image = many
    assert "“many” cannot be segmented" in notices()[-1]
    assert controller.image.name == "blobs"


def test_line_of_pixels_is_refused_by_napari_and_by_the_engine(viewer, accepted) -> None:
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        viewer.add_image(np.arange(20.0))
    with pytest.raises(ImageError, match="axes"):
        ImageSource(np.arange(20.0))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(np.zeros((4, 5), np.int32), "shape (4, 5)", id="another shape"),
        pytest.param(np.zeros((2, 96, 128), np.int32), "shape (2, 96, 128)", id="more planes"),
    ],
)
@pytest.mark.parametrize("action", ["adopt", "keep_off"])
def test_labels_of_another_shape_are_refused(
    controller, viewer, notices, data, told, action
) -> None:
    layer = viewer.add_labels(data, name="theirs")
    getattr(controller, action)(layer)
    assert controller.wait()
    assert told in notices()[-1]
    assert "Alt+click" in notices()[-1]


@pytest.mark.parametrize("action", ["adopt", "keep_off"])
def test_layers_of_other_kinds_are_no_labels(controller, viewer, notices, action) -> None:
    getattr(controller, action)(viewer.layers["blobs"])
    assert "Image" in notices()[-1]
    getattr(controller, action)()
    assert "no Labels layer" in notices()[-1]
    for _ in range(2):
        viewer.add_labels(np.zeros((96, 128), int))
    viewer.layers.selection.clear()
    getattr(controller, action)()
    assert "Select the Labels layer" in notices()[-1]


def squares() -> np.ndarray:
    labels = np.zeros((96, 128), np.int32)
    labels[20:40, 30:50], labels[60:70, 60:70] = 3, 70000
    return labels


def read_only() -> np.ndarray:
    labels = squares()
    labels.flags.writeable = False
    return labels


@pytest.mark.parametrize(
    ("make", "options"),
    [
        pytest.param(squares, {}, id="plain"),
        pytest.param(read_only, {}, id="read-only"),
        pytest.param(lambda: da.from_array(squares(), chunks=32), {}, id="dask"),
        pytest.param(lambda: [squares(), squares()[::2, ::2]], {"multiscale": True}, id="levels"),
    ],
)
def test_labels_that_cannot_be_painted_on_are_copied(controller, viewer, make, options) -> None:
    layer = viewer.add_labels(make(), name="theirs", **options)
    controller.adopt(layer)
    assert controller.wait()
    ours = viewer.layers["blobs objects"]
    np.testing.assert_array_equal(ours.data, squares())
    assert list(controller.session.objects) == [3, 70000]
    controller.open_object(3)
    controller.delete_object()
    np.testing.assert_array_equal(np.unique(ours.data), [0, 70000])
    given = layer.data[0] if options else layer.data
    np.testing.assert_array_equal(np.asarray(given), squares())


def test_adopting_late_is_refused(controller, viewer, accepted, notices) -> None:
    controller.adopt(viewer.add_labels(squares(), name="theirs"))
    assert controller.wait()
    assert "when a session begins" in notices()[-1]


def test_objects_keep_off_another_layer(controller, viewer, notices) -> None:
    half = np.zeros((96, 128), np.uint8)
    half[:, 40:] = 1
    layer = viewer.add_labels(da.from_array(half, chunks=50), name="theirs")
    controller.keep_off(layer)
    assert controller.wait()
    assert controller.kept_off == "theirs"
    controller.add(ONE)
    assert controller.accept() == 1
    assert not controller.session.labels[:, 40:].any()
    assert controller.session.labels.any()
    controller.keep_off(layer)
    assert controller.kept_off is None
    assert "again" in notices()[-1]
    controller.add(TWO)
    assert controller.accept() == 2


# What goes away, and several of a kind


def test_image_removed_while_predicting(controller, viewer, accepted_labels) -> None:
    engine = controller.engine_for_tests
    engine.may_answer.clear()
    controller.add(TWO)
    threading.Timer(0.2, engine.may_answer.set).start()
    viewer.layers.remove("blobs")
    assert controller.wait()
    assert controller.workspace is None
    assert viewer.layers["blobs objects"].data.max() == 1


@pytest.fixture
def accepted_labels(controller, viewer):
    controller.add(ONE)
    controller.accept()
    return viewer.layers["blobs objects"].data.copy()


def test_several_images_have_a_session_each(controller, viewer, blobs) -> None:
    controller.add(ONE)
    assert controller.accept() == 1
    viewer.add_image(255 - blobs, name="other")
    assert controller.wait()
    controller.image = viewer.layers["other"]
    assert controller.wait()
    assert controller.history == ()
    controller.add(Click((5, 5)))
    assert controller.accept() == 1
    controller.image = viewer.layers["blobs"]
    assert controller.history == ("Click", "Accept object 1")
    controller.undo()
    controller.undo()
    assert not viewer.layers["blobs objects"].data.any()
    assert viewer.layers["other objects"].data.any()


def test_two_viewers_do_not_know_of_each_other(controller, viewer, blobs) -> None:
    second = ViewerModel()
    second.add_image(blobs, name="blobs")
    other = Controller(second)
    other._engine = FloodEngine()
    other.open()
    assert other.wait()
    controller.add(ONE)
    other.add(TWO)
    assert controller.accept() == other.accept() == 1
    assert viewer.layers["blobs objects"].data[30, 40] == 1
    assert second.layers["blobs objects"].data[30, 40] == 0
    other.close()
    controller.add(TWO)
    assert controller.accept() == 2


# Files


def test_export_that_fails_leaves_the_old_file(
    controller, accepted, notices, tmp_path, monkeypatch
) -> None:
    path = tmp_path / "labels.tif"
    controller.export(path)
    assert controller.wait()
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "replace", full)
    controller.export(path)
    assert controller.wait()
    assert "No space left on device" in notices()[-1]
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["labels.tif"]


def test_export_to_no_folder_is_told(controller, accepted, notices, tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    controller.export(tmp_path / "file" / "labels.tif")
    assert controller.wait()
    assert "labels.tif" in notices()[-1] or "file" in notices()[-1]
    assert (tmp_path / "file").read_text() == "no folder"
    assert controller.exporting is None


def test_export_holds_what_was_accepted_while_it_was_copied(controller, accepted_labels) -> None:
    """The copy is made in the worker; one that a change has crossed is made again."""
    from napari_pvpu.napari_side.exporting import taken_down

    session = controller.session
    labels, objects = taken_down(session)
    np.testing.assert_array_equal(labels, accepted_labels)
    assert list(objects) == [1]

    class Crossed:
        """A session that gets a second object while it is copied the first time."""

        def __init__(self) -> None:
            self.copies = 0

        @property
        def labels(self):
            self.copies += 1
            if self.copies == 1:
                session.open_mask(np.ones((4, 4), bool), offset=(2, 2))
                session.accept()
            return session.labels

        operations = property(lambda self: session.operations)
        objects = property(lambda self: session.objects)

    crossed = Crossed()
    labels, objects = taken_down(crossed)
    assert crossed.copies == 2
    assert list(objects) == [1, 2]
    assert (labels == 2).sum() == 16
