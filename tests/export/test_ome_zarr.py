"""OME-Zarr labels: alone, and beside an image."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

from napari_pvpu.errors import ExportError
from napari_pvpu.export import ObjectDetails, read_ome_zarr, write_ome_zarr
from napari_pvpu.export.atomic import library

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.array([[0, 1], [2, 2]], np.uint16)
PIXELS = np.arange(4, dtype=np.uint16).reshape(2, 2)


def ngff(path: Path) -> dict:
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    assert attributes["ome"]["version"] == "0.5"
    return attributes["ome"]


def test_metadata(tmp_path: Path) -> None:
    known = {2: ObjectDetails(0.5, 3, "cell", (1, 2, 3))}
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, LABELS, label_name="cells", scale=0.5, units="um", objects=known)
    assert ngff(path / "labels")["labels"] == ["cells"]
    described = ngff(path / "labels" / "cells")
    assert described["image-label"]["colors"] == [{"label-value": 2, "rgba": [1, 2, 3, 255]}]
    assert described["image-label"]["properties"] == [
        {"label-value": 1, "area (pixels)": 1},
        {"label-value": 2, "area (pixels)": 2, "score": 0.5, "prompts": 3, "class": "cell"},
    ]
    (multiscale,) = described["multiscales"]
    assert multiscale["axes"] == [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "yx"
    ]
    (dataset,) = multiscale["datasets"]
    assert dataset["coordinateTransformations"][0]["scale"] == [0.5, 0.5]


def test_levels_take_the_nearest_label(tmp_path: Path) -> None:
    labels = np.kron([[0, 1], [2, 3]], np.ones((4, 4), int))
    write_ome_zarr(tmp_path / "a.zarr", labels, levels=3)
    (multiscale,) = ngff(tmp_path / "a.zarr" / "labels" / "labels")["multiscales"]
    group = zarr.open_group(str(tmp_path / "a.zarr" / "labels" / "labels"), mode="r")
    shapes = [group[each["path"]].shape for each in multiscale["datasets"]]
    assert shapes == [(8, 8), (4, 4), (2, 2)]
    smallest = group[multiscale["datasets"][-1]["path"]]
    assert np.asarray(smallest).tolist() == [[0, 1], [2, 3]]


def test_chunks_without_labels_are_not_written(tmp_path: Path) -> None:
    labels = np.zeros((3, 3000, 3000), np.uint16)
    labels[1, 1500, 2500] = 7
    write_ome_zarr(tmp_path / "a.zarr", labels)
    chunks = [
        path.relative_to(tmp_path / "a.zarr" / "labels" / "labels").as_posix()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "zarr.json"
    ]
    assert chunks == ["s0/c/1/1/2"]
    assert np.array_equal(read_ome_zarr(tmp_path / "a.zarr").labels, labels)


def make_image(path: Path, version: int, *, consolidated: bool = False) -> None:
    writer = library("ome_zarr.writer", "tests")
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    writer.write_image(PIXELS, group, scaler=None, scale_factors=[], axes="yx")
    if consolidated:
        with warnings.catch_warnings(action="ignore"):
            zarr.consolidate_metadata(str(path), zarr_format=version)


def files_of(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and "labels" not in file.relative_to(path).parts
    }


@pytest.mark.parametrize("version", [2, 3], ids=["NGFF 0.4", "NGFF 0.5"])
def test_labels_join_an_image_and_leave_it_alone(version: int, tmp_path: Path) -> None:
    path = tmp_path / "image.zarr"
    make_image(path, version)
    before = files_of(path)
    write_ome_zarr(path, LABELS, label_name="cells", units="nm")
    write_ome_zarr(path, LABELS * 2, label_name="nuclei")
    write_ome_zarr(path, LABELS * 3, label_name="cells")  # again
    assert files_of(path) == before
    assert read_ome_zarr(path, "cells").labels.tolist() == (LABELS * 3).tolist()
    assert read_ome_zarr(path / "labels", "nuclei").labels.tolist() == (LABELS * 2).tolist()
    assert read_ome_zarr(path / "labels" / "nuclei").labels.tolist() == (LABELS * 2).tolist()
    names = {entry.name for entry in (path / "labels").iterdir() if entry.is_dir()}
    assert names == {"cells", "nuclei"}
    with pytest.raises(ExportError, match=r"labels cells, nuclei; say which"):
        read_ome_zarr(path)
    with pytest.raises(ExportError, match=r"labels cells, nuclei, and no 'cell'"):
        read_ome_zarr(path, "cell")


@pytest.mark.parametrize("version", [2, 3], ids=["NGFF 0.4", "NGFF 0.5"])
def test_a_copy_of_all_metadata_is_kept_up_to_date(version: int, tmp_path: Path) -> None:
    path = tmp_path / "image.zarr"
    make_image(path, version, consolidated=True)
    write_ome_zarr(path, LABELS)
    group = zarr.open_group(str(path), mode="r", use_consolidated=True)
    attributes = dict(group["labels/labels"].attrs)
    assert "image-label" in attributes.get("ome", attributes)


@pytest.mark.parametrize("what", ["folder", "file", "array"])
def test_what_is_no_ome_zarr_is_not_touched(what: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.zarr"
    if what == "folder":
        path.mkdir()
        (path / "thesis.txt").write_text("years of work")
    elif what == "file":
        path.write_text("years of work")
    else:
        zarr.create_array(str(path), shape=(2,), dtype="u1")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ExportError, match=r"mine\.zarr cannot be written: there is a"):
        write_ome_zarr(path, LABELS)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    "keywords", [{"label_name": "a/b"}, {"label_name": ""}, {"levels": 0}], ids=str
)
def test_names_and_levels_that_cannot_be(keywords, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be written; give a name"):
        write_ome_zarr(tmp_path / "a.zarr", LABELS, **keywords)


def test_reading_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"a\.zarr cannot be read: there is no OME-Zarr"):
        read_ome_zarr(tmp_path / "a.zarr")


def test_an_image_without_labels(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr", 3)
    with pytest.raises(ExportError, match="it has no labels"):
        read_ome_zarr(tmp_path / "a.zarr")


def test_ome_zarr_s_own_reader_finds_them(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", LABELS)
    reader = library("ome_zarr.reader", "tests")
    location = library("ome_zarr.io", "tests").parse_url(str(tmp_path / "a.zarr/labels/labels"))
    (node,) = list(reader.Reader(location)())
    assert np.asarray(node.data[0]).tolist() == LABELS.tolist()
