"""What is checked of labels before anything is written."""

from __future__ import annotations

import json

import dask.array
import numpy as np
import pytest

from napari_pvpu.errors import ExportError
from napari_pvpu.export import FORMATS, ObjectDetails, as_label_image, export_labels, format_of
from napari_pvpu.export.label_image import objects_in_plane
from napari_pvpu.export.units import is_unit, unit_name

SMALL = np.ones((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("labels", "keywords", "message"),
    [
        (SMALL.astype(float), {}, "labels are integers, these are float64"),
        (SMALL.astype(int) - 2, {}, "the smallest here is -1"),
        (SMALL.astype(int) * 2**32, {}, "label 4294967296 is above 4294967295"),
        (np.zeros(3, int), {}, "have 1 axes; 2 to 4"),
        (np.zeros((1,) * 5, int), {}, "have 5 axes; 2 to 4"),
        (np.zeros((0, 3), int), {}, "hold no pixel"),
        (SMALL, {"axes": "ZYX"}, "axes 'ZYX' do not describe"),
        (SMALL, {"axes": "YY"}, "axes 'YY' do not describe"),
        (SMALL, {"axes": "XY"}, "axes XY cannot be exported"),
        (np.zeros((2, 2, 2), int), {"axes": "CYX"}, "axes CYX cannot be exported"),
        (SMALL, {"scale": (1, 2, 3)}, r"scale \(1, 2, 3\) are more than the axes YX"),
        (SMALL, {"scale": 0}, "not made of positive numbers"),
        (SMALL, {"scale": float("nan")}, "not made of positive numbers"),
        (SMALL, {"units": ("s", "um", "um")}, "units .* are more than the axes"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_does_not_fit(labels, keywords, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        as_label_image(labels, **keywords)


@pytest.mark.parametrize(
    ("shape", "keywords", "axes", "scale", "units"),
    [
        ((2, 3), {}, "YX", (1, 1), ("pixel", "pixel")),
        ((4, 2, 3), {}, "ZYX", (1, 1, 1), ("pixel",) * 3),
        ((4, 2, 3), {"scale": 2}, "ZYX", (2, 2, 2), ("pixel",) * 3),
        ((4, 2, 3), {"axes": "tyx", "scale": 2}, "TYX", (1, 2, 2), ("pixel",) * 3),
        ((4, 2, 3), {"scale": (2, 3)}, "ZYX", (1, 2, 3), ("pixel",) * 3),
        ((4, 2, 3), {"axes": "TYX", "units": "um"}, "TYX", (1, 1, 1),
         ("pixel", "micrometer", "micrometer")),
        ((4, 1, 2, 3), {"axes": "TCYX", "scale": (9, 8, 7, 6)}, "TYX", (9, 7, 6), ("pixel",) * 3),
        ((1, 2, 3), {}, "ZYX", (1, 1, 1), ("pixel",) * 3),
    ],
    ids=["plane", "stack", "one scale", "frames", "last axes", "one unit", "channel", "one slice"],
)  # fmt: skip
def test_axes_scale_and_units(shape, keywords, axes, scale, units) -> None:
    image = as_label_image(np.ones(shape, np.uint8), **keywords)
    assert (image.axes, image.scale, image.units) == (axes, scale, units)
    assert image.labels.ndim == len(axes)


def test_what_is_given_goes_before_what_was_known() -> None:
    known = as_label_image(np.ones((4, 2, 3), int), scale=(3, 2, 2), units="nm", name="a")
    image = as_label_image(known, scale=5, name="b")
    assert (image.scale, image.units[0], image.name) == ((5, 5, 5), "nanometer", "b")
    assert as_label_image(known, axes="TYX").scale == (3, 2, 2)


def test_details_are_plain_numbers() -> None:
    details = ObjectDetails(np.float32(0.5), np.int64(3), colour=np.array([1, 2, 3]))
    assert json.dumps([details.score, details.prompts, details.colour]) == "[0.5, 3, [1, 2, 3]]"
    assert ObjectDetails(float("nan")) == ObjectDetails()


def test_lists_will_do() -> None:
    assert as_label_image([[1, 2]]).compact().tolist() == [[1, 2]]


def test_a_lazy_array_is_read_plane_by_plane() -> None:
    read = []

    def block(block_info):
        read.append(block_info[None]["chunk-location"][0])
        return np.full((1, 4, 5), 7, np.uint16)

    lazy = dask.array.map_blocks(block, chunks=((1,) * 3, (4,), (5,)), dtype=np.uint16)
    image = as_label_image(lazy)
    for (z,), plane in image.planes():
        assert isinstance(plane, np.ndarray)
        assert read.count(z) == 1
        assert z + 1 not in read


@pytest.mark.parametrize("shift", [0, 70_000, 3_000_000_000])
def test_objects_of_a_plane(shift: int) -> None:
    plane = np.array([[0, 5, 5], [9, 5, 0]], np.uint32)
    plane[plane > 0] += shift
    found = [
        (label - shift, mask.tolist(), origin) for label, mask, origin in objects_in_plane(plane)
    ]
    assert found == [(5, [[True, True], [True, False]], (0, 1)), (9, [[True]], (1, 0))]


def test_objects_that_leave_no_background() -> None:
    plane = np.array([[4_000_000_000, 4_000_000_001]], np.uint32)
    labels = [label for label, _, _ in objects_in_plane(plane)]
    assert labels == [4_000_000_000, 4_000_000_001]


@pytest.mark.parametrize(
    ("given", "name"),
    [("µm", "micrometer"), ("um", "micrometer"), ("micrometer", "micrometer"), (None, "pixel"),
     ("", "pixel"), ("parsec", "parsec"), (" nm ", "nanometer")],
)  # fmt: skip
def test_names_of_units(given: str | None, name: str) -> None:
    assert unit_name(given) == name


def test_words_that_are_units() -> None:
    assert [word for word in ("um", "pixel", "", "labels", "s") if is_unit(word)] == [
        "um", "pixel", "s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [("a.tif", "tiff"), ("A.OME.TIFF", "tiff"), ("b/a.ome.zarr", "ome-zarr"),
     ("a.zarr", "ome-zarr"), ("a.zip", "imagej"), ("a.json", "coco"),
     ("a.geojson", "geojson"), ("a.b.csv", "csv")],
)  # fmt: skip
def test_format_by_name(path: str, name: str) -> None:
    assert format_of(path) == name
    assert FORMATS[name].name == name


def test_names_that_tell_no_format() -> None:
    with pytest.raises(ExportError, match=r"a\.doc tells no format by its name; use one of \.tif"):
        format_of("a.doc")
    with pytest.raises(ExportError, match="there is no format 'doc'; use one of tiff, ome-zarr"):
        export_labels("a.doc", SMALL, format_name="doc")
