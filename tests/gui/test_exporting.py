"""Exports from the panel, with what the layer knows of scale and units."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_pvpu import attach
from napari_pvpu.export import FORMATS, read_coco
from napari_pvpu.napari_side.panel import Panel

pytestmark = pytest.mark.gui

SQUARES = np.zeros((3, 96, 128), np.uint16)
SQUARES[0, 10:20, 30:50] = 1
SQUARES[2, 40:50, 30:40] = 4


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def controller(viewer, blobs):
    viewer.add_image(
        np.stack([blobs] * 3), name="stack", scale=(2, 0.5, 0.5), units=("um", "um", "um")
    )
    controller = attach(viewer)
    assert controller.wait()
    controller.adopt(viewer.add_labels(SQUARES.copy()))
    return controller


def test_every_format_is_written_from_the_menu(
    controller, viewer, tmp_path, monkeypatch, notices
) -> None:
    panel = Panel(viewer)
    assert panel.exports.keys() == FORMATS.keys()
    for name, entry in panel.exports.items():
        path = tmp_path / f"{name}{FORMATS[name].suffixes[0]}"
        monkeypatch.setattr(
            "napari_pvpu.napari_side.views.steps.QFileDialog.getSaveFileName",
            lambda *arguments, path=path: (str(path), ""),
        )
        entry.trigger()
        assert controller.wait()
        assert path.exists(), notices()
        assert notices()[-1] == f"2 objects exported to {path}"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "tiff.tif"), SQUARES)
    rows = list(csv.DictReader((tmp_path / "csv.csv").read_text("utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["1", "4"]
    assert len(json.loads((tmp_path / "coco.json").read_text())["annotations"]) == 2
    whole = read_coco(tmp_path / "coco-rle.json")
    np.testing.assert_array_equal(whole.labels, SQUARES)
    assert '"counts"' in (tmp_path / "coco-rle.json").read_text("utf-8")
    panel.close()


def test_what_cannot_be_written_is_told(controller, tmp_path, notices) -> None:
    (tmp_path / "file").write_text("")
    controller.export(tmp_path / "file" / "labels.tif")
    assert controller.wait()
    assert "file" in notices()[-1]
    assert controller.exporting is None
    controller.export(tmp_path / "labels.xyz")
    assert "tells no format" in notices()[-1]


def test_nothing_is_exported_without_objects(viewer, blobs, tmp_path, notices) -> None:
    viewer.add_image(blobs)
    controller = attach(viewer)
    assert controller.wait()
    controller.export(tmp_path / "labels.tif")
    assert "accept one first" in notices()[-1]
    assert not any(tmp_path.iterdir())


def test_measurements_are_shown_in_napari_s_own_table(controller, viewer, notices) -> None:
    controller.measure()
    assert controller.wait()
    layer = viewer.layers["stack objects"]
    assert layer.features["index"].tolist() == [0, 1, 4]
    assert layer.features["area [micrometer^2]"].tolist()[1:] == [50, 25]
    assert layer.features["centroid_y [micrometer]"].tolist()[1:] == [7.25, 22.25]
    assert "2 objects measured" in notices()[-1]
    [table] = [
        table for name, table in viewer.window.dock_widgets.items() if "Features table" in name
    ]
    dock = table.parent()
    assert dock.window().dockWidgetArea(dock) == Qt.DockWidgetArea.BottomDockWidgetArea
    dock.window().addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    controller.open_object(4)
    controller.delete_object()
    controller.measure()
    assert controller.wait()
    assert layer.features["index"].tolist() == [0, 1]
    assert dock.window().dockWidgetArea(dock) == Qt.DockWidgetArea.LeftDockWidgetArea, "it stays"


def test_there_has_to_be_something_to_measure(make_napari_viewer, blobs, notices) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(blobs, name="blobs")
    controller = attach(viewer)
    controller.measure()
    assert controller.wait()
    assert "no object" in notices()[-1]
