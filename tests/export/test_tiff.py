"""Labels as TIFF, and TIFFs of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_pvpu.errors import ExportError
from napari_pvpu.export import read_tiff, write_tiff

if TYPE_CHECKING:
    from pathlib import Path

SMALL = np.array([[0, 1], [2, 2]], np.uint16)


@pytest.mark.parametrize(
    ("labels", "name", "kind", "dtype"),
    [
        pytest.param(SMALL, "a.tif", "imagej", np.uint16, id="a plane is for ImageJ"),
        pytest.param(SMALL.astype(bool), "a.tif", "imagej", np.uint16, id="a mask"),
        pytest.param(SMALL.astype(int), "a.TIFF", "imagej", np.uint16, id="int64"),
        pytest.param(SMALL, "a.ome.tif", "ome", np.uint16, id="by name"),
        pytest.param(SMALL.astype(int) * 40_000, "a.tif", "ome", np.uint32, id="large labels"),
        pytest.param(np.stack([SMALL] * 3), "a.tif", "ome", np.uint16, id="a stack"),
    ],
)
def test_flavour_and_dtype(labels, name: str, kind: str, dtype, tmp_path: Path) -> None:
    write_tiff(tmp_path / name, labels)
    with tifffile.TiffFile(tmp_path / name) as file:
        assert (file.is_imagej, file.is_ome) == (kind == "imagej", kind == "ome")
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert file.pages[0].dtype == dtype
        assert np.array_equal(file.asarray(), labels)


def test_imagej_finds_scale_and_unit(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", SMALL, scale=(0.5, 0.25), units="µm")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        assert file.imagej_metadata["unit"] == "\\u00B5m"  # as ImageJ writes it
        assert [tags[name].value for name in ("XResolution", "YResolution")] == [(4, 1), (2, 1)]
    found = read_tiff(tmp_path / "a.tif")
    assert (found.scale, found.units) == ((0.5, 0.25), ("micrometer", "micrometer"))


def test_a_hyperstack_of_imagej(tmp_path: Path) -> None:
    stack = np.arange(24, dtype=np.uint16).reshape(2, 3, 2, 2)
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "TZYX", "spacing": 3.0, "unit": "um", "finterval": 0.1},
    )
    found = read_tiff(tmp_path / "a.tif")
    assert np.array_equal(found.labels, stack)
    assert (found.axes, found.scale) == ("TZYX", (0.1, 3.0, 0.5, 0.25))
    assert found.units == ("second", "micrometer", "micrometer", "micrometer")


@pytest.mark.parametrize(
    ("shape", "axes"), [((2, 2), "YX"), ((3, 2, 2), "ZYX"), ((2, 3, 2, 2), "TZYX")]
)
def test_a_plain_tiff_has_the_usual_axes(shape, axes: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones(shape, np.uint8), photometric="minisblack")
    found = read_tiff(tmp_path / "a.tif")
    assert (found.axes, found.scale, found.labels.shape) == (axes, (1.0,) * len(shape), shape)


def test_ome_keeps_no_size_where_none_is_known(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.ome.tif", SMALL)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert "PhysicalSize" not in (file.ome_metadata or "PhysicalSize")


def test_what_imagej_cannot_open_is_not_written_for_it(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no compressed stacks"):
        write_tiff(tmp_path / "a.tif", np.stack([SMALL] * 3), ome=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"II*\0garbage", b"\x89PNG"], ids=["empty", "damaged", "no TIFF"]
)
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"a\.tif cannot be read"):
        read_tiff(path)


def test_a_picture_with_colours_is_no_label_image(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(ExportError, match="axes YXS"):
        read_tiff(tmp_path / "a.tif")
