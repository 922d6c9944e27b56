"""ImageJ ROIs: what ImageJ would find in them, and those that it wrote."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import roifile
from roifile import ROI_TYPE, ImagejRoi

from napari_pvpu.errors import ExportError
from napari_pvpu.export import ObjectDetails, read_imagej_rois, write_imagej_rois

if TYPE_CHECKING:
    from pathlib import Path


def written(labels, path: Path, **about) -> list[ImagejRoi]:
    write_imagej_rois(path, np.array(labels, np.uint32), **about)
    return roifile.roiread(path)


def test_an_object_of_one_part_is_a_traced_roi(tmp_path: Path) -> None:
    (roi,) = written([[0, 0, 0], [0, 7, 7], [0, 7, 0]], tmp_path / "a.zip")
    assert (roi.roitype, roi.name) == (ROI_TYPE.TRACED, "7")
    # Corners of pixels; the bounds are the corners', as in ImageJ (Roi.getBounds).
    assert (roi.left, roi.top, roi.right, roi.bottom) == (1, 1, 3, 3)
    assert roi.coordinates().tolist() == [[1, 1], [3, 1], [3, 2], [2, 2], [2, 3], [1, 3]]


def test_an_object_with_a_hole_is_a_composite(tmp_path: Path) -> None:
    labels = np.ones((3, 3), int)
    labels[1, 1] = 0
    (roi,) = written(labels, tmp_path / "a.zip")
    assert roi.roitype == ROI_TYPE.RECT  # composites are of this type, with a path
    assert roi.shape_roi_size == len(roi.multi_coordinates) == 2 * (4 * 3 + 1)
    assert roi.multi_coordinates.tolist() == [
        0, 0, 0, 1, 3, 0, 1, 3, 3, 1, 0, 3, 4,
        0, 1, 1, 1, 1, 2, 1, 2, 2, 1, 2, 1, 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "axes", "position", "name"),
    [
        pytest.param((3, 1, 1), "ZYX", (2, 0, 0), "7-z002", id="slice of a stack"),
        pytest.param((3, 1, 1), "TYX", (2, 0, 0), "7-t002", id="frame of a stack"),
        pytest.param((2, 3, 1, 1), "TZYX", (0, 3, 2), "7-t002-z003", id="hyperstack"),
    ],
)
def test_position_counts_from_one(shape, axes, position, name, tmp_path: Path) -> None:
    labels = np.zeros(shape, int)
    labels[(1,) if len(shape) == 3 else (1, 2)] = 7
    (roi,) = written(labels, tmp_path / "a.zip", axes=axes)
    assert (roi.position, roi.z_position, roi.t_position) == position
    assert roi.name == name
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == [f"{name}.roi"]


def test_label_and_score_are_properties(tmp_path: Path) -> None:
    (roi,) = written([[7]], tmp_path / "a.zip", objects={7: ObjectDetails(score=0.1)})
    assert roi.properties == {"label": 7, "score": 0.1}


def test_far_corners_are_written_as_floats(tmp_path: Path) -> None:
    """Beyond 60535, ImageJ takes 16-bit corners for negative ones."""
    labels = np.zeros((1, 70_000), np.uint16)
    labels[0, 60_000:60_100] = 1
    labels[0, 69_990:] = 2
    near, far = written(labels, tmp_path / "a.zip")
    assert (near.roitype, far.composite) == (ROI_TYPE.TRACED, True)
    assert np.array_equal(read_imagej_rois(tmp_path / "a.zip", labels.shape).labels, labels)


def roi(kind: ROI_TYPE, name: str = "", **fields) -> ImagejRoi:
    made = ImagejRoi(roitype=kind, name=name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


BOX = {"left": 1, "top": 0, "right": 3, "bottom": 2}


def test_rois_that_imagej_wrote(tmp_path: Path) -> None:
    triangle = ImagejRoi.frompoints([(0, 2), (4, 2), (0, 6)], name="0004-0002")
    half = ImagejRoi.frompoints([(3.4, 2.4), (5.6, 2.4), (5.6, 3.6), (3.4, 3.6)], name="x")
    rois = [roi(ROI_TYPE.RECT, "5", **BOX), triangle, half]
    roifile.roiwrite(tmp_path / "a.zip", rois)
    found = read_imagej_rois(tmp_path / "a.zip", (5, 5)).labels
    assert found.tolist() == [
        [0, 5, 5, 0, 0],
        [0, 5, 5, 0, 0],
        [6, 6, 6, 7, 7],  # names that are no label get free numbers
        [6, 6, 0, 7, 7],
        [6, 0, 0, 0, 0],
    ]


def test_a_single_roi_without_position_is_in_every_plane(tmp_path: Path) -> None:
    (tmp_path / "a.roi").write_bytes(roi(ROI_TYPE.RECT, "5", **BOX).tobytes())
    found = read_imagej_rois(tmp_path / "a.roi", (2, 2, 3)).labels
    assert found.tolist() == [[[0, 5, 5], [0, 5, 5]]] * 2


@pytest.mark.parametrize("kind", [ROI_TYPE.OVAL, ROI_TYPE.LINE, ROI_TYPE.POINT])
def test_what_has_no_exact_area_is_refused(kind: ROI_TYPE, tmp_path: Path) -> None:
    fields = {"integer_coordinates": np.zeros((1, 2), np.int32), "n_coordinates": 1}
    made = roi(kind, "cell", **BOX, **(fields if kind == ROI_TYPE.POINT else {}))
    roifile.roiwrite(tmp_path / "a.zip", [made])
    with pytest.raises(ExportError, match=rf"'cell' is of type {kind.name}"):
        read_imagej_rois(tmp_path / "a.zip", (5, 5))


@pytest.mark.parametrize("content", [None, b"Iout", b"PK\3\4"], ids=["missing", "short", "no zip"])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ExportError, match=r"a\.zip cannot be read"):
        read_imagej_rois(tmp_path / "a.zip", (5, 5))
