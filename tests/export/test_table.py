"""Measurements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Labels

from napari_pvpu.errors import ExportError
from napari_pvpu.export import (
    ObjectDetails,
    as_features,
    measure,
    read_table,
    write_table,
)

if TYPE_CHECKING:
    from pathlib import Path

# A rectangle of 4 x 6 pixels, and a single pixel.
LABELS = np.zeros((8, 10), np.uint16)
LABELS[2:6, 1:7] = 3
LABELS[7, 9] = 8


def same(found: object, expected: object) -> bool:
    return found == expected or (found != found and expected != expected)


def test_a_rectangle_in_pixels() -> None:
    table = measure(LABELS)
    assert {name: column[0] for name, column in table.items()} == {
        "label": 3,
        "area [px]": 24,
        "centroid_y [px]": 3.5,
        "centroid_x [px]": 3.5,
        "top [px]": 2,
        "left [px]": 1,
        "bottom [px]": 6,
        "right [px]": 7,
        "perimeter [px]": 16.0,  # between the centres of the pixels at the rim
        "major_axis [px]": pytest.approx(4 * math.sqrt(35 / 12)),
        "minor_axis [px]": pytest.approx(4 * math.sqrt(15 / 12)),
        "feret_diameter_max [px]": pytest.approx(math.hypot(4, 5), abs=1),
        "eccentricity": pytest.approx(math.sqrt(1 - 15 / 35)),
        "solidity": 1.0,
    }


def test_a_single_pixel_has_no_extent_but_an_area() -> None:
    row = {name: column[1] for name, column in measure(LABELS).items()}
    assert (row["label"], row["area [px]"], row["perimeter [px]"]) == (8, 1, 0)
    assert (row["eccentricity"], row["solidity"]) == (0, 1)


def test_units_go_with_lengths_and_areas() -> None:
    pixels, micrometers = measure(LABELS), measure(LABELS, scale=0.5, units="µm")
    assert micrometers["area [px]"] == pixels["area [px]"]
    assert micrometers["area [micrometer^2]"] == [6, 0.25]
    assert micrometers["centroid_y [micrometer]"] == [1.75, 3.5]
    for name in ("perimeter", "major_axis", "minor_axis", "feret_diameter_max"):
        halved = [value / 2 for value in pixels[f"{name} [px]"]]
        assert micrometers[f"{name} [micrometer]"] == pytest.approx(halved)


@pytest.mark.parametrize(
    ("about", "unit"),
    [
        ({"scale": 0.5}, "world"),
        ({"scale": 0.5, "units": ("nm", "um")}, "world"),
        ({"units": "nm"}, "nanometer"),
    ],
    ids=["scale without units", "two units", "units without scale"],
)
def test_name_of_the_unit(about, unit: str) -> None:
    assert f"area [{unit}^2]" in measure(LABELS, **about)


def test_pixels_that_are_not_square() -> None:
    table = measure(LABELS, scale=(0.5, 0.25), units="um")
    assert table["area [micrometer^2]"] == [3, 0.125]
    assert all(math.isnan(value) for value in table["perimeter [micrometer]"])
    # 4 rows of 0.5 and 6 columns of 0.25: now it is the rows that are longer
    assert table["major_axis [micrometer]"][0] == pytest.approx(4 * math.sqrt(15 / 12) * 0.5)


@pytest.mark.parametrize(
    ("axis", "given"), [(0, None), (0, 0), (2, None), (2, -1)],
    ids=["first", "first, told", "last", "last, told"],
)  # fmt: skip
def test_intensities_of_every_channel(axis: int, given: int | None) -> None:
    image = np.stack([LABELS * 2.0, np.arange(80.0).reshape(8, 10)], axis=axis)
    table = measure(LABELS, image, channel_axis=given, channel_names=["DAPI", "GFP"])
    assert table["intensity_mean [DAPI]"] == [6, 16]
    assert table["intensity_std [DAPI]"] == [0, 0]
    assert table["intensity_min [GFP]"] == [21, 79]
    assert table["intensity_max [GFP]"] == [56, 79]
    assert table["intensity_mean [GFP]"] == [38.5, 79]


def test_one_channel_of_integers() -> None:
    assert measure(LABELS, LABELS)["intensity_max [0]"] == [3, 8]


@pytest.mark.parametrize(
    ("image", "keywords", "message"),
    [
        (np.zeros((8, 9)), {}, r"shape \(8, 9\) does not go with labels of shape \(8, 10\)"),
        (np.zeros((8, 10, 3)), {"channel_axis": 0}, "channels along axis 0"),
        (np.zeros((8, 10), complex), {}, "complex128 cannot be measured"),
        (np.zeros((8, 10, 2)), {"channel_names": ["a", "a"]}, "do not name 2 channels"),
    ],
    ids=["another shape", "another axis", "complex", "names twice"],
)
def test_images_that_do_not_fit(image, keywords, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        measure(LABELS, image, **keywords)


def test_a_row_for_every_object_in_every_plane() -> None:
    stack = np.stack([LABELS, LABELS * 0, LABELS])[None]
    stack[0, 2, 2:4] = 0
    table = measure(stack, stack * 2.0)
    assert [table[name] for name in ("label", "t", "z", "area [px]")] == [
        [3, 8, 3, 8],
        [0, 0, 0, 0],
        [0, 0, 2, 2],
        [24, 1, 12, 1],
    ]
    assert table["intensity_mean [0]"] == [6, 16, 6, 16]


def test_no_object_gives_a_header(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", LABELS * 0)
    header, *rows = (tmp_path / "a.csv").read_text().splitlines()
    assert header.startswith("label,area [px]")
    assert not rows
    assert all(column == [] for column in read_table(tmp_path / "a.csv").values())


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((8, 10))
    about = {"objects": {3: ObjectDetails(0.1 + 0.2, 4, 'a "cell", dead')}, "scale": (0.1, 0.3)}
    table = measure(LABELS, image, **about)
    write_table(tmp_path / "a.csv", LABELS, image, **about)
    found = read_table(tmp_path / "a.csv")
    assert list(found) == list(table)
    for name, column in table.items():
        expected = [math.nan if value is None else value for value in column]
        assert all(map(same, found[name], expected)), name


def test_large_labels_keep_their_numbers() -> None:
    labels = np.array([[4_000_000_000, 4_000_000_000, 7]], np.uint32)
    table = measure(labels)
    assert (table["label"], table["area [px]"]) == ([7, 4_000_000_000], [1, 2])


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n")
    with pytest.raises(ExportError, match=r"a\.csv cannot be read: it is no table"):
        read_table(tmp_path / "a.csv")


def test_features_of_a_labels_layer() -> None:
    known = {3: ObjectDetails(0.5, category="cell")}
    layer = Labels(LABELS, features=as_features(measure(LABELS, objects=known)))
    assert layer.features["area [px]"].tolist()[1:] == [24, 1]
    assert layer.features["category"].tolist() == ["", "cell", ""]
    # napari finds the row of the label under the pointer
    status = layer._get_properties((3, 3))
    assert "area [px]: 24" in status
    assert "score: 0.5" in status


def test_features_of_an_object_in_several_planes() -> None:
    stack = np.stack([LABELS, LABELS])
    stack[0, 2] = 0
    features = as_features(measure(stack))
    assert features["index"] == [0, 3, 8]
    assert features["area [px]"][1:] == [24, 1]
    assert features["z"][1:] == [1, 0]  # where it is largest, or first
    assert features["planes"][1:] == [2, 2]
