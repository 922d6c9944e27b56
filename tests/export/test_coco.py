"""COCO JSON, as pycocotools understands it."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given

from label_images import CASES, folder, label_images
from napari_pvpu.errors import ExportError
from napari_pvpu.export import ObjectDetails, read_coco, write_coco

if TYPE_CHECKING:
    from pathlib import Path

RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint16)


def written(labels, path: Path, **about: Any) -> dict[str, Any]:
    write_coco(path, np.asarray(labels), **about)
    return json.loads(path.read_text())


def masks_of_pycocotools(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Count, for each pixel, what its annotations say; the labels' sum is the label image."""
    from pycocotools import mask as coder
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO(path)
    labels = np.zeros(shape, np.int64)
    for annotation in data.loadAnns(data.getAnnIds()):
        runs = data.annToRLE(annotation)
        mask = coder.decode(runs)
        if isinstance(annotation["segmentation"], dict):
            counts = coder.encode(np.asfortranarray(mask))["counts"]
            assert annotation["segmentation"]["counts"] == counts.decode()
        assert annotation["area"] == mask.sum() == coder.area(runs)
        assert annotation["bbox"] == coder.toBbox(runs).tolist()
        labels += annotation["label"] * mask.astype(np.int64)
    return labels


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # its decoder's
@pytest.mark.parametrize("segmentation", ["polygons", "rle"])
def test_pycocotools_finds_the_same_pixels(segmentation) -> None:
    @given(label_images())
    def same(labels: np.ndarray) -> None:
        with folder() as at:
            write_coco(at / "a.json", labels, segmentation=segmentation)
            assert np.array_equal(masks_of_pycocotools(at / "a.json", labels.shape), labels)

    same()
    for case in CASES.values():
        same.hypothesis.inner_test(np.array(case, np.uint32))


def test_fields(tmp_path: Path) -> None:
    labels = np.array([[0, 4, 4], [9, 0, 0]])
    about = {"objects": {9: ObjectDetails(0.5, 2, "cell")}, "name": "a.png", "scale": 0.5}
    assert written(labels, tmp_path / "a.json", units="um", **about) == {
        "info": {"description": "Labels written by napari-pvpu", "version": "1.0"},
        "licenses": [],
        "images": [
            {"id": 1, "file_name": "a.png", "width": 3, "height": 2, "scale": [0.5, 0.5],
             "units": ["micrometer", "micrometer"]},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 2, "area": 2, "bbox": [1, 0, 2, 1],
             "iscrowd": 0, "label": 4, "segmentation": [[1, 0, 3, 0, 3, 1, 1, 1]]},
            {"id": 2, "image_id": 1, "category_id": 1, "area": 1, "bbox": [0, 1, 1, 1],
             "iscrowd": 0, "label": 9, "segmentation": [[0, 1, 1, 1, 1, 2, 0, 2]], "score": 0.5,
             "prompts": 2},
        ],
        "categories": [
            {"id": 1, "name": "cell", "supercategory": ""},
            {"id": 2, "name": "object", "supercategory": ""},
        ],
    }  # fmt: skip


def test_a_hole_is_cut_open(tmp_path: Path) -> None:
    (annotation,) = written(RING, tmp_path / "a.json")["annotations"]
    assert annotation["segmentation"] == [
        [0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 2, 2, 2, 3, 0, 3],
        [2, 0, 3, 0, 3, 3, 2, 3],
    ]


def test_run_lengths_are_one_piece(tmp_path: Path) -> None:
    (annotation,) = written(RING, tmp_path / "a.json", segmentation="rle")["annotations"]
    assert annotation["segmentation"] == {"size": [3, 3], "counts": "0410"}


def test_every_plane_is_an_image(tmp_path: Path) -> None:
    document = written(np.array([[[1]], [[1]]]), tmp_path / "a.json", axes="TYX")
    assert [image["plane"] for image in document["images"]] == [{"t": 0}, {"t": 1}]
    ids = [(entry["id"], entry["image_id"], entry["label"]) for entry in document["annotations"]]
    assert ids == [(1, 1, 1), (2, 2, 1)]


def others(path: Path, **changes: Any) -> Path:
    document = {
        "images": [{"id": 30, "file_name": "x.jpg", "width": 3, "height": 2}],
        "annotations": [
            {"id": 5, "image_id": 30, "segmentation": {"size": [2, 3], "counts": [2, 2, 2]}},
            {"id": 8, "image_id": 30, "segmentation": [[1.9, -1, 4, -1, 4, 1.2, 1.9, 1.2]]},
        ],
    } | changes
    path.write_text(json.dumps(document))
    return path


def test_a_file_of_others(tmp_path: Path) -> None:
    found = read_coco(others(tmp_path / "a.json"))
    assert found.labels.tolist() == [[0, 5, 8], [0, 5, 0]]
    assert (found.name, found.objects) == ("x.jpg", {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": [{"id": 1, "image_id": 9, "segmentation": []}]}, "does not fit"),
        (
            {"annotations": [{"id": 1, "image_id": 30,
                              "segmentation": {"size": [2, 3], "counts": [2, 2]}}]},
            "does not fit",
        ),
        ({"images": [{"id": 1}]}, "no COCO JSON"),
        ({"images": []}, "0 sizes"),
        (
            {"images": [{"id": 1, "width": 3, "height": 2}, {"id": 2, "width": 3, "height": 3}]},
            "2 sizes",
        ),
    ],
    ids=["unknown image", "runs too short", "no size", "no image", "images of two sizes"],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named(changes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"a\.json cannot be read: .*{message}"):
        read_coco(others(tmp_path / "a.json", **changes))


def test_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"1 images of \(2, 3\), which is not \(3, 3\)"):
        read_coco(others(tmp_path / "a.json"), (3, 3))


def test_unknown_kind_of_segmentation(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="'masks' is neither"):
        write_coco(tmp_path / "a.json", RING, segmentation="masks")  # type: ignore[arg-type]
