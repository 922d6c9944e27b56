"""Folders with every mistake that people make, and what is said of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_pvpu.errors import PvpuError
from napari_pvpu.training.array_faults import array_faults
from napari_pvpu.training.data_check import CheckedSources, check_data
from napari_pvpu.training.data_report import (
    KINDS,
    BadDataError,
    DataReport,
    Problem,
    SourceCount,
)

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (32, 40)
PICTURE = np.tile(np.arange(40, dtype=np.uint8) * 5, (32, 1))
LABELS = np.zeros(SHAPE, np.uint16)
LABELS[4:14, 5:15] = 1
LABELS[18:28, 20:32] = 7
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)


def speck(value: int = 1, side: int = 3) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint16)
    mask[2 : 2 + side, 2 : 2 + side] = value
    return mask


def add(root: Path, stem: str, image=PICTURE, mask=LABELS, suffix: str = ".png") -> None:
    for name, array in (("images", image), ("masks", mask)):
        (root / name).mkdir(parents=True, exist_ok=True)
        if array is None:
            continue
        file = root / name / f"{stem}{suffix}"
        if suffix == ".tif":
            tifffile.imwrite(file, array)
        else:
            Image.fromarray(array).save(file)


def found(report: DataReport) -> list[tuple[str, str]]:
    """Kind and file name of each problem."""
    return [(p.kind, p.file.replace("\\", "/").rsplit("/", 1)[-1]) for p in report.problems]


def test_a_folder_in_order(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b", np.stack([PICTURE] * 3, -1))
    report = check_data([tmp_path])
    assert report.ok
    assert report.counts == {str(tmp_path): SourceCount(images=2, usable=2, objects=4)}
    assert "no problem was found" in report.text()


def every_mistake(root: Path) -> list[tuple[str, str]]:
    """Make a folder with one good image and all sorts of bad ones; return what is wrong."""
    add(root, "good")
    add(root, "bare", mask=None)
    add(root, "lonely", image=None)
    add(root, "narrow", image=PICTURE[:, :30])
    add(root, "empty", mask=np.zeros(SHAPE, np.uint8))
    add(root, "specks", mask=speck())
    add(root, "constant", image=np.full(SHAPE, 9, np.uint8))
    add(root, "large", mask=speck(40_000, 8))
    add(root, "photo", mask=PHOTOGRAPH)
    add(root, "colours", mask=np.stack([PHOTOGRAPH] * 3, -1))
    add(root, "nan", image=np.where(LABELS == 1, np.nan, PICTURE).astype("f4"), suffix=".tif")
    add(root, "cut")
    cut = root / "images" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:-60])
    add(root, "torn")
    (root / "masks" / "torn.png").write_bytes(b"not an image")
    add(root, "twice")
    add(root, "twice", mask=None, suffix=".tif")
    return [
        ("constant", "constant.png"),
        ("duplicate", "twice.png"),
        ("empty", "empty.png"),
        ("image", "cut.png"),
        ("labels", "large.png"),
        ("mask", "colours.png"),
        ("mask", "torn.png"),
        ("no image", "lonely.png"),
        ("no mask", "bare.png"),
        ("not finite", "nan.tif"),
        ("photograph", "photo.png"),
        ("size", "narrow.png"),
        ("small", "specks.png"),
    ]


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    expected = every_mistake(tmp_path)
    report = check_data([tmp_path])
    assert sorted(found(report)) == expected
    assert not report.ok
    # No mistakes: they show no object, and are passed over.
    assert {p.kind for p in report.problems} - {p.kind for p in report.mistakes} == {
        "empty",
        "small",
    }
    assert report.counts[str(tmp_path)] == SourceCount(images=13, usable=1, objects=2)


def test_one_source_hides_no_mistake_in_another(tmp_path: Path) -> None:
    add(tmp_path / "one", "bare", mask=None)
    add(tmp_path / "one", "a")
    (tmp_path / "two").mkdir()
    add(tmp_path / "three", "a")
    row = {"id": 1, "file_name": "nowhere.png", "height": 32, "width": 40}
    square = {"id": 1, "image_id": 1, "segmentation": [[20, 10, 30, 10, 30, 30, 20, 30]]}
    (tmp_path / "x.json").write_text(json.dumps({"images": [row], "annotations": [square]}))
    (tmp_path / "y.json").write_text("{")
    (tmp_path / "z.pvpuset").write_bytes(b"no zip")
    names = ["one", "two", "three", "four", "x.json", "y.json", "z.pvpuset"]
    report = check_data([tmp_path / name for name in names], images=tmp_path)
    assert sorted(found(report)) == [
        ("missing", "nowhere.png"),
        ("no mask", "bare.png"),
        ("source", "four"),
        ("source", "two"),
        ("source", "y.json"),
        ("source", "z.pvpuset"),
    ]
    assert report.counts[str(tmp_path / "three")].usable == 1


def test_annotations_without_their_images(tmp_path: Path) -> None:
    (report,) = [check_data([tmp_path / "x.json"])]
    assert found(report) == [("source", "x.json")]
    assert "give --images DIR" in report.text()


def test_bad_annotations_do_not_spoil_the_others(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.fromarray(PICTURE).save(tmp_path / f"{name}.png")
    rows = [
        {"id": i, "file_name": f"{name}.png", "height": 32, "width": 40 + (name == "b")}
        for i, name in enumerate("abc")
    ]
    square = [[20, 10, 30, 10, 30, 30, 20, 30]]
    marks = [{"id": i, "image_id": i, "segmentation": square} for i in range(3)]
    marks[2]["segmentation"] = {"counts": [1, 2], "size": "large"}
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"images": rows, "annotations": marks}))
    checked = CheckedSources([file], images=tmp_path)
    (good,) = checked
    assert (good.name, good.group) == ("a", "x")
    assert found(checked.report()) == [("annotation", "b.png"), ("annotation", "c.png")]


def test_only_the_rest_is_used_and_only_when_told_to(tmp_path: Path) -> None:
    every_mistake(tmp_path)
    checked = CheckedSources([tmp_path])
    with pytest.raises(BadDataError) as caught:
        checked.usable()
    assert "1 x images without a mask (add a mask of the same stem" in str(caught.value)
    assert len(caught.value.report.mistakes) == 11
    (example,) = checked.usable(skip_bad=True)
    assert example.name == "good"
    assert np.array_equal(example.labels, LABELS)


def test_images_that_show_nothing_are_no_mistake_unless_all_do(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b", mask=np.zeros(SHAPE, np.uint8))
    assert check_data([tmp_path]).ok
    (tmp_path / "masks" / "a.png").write_bytes((tmp_path / "masks" / "b.png").read_bytes())
    report = check_data([tmp_path])
    assert [p.kind for p in report.mistakes] == ["nothing"]


def test_masks_of_one_stem_leave_neither(tmp_path: Path) -> None:
    add(tmp_path, "a")
    add(tmp_path, "b")
    add(tmp_path, "b", image=None, suffix=".tif")
    report = check_data([tmp_path])
    assert found(report) == [("duplicate", "b.png")]
    assert report.counts[str(tmp_path)].usable == 1


def test_ignore_masks_are_looked_at(tmp_path: Path) -> None:
    for stem in "abc":
        add(tmp_path, stem)
    (tmp_path / "ignore").mkdir()
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(tmp_path / "ignore" / "a.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "ignore" / "b.png")
    (tmp_path / "ignore" / "c.png").write_bytes(b"")
    report = check_data([tmp_path])
    assert found(report) == [("size", "b.png"), ("mask", "c.png")]
    assert report.counts[str(tmp_path)].usable == 1


def test_a_benchmark_with_a_list(tmp_path: Path) -> None:
    for name in ("img", "inst"):
        (tmp_path / name).mkdir()
    Image.fromarray(PICTURE).save(tmp_path / "img" / "a.jpg")
    (tmp_path / "inst" / "a.mat").write_bytes(b"no matrix")
    Image.fromarray(PICTURE).save(tmp_path / "img" / "unlisted.jpg")
    (tmp_path / "train.txt").write_text("a\nb\n")
    report = check_data([tmp_path])
    assert [p.kind for p in report.problems] == ["listed", "mask"]
    assert report.counts[str(tmp_path)].images == 2
    (tmp_path / "train.txt").unlink()
    assert [p.kind for p in check_data([tmp_path]).problems] == ["source"]


def test_channels_may_come_first(tmp_path: Path) -> None:
    add(tmp_path, "a", image=np.stack([PICTURE] * 2), suffix=".tif")
    (example,) = CheckedSources([tmp_path])
    assert example.image.shape == (*SHAPE, 2)


@pytest.mark.parametrize(
    ("image", "labels", "kinds"),
    [
        (PICTURE, LABELS, []),
        (PICTURE > 50, LABELS, []),
        (PICTURE.astype(np.complex64), LABELS, ["image"]),
        (np.where(PICTURE > 5, np.inf, 0), LABELS, ["not finite"]),
        (PICTURE, LABELS.astype(int) - 1, ["labels"]),
        (PICTURE, np.where(LABELS == 7, 32_767, 0), []),
        (PICTURE, np.where(LABELS == 7, 32_768, 0), ["labels"]),
        # Stripes that touch each other are many labels, but lie still.
        (PICTURE, np.repeat(np.arange(1, 21), 2)[None].repeat(32, 0), []),
        (PICTURE, PHOTOGRAPH.astype(int), ["photograph"]),
        (PICTURE, speck(side=5), ["small"]),
        (PICTURE, speck(side=6), []),
        (np.zeros(SHAPE), np.zeros(SHAPE, int), ["constant", "empty"]),
        (np.zeros((0, 4)), np.zeros((0, 4), int), ["constant", "empty"]),
    ],
    ids=[
        "good", "bool", "complex", "infinite", "negative", "largest", "too large", "stripes",
        "photograph", "25 pixels", "36 pixels", "nothing at all", "no pixel",
    ],
)  # fmt: skip
def test_faults_of_arrays(image: np.ndarray, labels: np.ndarray, kinds: list[str]) -> None:
    assert [kind for kind, _ in array_faults(image, labels)] == kinds


def test_a_report_names_some_and_writes_all(tmp_path: Path) -> None:
    problems = tuple(Problem("no mask", "set", f"set/images/{i}.png") for i in range(7))
    report = DataReport((*problems, Problem("image", "set", "set/x.png", "cut\nshort")), {})
    text = report.text(examples=2)
    assert "7 x images without a mask" in text
    assert "set/images/1.png\n  ... and 5 more" in text
    assert "set/images/2.png" not in text
    assert text.endswith("check-data without --examples names every file\n")
    whole = report.text()
    assert all(f"set/images/{i}.png" in whole for i in range(7))
    assert "more" not in whole
    assert "--examples" not in whole
    report.write(tmp_path / "deep" / "list.tsv")
    lines = (tmp_path / "deep" / "list.tsv").read_text().splitlines()
    assert lines[0] == "no mask\tset/images/0.png\t"
    assert lines[7] == "image\tset/x.png\tcut short"
    with pytest.raises(PvpuError, match="list of problems cannot be written"):
        report.write(tmp_path / "deep")


def test_a_refusal_names_every_file(tmp_path: Path) -> None:
    add(tmp_path, "good")
    for number in range(8):
        add(tmp_path, f"bare{number}", mask=None)
    with pytest.raises(BadDataError) as caught:
        CheckedSources([tmp_path]).usable()
    for number in range(8):
        assert f"bare{number}.png" in str(caught.value)


def test_what_is_passed_over_is_counted_in_a_line() -> None:
    kinds = ["empty", "small", "empty", "no mask"]
    report = DataReport(tuple(Problem(kind, "set", f"set/{kind}.png") for kind in kinds))
    assert report.passed_over() == (
        "2 x images where nothing is labelled, 1 x images with specks only"
    )
    assert DataReport((Problem("no mask", "set", "a.png"),)).passed_over() == ""


def test_a_single_mistake_is_one_sentence() -> None:
    report = DataReport((Problem("no mask", "set", "set/a.png"), Problem("empty", "set", "b.png")))
    assert str(BadDataError(report)) == (
        "set/a.png: images without a mask; add a mask of the same stem, or move the image away"
    )


def test_kinds_say_what_to_do() -> None:
    assert all(kind.advice or kind.passed_over for kind in KINDS.values())
