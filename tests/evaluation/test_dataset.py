from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.dataset import MaskFolder, ObjectRef, read_image, read_labels

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_images_labels_and_marks_all_valid(mask_folder: Path) -> None:
    grey, colour = MaskFolder(mask_folder)
    assert (grey.stem, colour.stem) == ("a", "b")
    assert grey.image.shape == grey.labels.shape == grey.valid.shape == (40, 60)
    assert colour.image.shape == (30, 30, 3)
    assert grey.labels.dtype == np.int32
    assert grey.valid.all()
    np.testing.assert_array_equal(colour.image[3, 3], [40, 40, 90])


def test_objects_have_at_least_the_minimal_area(mask_folder: Path) -> None:
    folder = MaskFolder(mask_folder, min_area=64)
    assert folder.objects(0) == (
        ObjectRef(0, 2, 64),
        ObjectRef(0, 3, 144),
        ObjectRef(0, 4, 256),
    )
    assert [ref.label for ref in folder.objects(1)] == [5, 9]


def test_ignored_pixels_are_not_valid_and_count_for_no_area(mask_folder: Path) -> None:
    (mask_folder / "ignore").mkdir()
    ignore = np.zeros((30, 30), np.uint8)
    ignore[:, :20] = 255
    Image.fromarray(ignore).save(mask_folder / "ignore" / "b.png")
    folder = MaskFolder(mask_folder, min_area=5)
    assert not folder[1].valid[:, :20].any()
    assert folder[1].valid[:, 20:].all()
    assert folder.objects(1) == (ObjectRef(1, 9, 50),)
    assert folder[0].valid.all()


def test_sampling_is_even_repeatable_and_nested(mask_folder: Path) -> None:
    folder = MaskFolder(mask_folder)
    four = folder.sample_objects(4, seed=3)
    assert Counter(ref.image for ref in four) == {0: 2, 1: 2}
    assert four == MaskFolder(mask_folder).sample_objects(4, seed=3)
    assert four == sorted(four)
    assert set(folder.sample_objects(2, seed=3)) < set(four)
    assert len(folder.sample_objects(None, seed=3)) == 6
    assert len(folder.sample_objects(100, seed=3)) == 6


def test_seeds_choose_differently(mask_folder: Path) -> None:
    folder = MaskFolder(mask_folder)
    chosen = {tuple(folder.sample_objects(2, seed=seed)) for seed in range(10)}
    assert len(chosen) > 3


def test_no_object_of_the_minimal_area(mask_folder: Path) -> None:
    with pytest.raises(DatasetError, match="no object of 1000 or more pixels"):
        MaskFolder(mask_folder, min_area=1000).sample_objects()


def test_missing_masks_and_wrong_sizes_are_all_listed(mask_folder: Path) -> None:
    Image.new("L", (5, 5)).save(mask_folder / "images" / "c.jpg")
    Image.new("L", (5, 5)).save(mask_folder / "images" / "d.png")
    Image.new("L", (5, 6)).save(mask_folder / "masks" / "d.png")
    with pytest.raises(DatasetError, match="2 problem") as caught:
        MaskFolder(mask_folder)
    assert "c.jpg has no mask" in str(caught.value)
    assert "d.png is (5, 5) but its mask is (6, 5)" in str(caught.value)


@pytest.mark.parametrize(
    ("remove", "message"),
    [("images", "no folder images/"), ("masks", "no folder masks/")],
    ids=["images", "masks"],
)
def test_missing_folders(mask_folder: Path, remove: str, message: str) -> None:
    (mask_folder / remove).rename(mask_folder / "elsewhere")
    with pytest.raises(DatasetError, match=message):
        MaskFolder(mask_folder)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        MaskFolder(tmp_path / "nowhere")


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DatasetError, match="holds no image"):
        MaskFolder(tmp_path)


def test_a_stem_may_stand_only_once(mask_folder: Path) -> None:
    Image.new("L", (60, 40)).save(mask_folder / "images" / "a.tif")
    with pytest.raises(DatasetError, match=r"both a\.png and a\.tif"):
        MaskFolder(mask_folder)


def test_a_damaged_file_is_reported(mask_folder: Path) -> None:
    (mask_folder / "images" / "a.png").write_bytes(b"no image at all")
    with pytest.raises(DatasetError, match=r"a\.png cannot be read as an image"):
        MaskFolder(mask_folder)


def test_tiff_with_leading_channels(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    image = np.arange(2 * 6 * 8, dtype=np.uint16).reshape(2, 6, 8)
    tifffile.imwrite(tmp_path / "images" / "x.tif", image, photometric="minisblack")
    labels = np.zeros((6, 8), np.uint16)
    labels[1:3, 1:3] = 700
    tifffile.imwrite(tmp_path / "masks" / "x.tiff", labels)
    (sample,) = MaskFolder(tmp_path)
    np.testing.assert_array_equal(sample.image, np.moveaxis(image, 0, -1))
    assert sample.labels.max() == 700


def test_tiff_stack_does_not_fit_a_flat_mask(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(
        tmp_path / "images" / "x.tif", np.zeros((2, 3, 6, 8), np.uint8), photometric="minisblack"
    )
    tifffile.imwrite(tmp_path / "masks" / "x.tif", np.ones((6, 8), np.uint8))
    with pytest.raises(DatasetError, match="its mask is"):
        MaskFolder(tmp_path)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("L", (4, 6)), ("LA", (4, 6)), ("RGB", (4, 6, 3)), ("RGBA", (4, 6, 3)), ("P", (4, 6, 3))],
)
def test_alpha_is_dropped_and_palettes_resolved(tmp_path: Path, mode, shape) -> None:
    Image.new(mode, (6, 4)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").shape == shape


def test_palette_masks_give_their_indices(tmp_path: Path) -> None:
    picture = Image.new("P", (3, 2), 2)
    picture.putpalette([0, 0, 0, 9, 9, 9, 200, 10, 10])
    picture.save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), np.full((2, 3), 2))


def test_colour_masks_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "x.png")
    with pytest.raises(DatasetError, match="single-channel label image"):
        read_labels(tmp_path / "x.png")
