"""Packed training sets: what comes out is what went in, or an error that names the entry."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from napari_pvpu.errors import DatasetError, PvpuError
from napari_pvpu.training.annotations import load_sources
from napari_pvpu.training.data_check import check_data
from napari_pvpu.training.data_report import BadDataError
from napari_pvpu.training.datasets import Atlas, to_uint8
from napari_pvpu.training.packed_files import PackedFile, PackedWriter
from napari_pvpu.training.packing import group_titles, pack, read_packed

if TYPE_CHECKING:
    from collections.abc import Callable

LABELLED = st.sampled_from([0, 1, 255, 256, 32_767])
ROW, COL = np.mgrid[:48, :60]
LABELS = ((ROW // 12) * 5 + COL // 12 + 1).astype(np.uint16)
LABELS[ROW % 12 < 2] = 0
GREY = (40 + 3 * ROW + np.where(LABELS % 2, 30, 0)).astype(np.uint8)
COLOURED = np.stack([GREY, GREY // 2 + 40, 255 - GREY], -1)


def folder(root: Path, name: str = "cells", **images: np.ndarray) -> Path:
    for stem, image in images.items():
        for kind, array in (("images", image), ("masks", LABELS)):
            (root / name / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / name / kind / f"{stem}.png")
    return root / name


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path, grey=GREY, rgb=COLOURED)


def packed(source: Path, name: str = "set.pvpuset", **how) -> Path:
    return pack([source], source.parent / name, **how).path


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Write the archive anew with changed entries; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            new = change(name, content)
            if new is not None:
                archive.writestr(name, new)
    return path


def test_masks_are_lossless_and_images_close(data: Path) -> None:
    pairs = list(read_packed(packed(data)))
    assert [(image.shape, group) for image, _, group in pairs] == [
        ((48, 60), "cells"),
        ((48, 60, 3), "cells"),
    ]
    for (image, labels, _), original in zip(pairs, (GREY, COLOURED), strict=True):
        assert np.array_equal(labels, LABELS)
        wanted = to_uint8(original).astype(float)
        off = np.abs(to_uint8(image) - wanted)
        assert off.mean() < 4
        # Less of an image is lost at a higher quality, and nothing without loss.
    for image, _, _ in read_packed(packed(data, "whole.pvpuset", quality=None)):
        original = GREY if image.ndim == 2 else COLOURED
        wanted = to_uint8(original)
        assert np.array_equal(image, wanted[..., 0] if image.ndim == 2 else wanted)


def test_what_is_only_in_the_colours_is_not_lost(tmp_path: Path) -> None:
    """Fine red structure: half of it would go with WebP's colours at half the resolution."""
    noise = np.random.default_rng(0).integers(0, 256, GREY.shape).astype(np.uint8)
    red = np.stack([noise, np.zeros_like(noise), np.zeros_like(noise)], -1)
    ((image, _, _),) = read_packed(packed(folder(tmp_path, red=red)))
    assert np.array_equal(image, to_uint8(red))


def test_many_labels_keep_their_numbers(tmp_path: Path) -> None:
    source = folder(tmp_path, one=GREY)
    labels = np.where(LABELS > 0, LABELS.astype(int) * 1000, 0).astype(np.uint16)
    Image.fromarray(labels).save(source / "masks" / "one.png")
    ((_, read, _),) = read_packed(packed(source))
    assert np.array_equal(read, labels)


def test_the_same_data_give_the_same_bytes(data: Path) -> None:
    one = packed(data, synthetic=2, synthetic_size=64).read_bytes()
    two = packed(data, "again.pvpuset", synthetic=2, synthetic_size=64).read_bytes()
    assert one == two


def test_the_index_says_what_is_there(data: Path) -> None:
    (data / "README.md").write_text("# Cells\nPictures of cells.\nLicence: CC0\n")
    path = packed(data, synthetic=1, synthetic_size=64)
    file = PackedFile(path)
    assert file.groups["cells"] == {
        "images": 2,
        "objects": 2 * np.unique(LABELS[LABELS > 0]).size,
        "origin": "Licence: CC0",
    }
    assert [e.name for e in file.entries[:2]] == ["grey", "rgb"]
    (made,) = (group for group in file.groups if group != "cells")
    assert made.startswith("synthetic/")
    with zipfile.ZipFile(path) as archive:
        # Pictures are compressed already, and every member bears the same date.
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {i.date_time[0] for i in archive.infolist()} == {1980}
        archive.extractall(data.parent / "out")
    # Unpacked, a group is a folder like any other.
    report = check_data([data.parent / "out" / "cells"])
    assert report.ok
    assert report.usable == 2


def test_a_note_from_the_table_of_the_folder_above(tmp_path: Path) -> None:
    source = folder(tmp_path / "nuclei", "train", a=GREY)
    (tmp_path / "README.md").write_text("| nuclei | CC0 |\n| others | MIT |\n")
    assert PackedFile(packed(source)).groups["nuclei"]["origin"] == "| nuclei | CC0 |"


def test_a_packed_file_is_data_like_a_folder(data: Path) -> None:
    path = packed(data)
    assert len(Atlas(load_sources([path]))) == len(Atlas(load_sources([data])))
    assert {group for *_, group in load_sources([path, data])} == {"cells", str(data)}
    report = check_data([path])
    assert report.ok
    assert report.counts[str(path)].usable == 2
    again = pack([path], data.parent / "again.pvpuset")
    assert [entry.group for entry in again.entries] == ["cells", "cells"]


def test_large_images_are_made_smaller(tmp_path: Path) -> None:
    image = np.kron(GREY, np.ones((4, 4), np.uint8))
    source = folder(tmp_path, one=image)
    Image.fromarray(np.kron(LABELS, np.ones((4, 4), np.uint16))).save(source / "masks" / "one.png")
    result = pack([source], tmp_path / "x.pvpuset", longest=60)
    ((small, labels, _),) = read_packed(result.path)
    assert np.array_equal(labels, LABELS)
    assert np.abs(small.astype(float) - to_uint8(image)[::4, ::4, 0]).mean() < 8
    assert result.entries[0].reduced == 4
    assert "1 reduced in size" in result.text()


def test_bad_data_stop_it_before_a_file_is_there(data: Path) -> None:
    (data / "masks" / "grey.png").unlink()
    out = data.parent / "x.pvpuset"
    with pytest.raises(BadDataError, match=r"grey.png: images without a mask"):
        pack([data], out)
    assert sorted(path.name for path in data.parent.iterdir()) == ["cells"]
    result = pack([data], out, skip_bad=True)
    assert [entry.name for entry in result.entries] == ["rgb"]
    assert len(result.report.mistakes) == 1


def test_an_older_file_stays_if_a_new_one_cannot_be_written(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(data)
    before = path.read_bytes()
    write = zipfile.ZipFile.writestr

    def full(self, info, content, *more):
        if info.filename.startswith("cells/masks"):
            raise OSError(28, "No space left on device")
        write(self, info, content, *more)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(PvpuError, match=r"cannot be written: .*No space left"):
        packed(data)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["cells", "set.pvpuset"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, c: None if n.endswith("2.png") else c, "00002.png is in the index but not in"),
        (lambda n, c: c[:-9] if n.endswith("2.webp") else c, "00002.webp is not the file that"),
        (lambda n, c: c.replace(b"48", b"49") if n == "index.json" else c, r"of \(48, 60\), but"),
        (lambda n, c: None if n == "index.json" else c, "is no packed training set: it holds no"),
        (lambda n, c: b"{}" if n == "index.json" else c, "is no packed training set: 'format'"),
        (
            lambda n, c: c.replace(b'"version": 1', b'"version": 2'),
            "is of version 2 of the format, this program reads up to 1; update it",
        ),
        (lambda n, c: c.replace(b'"mask"', b'"musk"'), "has a damaged index: .*musk"),
    ],
    ids=["missing", "other bytes", "size", "no index", "no set", "version", "index"],
)
def test_damage_is_named(data: Path, change, message: str) -> None:
    path = rewritten(packed(data), change)
    with pytest.raises(DatasetError, match=message):
        list(read_packed(path))


@pytest.mark.parametrize("kept", [0, 100, -30], ids=["empty", "start", "end cut off"])
def test_a_file_that_was_cut_short(data: Path, kept: int) -> None:
    path = packed(data)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DatasetError, match="copy or pack it again"):
        read_packed(path)


def test_a_flipped_byte_costs_one_image_only(data: Path) -> None:
    path = packed(data)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("cells/images/00001.webp").header_offset
    content[start + 120] ^= 255
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"00001\.webp is damaged: Bad CRC-32"):
        list(read_packed(path))
    report = check_data([path])
    ((kind, _, file, _),) = report.problems
    assert (kind, file) == ("image", f"{path}:cells/images/00001.webp")
    assert report.usable == 1


def test_a_picture_that_is_none(data: Path) -> None:
    path = packed(data)
    bad = b"no picture"
    with zipfile.ZipFile(path) as archive:
        index = json.loads(archive.read("index.json"))
    index["entries"][0]["crc32"][0] = zlib.crc32(bad)
    changes = {"cells/images/00001.webp": bad, "index.json": json.dumps(index).encode()}
    rewritten(path, lambda name, content: changes.get(name, content))
    with pytest.raises(DatasetError, match=r"00001\.webp cannot be read as an image"):
        list(read_packed(path))


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no packed training set"):
        read_packed(tmp_path / "x.pvpuset")


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("set.zip", {}, "is written as NAME.pvpuset, not 'set.zip'"),
        ("x.pvpuset", {"quality": 0}, "the quality is 0; give 1 to 100"),
        ("x.pvpuset", {"longest": 20_000}, "the longest side is 20000; give 32 to 16383"),
        ("x.pvpuset", {}, "there is nothing to pack"),
    ],
    ids=["suffix", "quality", "longest", "nothing"],
)
def test_options_that_cannot_be(tmp_path: Path, name: str, how, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        pack([], tmp_path / name, **how)
    assert list(tmp_path.iterdir()) == []


def test_groups_have_short_names_of_their_own(tmp_path: Path) -> None:
    sources = ["a/nuclei/train", "b/nuclei/train", "my cells!", "x/i.json", "y/j.json", "p.pvpuset"]
    assert group_titles([str(tmp_path / s) for s in sources]) == {
        str(tmp_path / "a/nuclei/train"): "nuclei",
        str(tmp_path / "b/nuclei/train"): "nuclei-2",
        str(tmp_path / "my cells!"): "my_cells_",
        "i+j": "i+j",
    }


def test_webp_holds_what_the_index_promises(data: Path) -> None:
    with zipfile.ZipFile(packed(data)) as archive:
        picture = Image.open(io.BytesIO(archive.read("cells/images/00001.webp")))
        mask = Image.open(io.BytesIO(archive.read("cells/masks/00001.png")))
    assert (picture.format, mask.format) == ("WEBP", "PNG")


@given(
    arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=LABELLED),
    st.integers(0, 255),
)
def test_any_mask_comes_back(labels: np.ndarray, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (*labels.shape, 3)).astype(np.uint8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.pvpuset"
        with zipfile.ZipFile(path, "w") as archive:
            writer = PackedWriter(archive, quality=None)
            writer.add(image, labels, "any", "one")
            writer.finish({})
        ((read, mask, group),) = read_packed(path)
    assert np.array_equal(mask, labels)
    # A single pixel may be grey by chance.
    assert np.array_equal(read if read.ndim == 3 else read[..., None].repeat(3, 2), image)
    assert group == "any"
