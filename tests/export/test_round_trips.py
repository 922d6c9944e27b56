"""Whatever is exported reads back as the very same pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings

from label_images import CASES, folder, label_images
from napari_pvpu.export import (
    LabelImage,
    ObjectDetails,
    as_label_image,
    read_coco,
    read_geojson,
    read_imagej_rois,
    read_ome_zarr,
    read_tiff,
    write_coco,
    write_geojson,
    write_imagej_rois,
    write_ome_zarr,
    write_tiff,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def there_and_back(kind: str, labels: np.ndarray, at: Path, **about) -> LabelImage:
    shape, axes = labels.shape, about.get("axes")
    match kind:
        case "tiff":
            write_tiff(at / "a.tif", labels, **about)
            return read_tiff(at / "a.tif")
        case "ome-tiff":
            write_tiff(at / "a.ome.tif", labels, **about)
            return read_tiff(at / "a.ome.tif")
        case "ome-zarr":
            write_ome_zarr(at / "a.ome.zarr", labels, **about)
            return read_ome_zarr(at / "a.ome.zarr")
        case "ome-zarr levels":
            write_ome_zarr(at / "a.ome.zarr", labels, levels=2, **about)
            return read_ome_zarr(at / "a.ome.zarr")
        case "imagej":
            write_imagej_rois(at / "a.zip", labels, **about)
            return read_imagej_rois(at / "a.zip", shape, axes=axes)
        case "coco polygons":
            write_coco(at / "a.json", labels, **about)
            return read_coco(at / "a.json")
        case "coco rle":
            write_coco(at / "a.json", labels, segmentation="rle", **about)
            return read_coco(at / "a.json")
        case "geojson":
            write_geojson(at / "a.geojson", labels, **about)
            return read_geojson(at / "a.geojson", shape, axes=axes)
    raise AssertionError(kind)


SHAPES = ["imagej", "coco polygons", "coco rle", "geojson"]
ARRAYS = ["tiff", "ome-tiff", "ome-zarr", "ome-zarr levels"]


def property_of(kind: str, examples: int) -> Callable[[], None]:
    @settings(max_examples=examples)
    @given(label_images())
    def same(labels: np.ndarray) -> None:
        with folder() as at:
            assert np.array_equal(there_and_back(kind, labels, at).labels, labels)

    return same


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_keep_random_labels(kind: str) -> None:
    property_of(kind, 60)()


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_keep_random_labels(kind: str) -> None:
    property_of(kind, 8)()


@pytest.mark.parametrize("kind", [*SHAPES, *ARRAYS])
@pytest.mark.parametrize("case", CASES)
def test_hard_cases(case: str, kind: str) -> None:
    labels = np.array(CASES[case], np.uint32)
    with folder() as at:
        found = there_and_back(kind, labels, at).labels
    assert np.array_equal(found, labels)
    assert found.dtype == (np.uint32 if case == "large labels" else np.uint16)


@pytest.mark.parametrize("kind", [*SHAPES, *ARRAYS])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 5, 6), "ZYX"), ((4, 5, 6), "TYX"), ((2, 3, 5, 6), "TZYX")],
    ids=["depth", "time", "both"],
)
def test_planes(kind: str, shape: tuple[int, ...], axes: str) -> None:
    labels = np.random.default_rng(0).integers(0, 4, shape).astype(np.uint16)
    labels[..., 1, :, :] = 0  # a plane without objects
    with folder() as at:
        found = there_and_back(kind, labels, at, axes=axes)
    assert np.array_equal(found.labels, labels)
    assert found.axes == axes


@pytest.mark.parametrize("kind", ["ome-tiff", "ome-zarr", "ome-zarr levels", "coco polygons"])
def test_scale_and_units_of_every_axis(kind: str) -> None:
    labels = np.ones((2, 3, 4, 5), np.uint16)
    scale, units = (30.0, 2.0, 0.5, 0.25), ("second", "micrometer", "micrometer", "micrometer")
    with folder() as at:
        found = there_and_back(kind, labels, at, scale=scale, units=units)
    assert (found.axes, found.scale, found.units) == ("TZYX", scale, units)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("ome-zarr", ObjectDetails(0.875, 3, "cell", (255, 0, 128))),
        ("geojson", ObjectDetails(0.875, 3, "cell", (255, 0, 128))),
        ("coco polygons", ObjectDetails(0.875, 3, "cell")),
        ("coco rle", ObjectDetails(0.875, 3, "cell")),
        ("imagej", ObjectDetails(0.875)),
    ],
)
def test_what_is_known_of_objects(kind: str, kept: ObjectDetails) -> None:
    labels = np.array([[1, 0, 2]], np.uint16)
    known = {2: ObjectDetails(0.875, 3, "cell", (255, 0, 128))}
    with folder() as at:
        assert there_and_back(kind, labels, at, objects=known).objects == {2: kept}


@pytest.mark.parametrize("kind", [*SHAPES, "tiff", "ome-zarr"])  # OME-TIFF has an id of its own
def test_writing_twice_gives_the_same_bytes(kind: str) -> None:
    labels = np.array([[1, 0, 2]], np.uint16)
    contents = []
    for _ in range(2):
        with folder() as at:
            there_and_back(kind, labels, at)
            files = sorted(path for path in at.rglob("*") if path.is_file())
            contents.append([(path.relative_to(at), path.read_bytes()) for path in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("kind", [*SHAPES, *ARRAYS])
def test_what_is_there_is_replaced(kind: str) -> None:
    with folder() as at:
        there_and_back(kind, np.array([[1, 1, 2]], np.uint16), at)
        before = {path.relative_to(at) for path in at.iterdir()}
        found = there_and_back(kind, np.array([[0, 3]], np.uint16), at)
        assert found.labels.tolist() == [[0, 3]]
        assert {path.relative_to(at) for path in at.iterdir()} == before  # nothing beside it


def test_a_label_image_is_taken_as_it_is() -> None:
    image = as_label_image(np.eye(3, dtype=int), scale=0.5, units="nm", name="eye")
    with folder() as at:
        write_tiff(at / "a.ome.tif", image)
        found = read_tiff(at / "a.ome.tif")
    assert (found.scale, found.units) == ((0.5, 0.5), ("nanometer", "nanometer"))
