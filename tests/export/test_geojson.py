"""GeoJSON, as QuPath's readers want it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from shapely.geometry import shape as geometry_of

from label_images import folder, label_images
from napari_pvpu.errors import ExportError
from napari_pvpu.export import ObjectDetails, read_geojson, write_geojson

if TYPE_CHECKING:
    from pathlib import Path


def features(labels, path: Path, **about: Any) -> list[dict[str, Any]]:
    write_geojson(path, np.asarray(labels), **about)
    document = json.loads(path.read_text())
    assert document["type"] == "FeatureCollection"
    return document["features"]


def test_a_feature(tmp_path: Path) -> None:
    known = {7: ObjectDetails(0.5, 2, "Tumor", (1, 2, 3))}
    (feature,) = features([[0, 7]], tmp_path / "a.geojson", objects=known)
    assert uuid.UUID(feature.pop("id"))
    colour = feature["properties"]["classification"].pop("color")
    assert len(colour) == 3  # QuPath takes no class without one
    assert all(0 <= part <= 255 for part in colour)
    assert feature == {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[1, 0], [2, 0], [2, 1], [1, 1], [1, 0]]],
        },
        "properties": {
            "objectType": "annotation",
            "name": "7",
            "color": [1, 2, 3],
            "classification": {"name": "Tumor"},
            "measurements": {"Label": 7, "Score": 0.5, "Prompts": 2},
        },
    }


def test_parts_and_holes(tmp_path: Path) -> None:
    labels = np.ones((3, 5), int)
    labels[1, 1] = labels[:, 3] = 0
    (feature,) = features(labels, tmp_path / "a.geojson", object_type="detection")
    geometry = geometry_of(feature["geometry"])
    assert geometry.geom_type == "MultiPolygon"
    assert [len(part.interiors) for part in geometry.geoms] == [1, 0]
    assert feature["properties"]["objectType"] == "detection"


@given(label_images())
def test_geometries_are_valid_and_of_the_right_area(labels: np.ndarray) -> None:
    with folder() as at:
        for feature in features(labels, at / "a.geojson"):
            geometry = geometry_of(feature["geometry"])
            assert geometry.is_valid, shapely.is_valid_reason(geometry)
            assert geometry.area == (labels == int(feature["properties"]["name"])).sum()


def test_planes_count_from_zero_in_every_channel(tmp_path: Path) -> None:
    labels = np.zeros((2, 3, 1, 1), int)
    labels[1, 2] = 4
    (feature,) = features(labels, tmp_path / "a.geojson")
    assert feature["geometry"]["plane"] == {"c": -1, "z": 2, "t": 1}


def test_ids_belong_to_objects(tmp_path: Path) -> None:
    def ids(labels, **about: Any) -> list[str]:
        return [feature["id"] for feature in features(labels, tmp_path / "a.geojson", **about)]

    first = ids([[1, 2]], name="a")
    assert ids([[1, 2], [1, 2]], name="a") == first
    assert ids([[2, 0]], name="a") == first[1:]
    others = ids([[1, 2]], name="b") + ids([[[1, 2]], [[1, 2]]], name="a")
    assert len({*first, *others}) == 8


def others(path: Path, geometry: dict[str, Any], **properties: Any) -> Path:
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    path.write_text(json.dumps([feature]))
    return path


SQUARE = [[[0.6, 0.6], [2.4, 0.6], [2.4, 1.6], [0.6, 1.6], [0.6, 0.6]]]


@pytest.mark.parametrize(
    ("properties", "label"),
    [
        ({"name": "12"}, 12),
        ({"name": "left lobe"}, 1),
        ({}, 1),
        ({"measurements": [{"name": "Label", "value": 6.0}]}, 6),
        ({"classification": "Tumor"}, 1),
    ],
    ids=["number as name", "another name", "nothing", "measurements of QuPath 0.3", "class only"],
)
def test_labels_of_others(properties, label: int, tmp_path: Path) -> None:
    path = others(tmp_path / "a.json", {"type": "Polygon", "coordinates": SQUARE}, **properties)
    found = read_geojson(path, (3, 3))
    assert found.labels.tolist() == [[0, 0, 0], [0, label, 0], [0, 0, 0]]
    assert found.details(label).category == properties.get("classification")


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ({"type": "Point", "coordinates": [1, 1]}, "a Point has no area"),
        ({"type": "Polygon", "coordinates": SQUARE, "plane": {"z": 7}}, "out of bounds"),
        ({"type": "Polygon"}, "coordinates"),
    ],
    ids=["a point", "a plane that is not there", "no coordinates"],
)
def test_what_does_not_fit_is_told(geometry, message: str, tmp_path: Path) -> None:
    path = others(tmp_path / "a.json", geometry, name="3")
    with pytest.raises(ExportError, match=rf"label 3 does not fit.*{message}"):
        read_geojson(path, (2, 3, 3))


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ExportError, match="it is no GeoJSON"):
        read_geojson(tmp_path / "a.json", (3, 3))


def test_unknown_type_of_object(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'cell' is neither"):
        write_geojson(tmp_path / "a.json", np.eye(2, dtype=int), object_type="cell")  # type: ignore[arg-type]
