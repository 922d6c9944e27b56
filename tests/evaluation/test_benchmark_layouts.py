"""Tiny made-up folders in the formats of the published benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.benchmark_layouts import LAYOUTS, BenchmarkFolder, open_dataset
from napari_pvpu.evaluation.dataset import MaskFolder, ObjectRef

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 16)


def square(row: int, col: int, side: int = 4) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[row : row + side, col : col + side] = True
    return mask


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(path)


def write_mask(path: Path, values: np.ndarray, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values.astype(np.uint8))
    if palette:
        picture.putpalette([(7 * i) % 256 for i in range(768)])
    picture.save(path)


def trimap() -> np.ndarray:
    """An object with a rim of one pixel that is not scored, and 64 as another background."""
    values = np.where(square(2, 2, 6), 128, 0)
    values[square(3, 3)] = 255
    values[0, :] = 64
    return values


def grabcut(root: Path) -> Path:
    write_image(root / "data_GT" / "banana1.bmp")
    write_mask(root / "boundary_GT" / "banana1.bmp", trimap())
    return root


def berkeley(root: Path) -> Path:
    values = np.where(trimap() == 64, 0, trimap())
    write_image(root / "images" / "101.jpg")
    write_mask(root / "masks" / "101.png", np.repeat(values[..., None], 3, axis=2))
    write_image(root / "images" / "102.jpg")
    write_mask(root / "masks" / "102.png", values)
    return root


def davis(root: Path) -> Path:
    write_image(root / "img" / "bear_01.jpg")
    colour = np.zeros((*SHAPE, 3))
    colour[square(1, 1), 0] = 128
    colour[square(7, 9), 2] = 3
    write_mask(root / "gt" / "bear_01.png", colour)
    return root


def sbd(root: Path) -> Path:
    labels = square(1, 1) + 2 * square(6, 8, 5).astype(np.uint8)
    for name in ("2008_000002", "2008_000003"):
        write_image(root / "img" / f"{name}.jpg")
        (root / "inst").mkdir(exist_ok=True)
        content = {"Segmentation": labels, "Boundaries": np.zeros(3), "Categories": np.ones(2)}
        savemat(root / "inst" / f"{name}.mat", {"GTinst": content})
    (root / "val.txt").write_text("2008_000003\n")
    (root / "train.txt").write_text("2008_000002\n\n")
    return root


def voc(root: Path, kind: str = "palette") -> Path:
    labels = square(1, 1) + 2 * square(6, 8, 5).astype(np.uint8)
    labels[0, :] = 255
    if kind == "colour":
        colours = np.zeros((256, 3), np.uint8)
        colours[[1, 2, 255]] = [(128, 0, 0), (0, 128, 0), (224, 224, 192)]
        labels = colours[labels]
    if kind == "grey":
        labels = np.where(labels == 255, 220, labels * 30)
    write_image(root / "JPEGImages" / "2007_000033.jpg")
    write_image(root / "JPEGImages" / "2007_000999.jpg")  # not in any list
    write_mask(root / "SegmentationObject" / "2007_000033.png", labels, kind == "palette")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000033\n")
    return root


def test_grabcut(tmp_path: Path) -> None:
    folder = open_dataset(grabcut(tmp_path))
    (sample,) = folder
    assert isinstance(folder, BenchmarkFolder)
    np.testing.assert_array_equal(sample.labels, square(3, 3))
    np.testing.assert_array_equal(~sample.valid, square(2, 2, 6) & ~square(3, 3))
    assert sample.image.shape == (*SHAPE, 3)
    assert folder.objects(0) == (ObjectRef(0, 1, 16),)


def test_berkeley_in_colour_and_grey(tmp_path: Path) -> None:
    folder = open_dataset(berkeley(tmp_path))
    assert isinstance(folder, BenchmarkFolder)
    assert [sample.stem for sample in folder] == ["101", "102"]
    for sample in folder:
        np.testing.assert_array_equal(sample.labels, square(3, 3))
        np.testing.assert_array_equal(~sample.valid, square(2, 2, 6) & ~square(3, 3))


@pytest.mark.parametrize("values", [(0, 1), (0, 1, 2), (0, 128), (0, 254, 255)])
def test_label_images_are_no_berkeley(tmp_path: Path, values: tuple[int, ...]) -> None:
    labels = np.resize(np.repeat(values, 5), SHAPE)
    write_image(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "a.png", labels)
    folder = open_dataset(tmp_path)
    assert type(folder) is MaskFolder
    np.testing.assert_array_equal(folder[0].labels, labels)


def test_a_folder_with_ignore_masks_is_no_berkeley(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    for name in ("masks", "ignore"):
        write_mask(tmp_path / name / "a.png", np.where(square(2, 2), 255, 0))
    assert type(open_dataset(tmp_path)) is MaskFolder


def test_the_layout_may_be_named(tmp_path: Path) -> None:
    labels = np.where(square(2, 2), 128, np.where(square(7, 7), 255, 0))
    write_image(tmp_path / "images" / "a.png")
    write_mask(tmp_path / "masks" / "a.png", labels)
    plain = open_dataset(tmp_path, layout="folder")
    assert [ref.label for ref in plain.objects(0)] == [128, 255]
    assert [ref.label for ref in open_dataset(tmp_path, layout="berkeley").objects(0)] == [1]


def test_davis(tmp_path: Path) -> None:
    (sample,) = open_dataset(davis(tmp_path))
    np.testing.assert_array_equal(sample.labels, square(1, 1) | square(7, 9))
    assert sample.valid.all()


@pytest.mark.parametrize(("split", "name"), [("val", "2008_000003"), ("train", "2008_000002")])
def test_sbd(tmp_path: Path, split: str, name: str) -> None:
    folder = open_dataset(sbd(tmp_path), split=split, min_area=17)
    (sample,) = folder
    assert sample.stem == name
    np.testing.assert_array_equal(sample.labels, square(1, 1) + 2 * square(6, 8, 5))
    assert folder.objects(0) == (ObjectRef(0, 2, 25),)


@pytest.mark.parametrize("kind", ["palette", "colour", "grey"])
def test_voc_borders_are_not_scored(tmp_path: Path, kind: str) -> None:
    folder = open_dataset(voc(tmp_path, kind))
    (sample,) = folder
    assert not sample.valid[0].any()
    assert sample.valid[1:].all()
    one, two = np.unique(sample.labels)[1:]
    truth = {square(1, 1).tobytes(), square(6, 8, 5).tobytes()}
    assert {(sample.labels == label).tobytes() for label in (one, two)} == truth
    assert sorted(ref.area for ref in folder.objects(0)) == [16, 25]


@pytest.mark.parametrize(
    ("make", "inner"), [(sbd, "dataset"), (voc, "VOCdevkit/VOC2012"), (voc, "VOC2012")]
)
def test_the_folder_that_an_archive_unpacks_to(tmp_path: Path, make, inner: str) -> None:
    (tmp_path / inner).mkdir(parents=True)
    make(tmp_path / inner)
    assert open_dataset(tmp_path).root == tmp_path / inner
    assert len(open_dataset(tmp_path, layout=make.__name__)) == 1


def test_an_unknown_layout_says_what_is_known_and_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError) as error:
        open_dataset(tmp_path)
    text = str(error.value)
    assert "it holds notes.txt, pictures/" in text
    for name in ("folder", *LAYOUTS):
        assert f"{name}: " in text
    assert "sbd: img/ + inst/ + SPLIT.txt" in text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "inst/2008_000003.mat").unlink(), "has no mask in inst/"),
        (lambda root: (root / "img/2008_000003.jpg").unlink(), "is listed but not in img/"),
        (lambda root: (root / "val.txt").unlink(), r"the lists there are \['train'\]"),
        (lambda root: (root / "val.txt").write_text("\n"), "names no image"),
        (lambda root: (root / "inst/2008_000003.mat").write_bytes(b"x" * 999), "SBD annotation"),
    ],
    ids=["mask", "image", "list", "empty-list", "damaged"],
)
def test_what_is_missing_is_named(tmp_path: Path, spoil, message: str) -> None:
    spoil(sbd(tmp_path))
    with pytest.raises(DatasetError, match=message):
        list(open_dataset(tmp_path))


def test_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder; known layouts are"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no layout 'imagenet'; use auto, folder, grabcut"):
        open_dataset(tmp_path, layout="imagenet")
    with pytest.raises(DatasetError, match="has no folder img/"):
        open_dataset(tmp_path, layout="davis")


def test_image_and_mask_of_different_sizes(tmp_path: Path) -> None:
    davis(tmp_path)
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(tmp_path / "img" / "bear_01.jpg")
    with pytest.raises(DatasetError, match=r"has shape \(5, 6, 3\) but its mask has \(12, 16\)"):
        list(open_dataset(tmp_path))
