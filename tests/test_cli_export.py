"""The command ``export``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import typer
from PIL import Image
from typer.testing import CliRunner

from napari_pvpu.cli_export import ManyScales, export
from napari_pvpu.cli_parsing import ErrorsInOneLine
from napari_pvpu.export import (
    read_coco,
    read_geojson,
    read_imagej_rois,
    read_label_image,
    read_table,
    write_ome_zarr,
    write_tiff,
)

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.array([[0, 1, 1, 0], [2, 2, 0, 0], [2, 2, 0, 9]], np.uint16)

app = typer.Typer(cls=ErrorsInOneLine)
app.command(cls=ManyScales)(export)
app.command("other")(lambda: None)  # with a single command its name would not be asked for


def run(*words: object, code: int = 0):
    result = CliRunner().invoke(app, ["export", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def one_line(result) -> str:
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    write_tiff(tmp_path / "labels.tif", LABELS)
    return tmp_path / "labels.tif"


def test_it_is_a_command_of_the_program() -> None:
    from napari_pvpu.cli import app

    result = CliRunner().invoke(app, ["export", "--help"])
    assert result.exit_code == 0
    assert "--format" in result.stdout


def test_several_formats_by_their_suffixes(labels: Path, tmp_path: Path) -> None:
    names = ["a.ome.tif", "a.ome.zarr", "a.zip", "a.json", "deep/a.geojson", "a.csv"]
    result = run(labels, *(word for name in names for word in ("--out", tmp_path / name)))
    assert len(result.stdout.splitlines()) == len(names)
    for found in (
        read_label_image(tmp_path / "a.ome.tif"),
        read_label_image(tmp_path / "a.ome.zarr"),
        read_imagej_rois(tmp_path / "a.zip", LABELS.shape),
        read_coco(tmp_path / "a.json"),
        read_geojson(tmp_path / "deep" / "a.geojson", LABELS.shape),
    ):
        assert np.array_equal(found.labels, LABELS)
    assert read_table(tmp_path / "a.csv")["area [px]"] == [2, 4, 1]


def test_formats_by_name(labels: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two.json"
    run(labels, "--format", "coco", "--out", one, "--format", "geojson", "--out", two)
    assert np.array_equal(read_coco(one).labels, LABELS)
    assert np.array_equal(read_geojson(two, LABELS.shape).labels, LABELS)


def test_run_lengths_keep_an_object_with_a_hole_whole(tmp_path: Path) -> None:
    ring = np.zeros((9, 12), np.uint16)
    ring[1:8, 2:9], ring[3:5, 4:7], ring[4, 5] = 3, 0, 5
    write_tiff(tmp_path / "ring.tif", ring)
    whole, cut = tmp_path / "rle.json", tmp_path / "cut.json"
    result = run(
        tmp_path / "ring.tif", "--format", "coco-rle", "--out", whole, "--format", "coco",
        "--out", cut,
    )  # fmt: skip
    assert f"{whole}: coco-rle" in result.stdout
    for path, kinds in ((whole, [dict, dict]), (cut, [list, list])):
        assert np.array_equal(read_coco(path).labels, ring)
        annotations = json.loads(path.read_text("utf-8"))["annotations"]
        assert [type(each["segmentation"]) for each in annotations] == kinds


@pytest.mark.parametrize(
    ("words", "scale", "units"),
    [
        (["--scale", "0.5", "0.25", "--units", "micrometer"], (0.5, 0.25), "micrometer"),
        (["--scale", "0.5", "--scale", "0.25", "--units", "µm"], (0.5, 0.25), "micrometer"),
        (["--scale", "2", "--units", "nm", "nm"], (2, 2), "nanometer"),
        (["--scale", "2"], (2, 2), "pixel"),
    ],
    ids=["as said", "repeated", "two units", "one for both"],
)
def test_scale_and_units(words, scale, units, labels: Path, tmp_path: Path) -> None:
    run(*words, labels, "--out", tmp_path / "a.tif")
    found = read_label_image(tmp_path / "a.tif")
    assert (found.scale, found.units) == (scale, (units, units))


def test_scale_of_the_file_is_kept(tmp_path: Path) -> None:
    write_tiff(tmp_path / "labels.tif", LABELS, scale=0.5, units="um")
    run(tmp_path / "labels.tif", "--out", tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv")["area [micrometer^2]"] == [0.5, 1, 0.25]


def test_axes_of_a_series(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.stack([LABELS] * 2))
    words = ("--axes", "tyx", "--scale", "30", "0.5", "0.5", "--units", "s", "um", "um")
    run(tmp_path / "labels.npy", *words, "--out", tmp_path / "a.csv")
    table = read_table(tmp_path / "a.csv")
    assert table["t"] == [0, 0, 0, 1, 1, 1]
    assert table["area [micrometer^2]"][0] == 0.5


@pytest.mark.parametrize("name", ["labels.png", "labels.npy", "labels.tif", "labels.ome.zarr"])
def test_kinds_of_label_images(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    match path.suffix:
        case ".png":
            Image.fromarray(LABELS).save(path)
        case ".npy":
            np.save(path, LABELS.astype(np.int64))
        case ".tif":
            tifffile.imwrite(path, LABELS)
        case ".zarr":
            write_ome_zarr(path, LABELS)
    run(path, "--out", tmp_path / "a.json")
    assert np.array_equal(read_coco(tmp_path / "a.json").labels, LABELS)


@pytest.mark.parametrize("name", ["i.png", "i.npy", "i.tif"])
def test_intensities(name: str, labels: Path, tmp_path: Path) -> None:
    image = np.dstack([LABELS * 10, LABELS, LABELS]).astype(np.uint8)
    match name[2:]:
        case "png":
            Image.fromarray(image).save(tmp_path / name)
        case "npy":
            np.save(tmp_path / name, np.moveaxis(image, -1, 0))
        case "tif":
            tifffile.imwrite(tmp_path / name, image, photometric="rgb")
    run(labels, "--image", tmp_path / name, "--out", tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv")["intensity_mean [0]"] == [10, 20, 90]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["labels.tif", "--out", "a.doc"], "a.doc tells no format by its name"),
        (["labels.tif", "--out", "a.json", "--format", "yaml"], "there is no format 'yaml'"),
        (["labels.tif", "--out", "a.json", "--out", "b.csv", "--format", "coco"],
         "1 formats were given for 2 files"),
        (["labels.tif", "--out", "a.json", "--image", "labels.tif"], "add --out NAME.csv"),
        (["missing.tif", "--out", "a.json"], "missing.tif cannot be read"),
        (["missing.npy", "--out", "a.json"], "missing.npy cannot be read"),
        (["missing.png", "--out", "a.json"], "missing.png cannot be read"),
        (["colour.png", "--out", "a.json"], "colour.png cannot be read: it has colours"),
        (["labels.tif", "--out", "a.json", "--scale", "-1"], "not made of positive numbers"),
        (["labels.tif", "--out", "labels.tif/a.json"], "cannot be written"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    words, message: str, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (3, 3)).save("colour.png")
    assert message in one_line(run(*words, code=2))
    assert {path.name for path in tmp_path.iterdir()} == {labels.name, "colour.png"}
