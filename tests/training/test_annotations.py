"""Tiny made-up annotation files in the published formats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from napari_pvpu.errors import DatasetError
from napari_pvpu.training import annotations
from napari_pvpu.training.annotations import load_sources, read_annotations
from napari_pvpu.training.datasets import Atlas

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (20, 30)
SQUARE = [[2, 3, 10, 3, 10, 11, 2, 11]]  # columns 2 to 9, rows 3 to 10


def square(row: int, col: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[row : row + height, col : col + width] = True
    return mask


def rle(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths counted one pixel at a time, down the columns."""
    runs, value = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != value:
            runs.append(0)
            value = not value
        runs[-1] += 1
    return {"size": list(mask.shape), "counts": runs}


def write_images(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(folder / name)
    return folder


def image(number: int, name: str = "", **more) -> dict[str, Any]:
    name = name or f"{number:012d}.jpg"
    return {"id": number, "file_name": name, "height": SHAPE[0], "width": SHAPE[1], **more}


def annotation(number: int, segmentation: Any, of: int = 1, **more) -> dict[str, Any]:
    return {"id": number, "image_id": of, "category_id": 3, "segmentation": segmentation, **more}


def write(path: Path, images: list, rows: list, **more) -> Path:
    path.write_text(json.dumps({"images": images, "annotations": rows, **more}))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "val2017", "000000000001.jpg", "000000000002.jpg")


def test_coco_instances(folder: Path, tmp_path: Path) -> None:
    rows = [
        annotation(11, SQUARE),
        annotation(12, rle(square(12, 15, 6, 10))),
        # A crowd over everything is background.
        annotation(13, {"size": list(SHAPE), "counts": [0, 600]}, iscrowd=1),
        annotation(14, SQUARE, of=2),
    ]
    file = write(tmp_path / "instances.json", [image(1), image(2), image(3)], rows)
    one, two = read_annotations([file], folder)
    assert one[0].shape == (*SHAPE, 3)
    expected = 1 * square(3, 2, 8, 8) + 2 * square(12, 15, 6, 10)
    np.testing.assert_array_equal(one[1], expected)
    assert one[1].dtype == np.uint16
    assert one[2] == two[2] == "instances"
    np.testing.assert_array_equal(two[1], square(3, 2, 8, 8))


def test_smaller_objects_are_on_top_whatever_the_order(folder: Path, tmp_path: Path) -> None:
    masks = [square(4, 4, 3, 3), square(2, 2, 15, 20), square(3, 3, 8, 8)]
    rows = [annotation(i, rle(mask)) for i, mask in enumerate(masks)]
    file = write(tmp_path / "instances.json", [image(1)], rows)
    ((_, labels, _),) = read_annotations([file], folder)
    expected = np.zeros(SHAPE)
    for label, mask in enumerate((masks[1], masks[2], masks[0]), start=1):
        expected[mask] = label
    np.testing.assert_array_equal(labels, expected)


def test_small_objects_are_left_out_and_so_are_images_without_others(
    folder: Path, tmp_path: Path
) -> None:
    rows = [annotation(1, SQUARE), annotation(2, rle(square(15, 20, 2, 3)))]
    rows += [annotation(3, rle(square(15, 20, 2, 3)), of=2)]
    file = write(tmp_path / "instances.json", [image(1), image(2)], rows)
    ((_, labels, _),) = read_annotations([file], folder, min_area=7)
    np.testing.assert_array_equal(labels, square(3, 2, 8, 8))
    assert len(list(read_annotations([file], folder, min_area=6))) == 2


def test_lvis_finds_images_by_their_address(folder: Path, tmp_path: Path) -> None:
    row = {"id": 7, "height": SHAPE[0], "width": SHAPE[1], "license": 1}
    row["coco_url"] = "http://images.cocodataset.org/val2017/000000000002.jpg"
    file = write(tmp_path / "lvis.json", [row], [annotation(5, SQUARE, of=7)])
    for place in (folder, folder.parent):
        ((_, labels, group),) = read_annotations([file], place)
        np.testing.assert_array_equal(labels, square(3, 2, 8, 8))
        assert group == "lvis"


def test_images_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    write_images(tmp_path, "a/1.png", "b/1.png")
    rows = [annotation(1, SQUARE), annotation(2, rle(square(12, 15, 6, 10)), of=2)]
    file = write(tmp_path / "own.json", [image(1, "a/1.png"), image(2, "b/1.png")], rows)
    one, two = read_annotations([file], tmp_path)
    np.testing.assert_array_equal(one[1], square(3, 2, 8, 8))
    np.testing.assert_array_equal(two[1], square(12, 15, 6, 10))


def test_what_two_files_say_of_an_image_is_joined(folder: Path, tmp_path: Path) -> None:
    lvis = write(tmp_path / "lvis.json", [image(1)], [annotation(1, rle(square(3, 2, 8, 8)))])
    rows = [
        annotation(1, rle(square(3, 2, 8, 7))),  # IoU 7/8 with the one of LVIS: the same object
        annotation(2, rle(square(3, 2, 8, 6))),  # IoU 3/4: another
    ]
    coco = write(tmp_path / "coco.json", [image(1)], rows)
    ((_, labels, group),) = read_annotations([lvis, coco], folder)
    np.testing.assert_array_equal(labels, square(3, 2, 8, 8) + 1 * square(3, 2, 8, 6))
    assert group == "lvis+coco"
    # Within one file nothing is left out.
    ((_, labels, _),) = read_annotations([coco], folder)
    assert labels.max() == 2


@pytest.mark.parametrize(("stuff", "count"), [(False, 1), (True, 2)])
def test_coco_panoptic(folder: Path, tmp_path: Path, stuff: bool, count: int) -> None:
    ids = np.zeros(SHAPE, int)
    ids[square(3, 2, 8, 8)] = 70_000
    ids[square(12, 15, 6, 10)] = 300
    ids[square(0, 0, 2, 30)] = 9
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1)
    (tmp_path / "panoptic").mkdir()
    Image.fromarray(colours.astype(np.uint8)).save(tmp_path / "panoptic" / "1.png")
    segments = [
        {"id": 70_000, "category_id": 1},
        {"id": 300, "category_id": 100},
        {"id": 9, "category_id": 1, "iscrowd": 1},
    ]
    rows = [{"image_id": 1, "file_name": "1.png", "segments_info": segments}]
    categories = [{"id": 1, "isthing": 1}, {"id": 100, "isthing": 0}]
    file = write(tmp_path / "panoptic.json", [image(1)], rows, categories=categories)
    ((_, labels, _),) = read_annotations([file], folder, stuff=stuff)
    assert labels.max() == count
    thing = labels[5, 5]
    np.testing.assert_array_equal(labels == thing, square(3, 2, 8, 8))
    assert (labels[12:18, 15:25] > 0).all() == stuff
    assert not labels[:2].any()


def test_sbd_for_training_is_its_list_train(tmp_path: Path) -> None:
    write_images(tmp_path / "img", "a.jpg", "b.jpg")
    (tmp_path / "inst").mkdir()
    for name, mask in (("a", square(3, 2, 8, 8)), ("b", square(1, 1, 2, 2))):
        content = {"Segmentation": mask.astype(np.uint8)}
        savemat(tmp_path / "inst" / f"{name}.mat", {"GTinst": content})
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "val.txt").write_text("b\n")
    ((_, labels, group),) = load_sources([str(tmp_path)])
    np.testing.assert_array_equal(labels, square(3, 2, 8, 8))
    assert group == str(tmp_path)


def test_folders_and_files_make_one_atlas(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    for name, values in (("images", square(2, 2, 9, 9) * 200), ("masks", square(2, 2, 9, 9) * 4)):
        (plain / name).mkdir(parents=True)
        Image.fromarray(values.astype(np.uint8)).save(plain / name / "x.png")
    file = write(tmp_path / "instances.json", [image(1)], [annotation(1, SQUARE)])
    pairs = list(load_sources([file, plain], folder))
    assert [group for *_, group in pairs] == [str(plain), "instances"]
    atlas = Atlas(pairs)
    assert len(atlas) == 2
    assert sorted(atlas.object_label.tolist()) == [1, 4]


def test_more_objects_than_labels(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert annotations.MOST_OBJECTS == 32767
    monkeypatch.setattr(annotations, "MOST_OBJECTS", 2)
    rows = [annotation(i, rle(square(i, i, 2, 2))) for i in range(3)]
    file = write(tmp_path / "instances.json", [image(1)], rows)
    with pytest.raises(ValueError, match=r"000000000001.jpg has 3 objects; at most 2 fit"):
        list(read_annotations([file], folder))


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4, 5, 6, 7]], "x, y in turn"),
        ([[1, 2, 3, 4, 5, float("nan")]], "finite"),
        ([["a", 2, 3, 4, 5, 6]], "could not convert"),
        ({"counts": [1, 2]}, "'size'"),
        ({"size": [20, 30], "counts": [1, 2]}, "3 pixels for a mask of 20 x 30"),
        ({"size": [20, 30], "counts": [601, -1]}, "600 pixels"),
        ({"size": [20, 30], "counts": "~~~"}, "character '~'"),
        ({"size": [20, 30], "counts": "0P"}, "middle of a number"),
        ({"size": [2, 3], "counts": [6]}, r"mask of \(2, 3\) for an image of \(20, 30\)"),
        (7, "not subscriptable"),
    ],
    ids=["odd", "nan", "text", "size", "short", "negative", "sign", "cut-off", "shape", "number"],
)
def test_damaged_segmentations_name_their_annotation(
    folder: Path, tmp_path: Path, segmentation, message: str
) -> None:
    file = write(tmp_path / "instances.json", [image(1)], [annotation(42, segmentation)])
    with pytest.raises(DatasetError, match=rf"000000000001.jpg: annotation 42 .*{message}"):
        list(read_annotations([file], folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no lists 'images' and 'annotations'"),
        ('{"images": []}', "COCO panoptic files are read"),
        ('{"images": [], "annotations": []}', "no object with a segmentation"),
        ('{"images": [{"id": 1}], "annotations": []}', "an image without id, height"),
        ('{"images": [], "annotations": [{"image_id": 5}]}', "an annotation of no image"),
    ],
    ids=["json", "list", "half", "empty", "image", "orphan"],
)
def test_wrong_files_are_refused_at_once(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_annotations([tmp_path / "x.json"], tmp_path)
    with pytest.raises(DatasetError, match=message):
        load_sources([tmp_path / "x.json"], tmp_path)


def test_missing_images_are_listed_at_once(folder: Path, tmp_path: Path) -> None:
    rows = [annotation(i, SQUARE, of=i) for i in (1, 8, 9)]
    file = write(tmp_path / "instances.json", [image(1), image(8), image(9)], rows)
    with pytest.raises(DatasetError, match=r"lacks 2 of 3 annotated images: 000000000008.jpg, 0"):
        read_annotations([file], folder)


def test_an_image_of_another_size(folder: Path, tmp_path: Path) -> None:
    wide = image(1) | {"width": 31}
    file = write(tmp_path / "instances.json", [wide], [annotation(1, SQUARE)])
    with pytest.raises(DatasetError, match=r"is of \(20, 30\) pixels .* say \(20, 31\)"):
        list(read_annotations([file], folder))
    other = write(tmp_path / "other.json", [image(1)], [annotation(1, SQUARE)])
    with pytest.raises(DatasetError, match=r"other.json says that 000000000001.jpg has \(20, 30\)"):
        read_annotations([file, other], folder)


def test_files_need_the_folder_of_their_images(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="give --images DIR"):
        load_sources([tmp_path / "x.json"])
