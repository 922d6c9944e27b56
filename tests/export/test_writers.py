"""Saving layers from napari, without a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

import napari_pvpu
from napari_pvpu.errors import ExportError
from napari_pvpu.export import (
    ObjectDetails,
    read_coco,
    read_geojson,
    read_imagej_rois,
    read_label_image,
    read_table,
)
from napari_pvpu.export.writers import from_layer, save_coco_rle

if TYPE_CHECKING:
    from collections.abc import Iterator

LABELS = np.array([[0, 1, 1, 0], [2, 2, 0, 0], [2, 2, 0, 9]])
PLUGIN = "napari-pvpu"


@pytest.fixture(autouse=True)
def plugins(npe2pm) -> Iterator[None]:
    """Our plugin, after napari's own."""
    manifest = Path(napari_pvpu.__file__).parent / "napari.yaml"
    with npe2pm.tmp_plugin(package="napari"), npe2pm.tmp_plugin(manifest=manifest):
        yield


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_labels(
        LABELS,
        name="cells",
        scale=(0.5, 0.25),
        units=("um", "um"),
        features={"index": [0, 1, 9], "score": [np.nan, 0.25, 0.75], "class": ["", "a", None]},
    )
    return viewer


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.ome.tif", read_label_image),
        ("a.ome.zarr", read_label_image),
        ("a.zip", lambda path: read_imagej_rois(path, LABELS.shape)),
        ("a.json", read_coco),
        ("a.geojson", lambda path: read_geojson(path, LABELS.shape)),
    ],
)
def test_saving_by_name(name: str, read, viewer: ViewerModel, tmp_path: Path) -> None:
    path = tmp_path / name
    assert viewer.layers.save(str(path)) == [str(path)]
    assert np.array_equal(read(path).labels, LABELS)


def test_run_lengths_are_a_choice_of_the_dialog(tmp_path: Path) -> None:
    labels = np.full((5, 5), 2, np.uint16)
    labels[2, 2] = 0
    path = tmp_path / "a.json"
    assert save_coco_rle(str(path), labels, {}) == [str(path)]
    assert np.array_equal(read_coco(path).labels, labels)
    assert '"counts"' in path.read_text("utf-8")


def test_tif_is_napari_s_unless_ours_is_asked_for(viewer: ViewerModel, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    viewer.layers.save(str(path))
    assert read_label_image(path).units == ("pixel", "pixel")
    viewer.layers.save(str(path), plugin=PLUGIN)
    found = read_label_image(path)
    assert np.array_equal(found.labels, LABELS)
    assert (found.scale, found.units) == ((0.5, 0.25), ("micrometer", "micrometer"))


def test_a_table_with_intensities_of_the_images(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.add_image(LABELS * 10.0, name="DAPI")
    viewer.add_image(np.dstack([LABELS] * 3).astype(np.uint8), rgb=True, name="stain")
    path = tmp_path / "a.csv"
    assert viewer.layers.save(str(path)) == [str(path)]
    table = read_table(path)
    assert table["label"] == [1, 2, 9]
    assert table["area [micrometer^2]"] == [0.25, 0.5, 0.125]
    assert table["intensity_mean [DAPI]"] == [10, 20, 90]
    assert table["intensity_max [stain blue]"] == [1, 2, 9]
    assert table["score"][0] == 0.25


def test_a_table_of_labels_alone(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.layers.save(str(tmp_path / "a.csv"))
    assert not any(name.startswith("intensity") for name in read_table(tmp_path / "a.csv"))


def test_an_image_of_another_shape_is_named(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.add_image(np.zeros((5, 5)), name="other")
    with pytest.raises(ExportError, match=r"'other' of shape \(5, 5\) does not go with labels"):
        viewer.layers.save(str(tmp_path / "a.csv"))


def layer(data=LABELS, **keywords):
    return from_layer(*Labels(data, **keywords).as_layer_data_tuple()[:2])


def test_what_a_layer_tells() -> None:
    features = {"index": [0, 1, 9], "score": [np.nan, 0.25, np.nan], "prompts": [0, 3, 4]}
    image = layer(name="cells", scale=(2, 3), units=("nm", "um"), features=features)
    assert (image.name, image.axes, image.scale) == ("cells", "YX", (2, 3))
    assert image.units == ("nanometer", "micrometer")
    assert (image.details(1).score, image.details(1).prompts) == (0.25, 3)
    assert (image.details(9).score, image.details(9).prompts) == (None, 4)


def test_colours_are_those_of_the_screen() -> None:
    shown = Labels(LABELS)
    image = from_layer(*shown.as_layer_data_tuple()[:2], colours=True)
    for label in (1, 2, 9):
        expected = tuple(round(255 * float(part)) for part in shown.get_color(label)[:3])
        assert image.details(label).colour == expected
    assert image.details(5) == ObjectDetails()


def test_colours_are_written_where_the_format_keeps_them(
    viewer: ViewerModel, tmp_path: Path
) -> None:
    viewer.layers.save(str(tmp_path / "a.geojson"))
    found = read_geojson(tmp_path / "a.geojson", LABELS.shape)
    shown = viewer.layers[0].get_color(2)
    assert found.objects[2].colour == tuple(round(255 * float(part)) for part in shown[:3])


@pytest.mark.parametrize(
    ("shape", "names", "axes"),
    [
        ((2, 3, 4), ("t", "y", "x"), "TYX"),
        ((2, 3, 4), ("z", "y", "x"), "ZYX"),
        ((2, 3, 4), None, "ZYX"),
        ((2, 3, 4), ("a", "b", "c"), "ZYX"),
        ((2, 2, 3, 4), ("t", "z", "y", "x"), "TZYX"),
    ],
)
def test_axes_of_a_layer(shape, names, axes: str) -> None:
    labels = np.zeros(shape, int)
    assert layer(labels, axis_labels=names).axes == axes


def test_the_largest_level_of_a_multiscale_layer() -> None:
    image = layer([np.kron(LABELS, np.ones((2, 2), int)), LABELS], multiscale=True)
    assert image.shape == (6, 8)
