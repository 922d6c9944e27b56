"""Images that are damaged, or go away while they are worked on: a sentence, and work goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.array_reading import read_block
from napari_pvpu.errors import ImageError
from napari_pvpu.fingerprints import fingerprint
from napari_pvpu.prompts import Click
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from pictures import CENTERS, IMAGE

zarr = pytest.importorskip("zarr")

CHUNK = 40
EVERYTHING = (slice(None), slice(None))


def saved(image, folder):
    """Write a zarr in chunks of 40 x 40."""
    array = zarr.create_array(folder, shape=image.shape, chunks=(CHUNK, CHUNK), dtype=image.dtype)
    array[:] = image
    return folder


@pytest.fixture
def folder(tmp_path):
    """A zarr of the picture."""
    return saved(IMAGE, tmp_path / "image.zarr")


def opened(folder, kind):
    array = zarr.open_array(folder, mode="r")
    return array if kind == "zarr" else da.from_array(array)


def chunk(folder, row, col):
    """The file of the chunk that a pixel is in."""
    return folder / "c" / str(row // CHUNK) / str(col // CHUNK)


kinds = pytest.mark.parametrize("kind", ["zarr", "dask"])


@kinds
def test_what_is_whole_is_read(folder, kind):
    array = opened(folder, kind)
    assert np.array_equal(read_block(array, EVERYTHING), IMAGE)
    assert np.array_equal(read_block(array, (3, slice(5, 90))), IMAGE[3, 5:90])


@kinds
def test_a_missing_chunk_is_its_fill_value_as_zarr_has_it(folder, kind):
    array = opened(folder, kind)
    chunk(folder, 0, 0).unlink()
    assert not read_block(array, (slice(0, CHUNK), slice(0, CHUNK))).any()


@kinds
@pytest.mark.parametrize("content", [b"", b"hello", None], ids=["empty", "other", "cut"])
def test_a_damaged_chunk_is_told(folder, kind, content):
    path = chunk(folder, *CENTERS["grey"])
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    array = opened(folder, kind)
    with pytest.raises(ImageError, match=r"cannot be read \(.+may be damaged"):
        read_block(array, (slice(80, 100), slice(100, 120)))


@kinds
def test_a_zarr_that_vanished_is_told_where_it_was(folder, kind):
    array = opened(folder, kind)
    shutil.rmtree(folder)
    with pytest.raises(ImageError, match=r"image\.zarr is not there any more; put it back"):
        read_block(array, EVERYTHING)


LITTLE_MEMORY = """
import resource, sys, zarr
from napari_pvpu.array_reading import read_block
from napari_pvpu.errors import ImageError

huge, small = (zarr.open_array(path, mode="r") for path in sys.argv[1:])
corner = (slice(0, 2), slice(0, 2))
print(read_block(small, corner).tolist())
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, -1))
try:
    read_block(huge, corner)
except ImageError as error:
    print(error)
print(read_block(small, corner).tolist())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_a_chunk_larger_than_the_memory_is_told_and_work_goes_on(tmp_path):
    for name, side in (("huge.zarr", 12_000), ("small.zarr", 64)):
        whole = (side, side)
        zarr.create_array(tmp_path / name, shape=whole, chunks=whole, dtype="uint8")[:] = 7
    command = [sys.executable, "-c", LITTLE_MEMORY, tmp_path / "huge.zarr", tmp_path / "small.zarr"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, told, after = done.stdout.splitlines()
    assert "too little memory" in told
    assert "chunks of about 1000 x 1000 pixels" in told
    assert before == after == "[[7, 7], [7, 7]]"


@kinds
def test_a_session_goes_on_far_from_a_damaged_chunk_and_in_it_once_it_is_mended(tmp_path, kind):
    folder = saved(np.tile(IMAGE, (1, 5)), tmp_path / "wide.zarr")
    far = (CENTERS["grey"][0], CENTERS["grey"][1] + 4 * IMAGE.shape[1])
    path = chunk(folder, *far)
    whole = path.read_bytes()
    path.write_bytes(b"damaged")
    session = Session(ImageSource(opened(folder, kind)), FloodPredictor(64))
    session.canvas_extent = 64
    session.add(Click(CENTERS["bright"]))
    session.accept()
    before = session.labels.copy()
    assert before[CENTERS["bright"]] == 1
    with pytest.raises(ImageError, match="cannot be read"):
        session.add(Click(far))
    assert session.prompts == ()
    assert np.array_equal(session.labels, before), "nothing accepted is lost"
    session.add(Click(CENTERS["faint"]))
    assert session.accept() == 2
    path.write_bytes(whole)
    session.add(Click(far))
    assert session.accept() == 3


@kinds
def test_a_session_goes_on_when_its_zarr_is_back(folder, kind):
    session = Session(ImageSource(opened(folder, kind)), FloodPredictor(64))
    session.add(Click(CENTERS["bright"]))
    session.accept()
    away = folder.rename(folder.with_name("away.zarr"))
    with pytest.raises(ImageError, match="not there any more"):
        session.add(Click(CENTERS["grey"]))
    assert list(session.objects) == [1]
    away.rename(folder)
    session.add(Click(CENTERS["grey"]))
    assert session.accept() == 2


@kinds
def test_limits_and_fingerprints_come_from_what_can_be_read(folder, kind):
    array = opened(folder, kind)
    limits = ImageSource(array).limits
    chunk(folder, 0, 0).write_bytes(b"damaged")
    assert ImageSource(array).limits == limits
    large = da.from_array(np.random.default_rng(0).integers(0, 9, (2000, 2000)), chunks=500)
    broken = da.concatenate([large, da.from_delayed(_broken(), (500, 2000), int)])
    assert fingerprint(broken) == fingerprint(broken) != fingerprint(large)


def _broken():
    import dask

    @dask.delayed
    def fail():
        raise OSError(5, "Input/output error")

    return fail()


@kinds
def test_an_image_of_which_nothing_can_be_read_is_refused(folder, kind):
    array = opened(folder, kind)
    for path in (folder / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    with pytest.raises(ImageError, match="cannot be read"):
        ImageSource(array)
    with pytest.raises(ImageError, match="cannot be read"):
        fingerprint(array)
