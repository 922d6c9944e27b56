"""Tests of tracks, and of their formats: napari_pvpu.export.tracks, ctc and geff."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_pvpu.errors import ExportError
from napari_pvpu.export.track_formats import export_tracks
from napari_pvpu.export.tracks import Track, TrackFinder, find_tracks
from napari_pvpu.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def movie() -> np.ndarray:
    """Object 1 divides into 2 and 3 after frame 1; object 5 is missing in frame 2."""
    labels = np.zeros((5, 6, 8), np.uint16)
    labels[:2, 1:3, 1:5] = 1
    labels[2:, 0:2, 1:3] = 2
    labels[2:4, 3:5, 3:5] = 3
    labels[[0, 1, 3, 4], 5, 7] = 5
    return labels


PARENTS = {2: 1, 3: 1}


def test_label_is_a_track_and_a_gap_cuts_it(movie: np.ndarray) -> None:
    tracks = find_tracks(movie, PARENTS)
    assert tracks.tracks == (
        Track(1, 1, 0, 1, 0),
        Track(2, 2, 2, 4, 1),
        Track(3, 3, 2, 3, 1),
        Track(5, 5, 0, 1, 0),
        Track(6, 5, 3, 4, 5),
    )
    first = tracks.spots[0]
    assert (first.frame, first.label, first.center, first.size) == (0, 1, (1.5, 2.5), 8)


def test_object_of_several_planes_has_one_centre() -> None:
    labels = np.zeros((2, 3, 4, 4), np.uint8)
    labels[0, 0, 1, 1] = labels[0, 1, 1, 1] = labels[0, 2, 1, 3] = labels[0, 2, 3, 1] = 7
    (spot,) = find_tracks(labels, axes="TZYX").spots
    assert spot.center == (1.25, 1.5, 1.5)
    assert spot.size == 4


@pytest.mark.parametrize(
    ("labels", "parents", "axes", "words"),
    [
        pytest.param(np.ones((2, 3, 3), np.uint8), {}, "ZYX", "time axis", id="no time"),
        pytest.param(
            np.array([[[1, 2]], [[1, 2]]], np.uint8), {2: 1}, "TYX", "division", id="both at once"
        ),
    ],
)
def test_what_makes_no_tracks_is_told(labels, parents, axes, words) -> None:
    with pytest.raises(ExportError, match=words):
        find_tracks(labels, parents, axes=axes)


def test_challenge_reads_masks_and_a_table(movie: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "01_RES"
    export_tracks(folder, movie, PARENTS)
    assert (folder / "res_track.txt").read_text() == (
        "1 0 1 0\n2 2 4 1\n3 2 3 1\n5 0 1 0\n6 3 4 5\n"
    )
    masks = [tifffile.imread(folder / f"mask{frame:03}.tif") for frame in range(5)]
    assert masks[0].dtype == np.uint16
    np.testing.assert_array_equal(masks[2], movie[2])
    assert masks[3][5, 7] == 6
    assert sorted(each.name for each in folder.iterdir())[-1] == "res_track.txt"


def test_challenge_has_no_larger_numbers(tmp_path: Path) -> None:
    labels = np.full((2, 2, 2), 70_000, np.uint32)
    with pytest.raises(ExportError, match="65535"):
        export_tracks(tmp_path / "01_RES", labels)
    assert not (tmp_path / "01_RES").exists()


def test_geff_holds_nodes_and_edges(movie: np.ndarray, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    path = tmp_path / "cells.geff"
    export_tracks(path, movie, PARENTS, scale=(30, 0.5, 0.25), units=("second", "µm", "µm"))
    group = zarr.open_group(str(path), mode="r")
    about = json.loads((path / ".zattrs").read_text())["geff"]
    assert [(axis["name"], axis["unit"]) for axis in about["axes"]] == [
        ("t", "second"), ("y", "micrometer"), ("x", "micrometer"),
    ]  # fmt: skip
    props = {name: group[f"nodes/props/{name}/values"][:] for name in about["node_props_metadata"]}
    np.testing.assert_array_equal(props["t"][:3], [0, 0, 30])
    np.testing.assert_allclose([props["y"][0], props["x"][0]], [0.75, 0.625])
    named = list(zip(props["t"] / 30, props["label"], strict=True))
    edges = {
        tuple((int(f), int(label)) for f, label in (named[one], named[two]))
        for one, two in group["edges/ids"][:]
    }
    assert edges == {
        ((0, 1), (1, 1)), ((1, 1), (2, 2)), ((1, 1), (2, 3)), ((2, 2), (3, 2)), ((3, 2), (4, 2)),
        ((2, 3), (3, 3)), ((0, 5), (1, 5)), ((1, 5), (3, 5)), ((3, 5), (4, 5)),
    }  # fmt: skip


def test_geff_of_no_object_is_empty(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    export_tracks(tmp_path / "none.geff", np.zeros((3, 4, 4), np.uint8))
    group = zarr.open_group(str(tmp_path / "none.geff"), mode="r")
    assert group["nodes/ids"].shape == (0,)
    assert group["edges/ids"].shape == (0, 2)


def test_geff_is_what_its_own_package_reads(movie: np.ndarray, tmp_path: Path) -> None:
    geff = pytest.importorskip("geff", reason="pip install geff")
    path = tmp_path / "cells.geff"
    export_tracks(path, movie, PARENTS)
    geff.validate_structure(path)
    graph, metadata = geff.read(path, backend="networkx")
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (11, 9)
    assert metadata.directed


@pytest.mark.parametrize("name", ["tracks.txt", "tracks"])
def test_name_that_tells_nothing_is_refused(movie: np.ndarray, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match=r"\.geff"):
        export_tracks(tmp_path / name, movie)


def sparse(labels: np.ndarray, shape: tuple[int, ...], row: int, col: int) -> SparseLabels:
    """Return labels put into larger ones, from a row and a column on."""
    found = SparseLabels(shape, labels.dtype)
    height, width = labels.shape[-2:]
    found[..., row : row + height, col : col + width] = labels
    return found


def test_tracks_of_sparse_labels_are_those_of_an_array(movie: np.ndarray, tmp_path: Path) -> None:
    labels = sparse(movie, (5, 600, 700), 253, 509)  # over the borders of tiles
    found, known = find_tracks(labels, PARENTS), find_tracks(labels[...], PARENTS)
    assert found.tracks == known.tracks
    assert found.spots == known.spots
    for name, tracks in (("one_RES", found), ("two_RES", known)):
        export_tracks(tmp_path / name, tracks)
    names = sorted(each.name for each in (tmp_path / "one_RES").iterdir())
    assert names == sorted(each.name for each in (tmp_path / "two_RES").iterdir())
    for name in names[:-1]:
        one, two = (tifffile.imread(tmp_path / each / name) for each in ("one_RES", "two_RES"))
        assert one.dtype == np.uint16
        np.testing.assert_array_equal(one, two)


def test_stacks_of_sparse_labels_are_written_as_stacks(tmp_path: Path) -> None:
    labels = SparseLabels((2, 3, 300, 40))
    labels[:, 1:, 250:260, 3:5] = 4
    export_tracks(tmp_path / "01_RES", labels, axes="TZYX")
    for frame in range(2):
        masks = tifffile.imread(tmp_path / "01_RES" / f"mask{frame:03}.tif")
        np.testing.assert_array_equal(masks, labels[frame])


def test_tracks_of_a_huge_movie_take_little_memory(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    labels = SparseLabels((3, 20_000, 20_000))  # a frame is too large for an array
    labels[:2, 10:20, 5:15] = 1
    labels[:2, 19_000:19_010, 18_000:18_010] = 1  # the same object, far off
    labels[2, 12_000:12_020, 7:17] = 2
    tracemalloc.start()
    tracks = find_tracks(labels, {2: 1})
    export_tracks(tmp_path / "01_RES", tracks)
    export_tracks(tmp_path / "cells.geff", tracks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert tracks.tracks == (Track(1, 1, 0, 1, 0), Track(2, 2, 2, 2, 1))
    assert (tracks.spots[0].center, tracks.spots[0].size) == ((9509.5, 9007.0), 200)
    with tifffile.TiffFile(tmp_path / "01_RES" / "mask000.tif") as file:
        page, strip = file.pages[0], 19_005 // 256
        assert page.shape == (20_000, 20_000)
        file.filehandle.seek(page.dataoffsets[strip])
        part = zlib.decompress(file.filehandle.read(page.databytecounts[strip]))
    rows = np.frombuffer(part, np.uint16).reshape(256, 20_000)
    assert rows[19_005 % 256, 18_005] == 1
    assert np.count_nonzero(rows) == 100


def test_tracks_found_again_read_only_planes_that_have_changed(movie: np.ndarray) -> None:
    finder = TrackFinder()
    about = {"axes": "TCYX"}
    found = finder.find(movie[:, None], PARENTS, **about)
    assert found.tracks == find_tracks(movie, PARENTS).tracks
    movie[2, 5, 7] = 5
    movie[0] = 0
    again = finder.find(movie[:, None], PARENTS, changed=[(2, 0)], **about)
    assert again.tracks[-1] == Track(5, 5, 0, 4, 0), "frame 0 has not been looked at"
    again = finder.find(movie[:, None], PARENTS, changed=[(0, 0)], **about)
    assert again.spots == find_tracks(movie).spots
