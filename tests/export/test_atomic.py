"""Files are whole or not there, whatever goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from napari_pvpu.errors import ExportError
from napari_pvpu.export import FORMATS, export_labels, write_coco
from napari_pvpu.export.atomic import library, replaced_file, replaced_folder

LABELS = np.array([[0, 1], [2, 2]], np.uint16)
NAMES = {each.name: f"a{each.suffixes[0]}" for each in FORMATS.values()}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    with replaced_file(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path / "deep"
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert contents(tmp_path) == {"deep/a.txt": b"new"}


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt()], ids=repr)
def test_what_fails_leaves_the_old_file(error: BaseException, tmp_path: Path) -> None:
    def fail() -> None:
        with replaced_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(type(error)):
        fail()
    assert contents(tmp_path) == {"a.txt": b"old"}


def test_what_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    def fail() -> None:
        with replaced_folder(tmp_path / "a") as temporary:
            (temporary / "y").write_text("half")
            raise RuntimeError

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("old")
    with pytest.raises(RuntimeError):
        fail()
    assert contents(tmp_path) == {"a/x": b"old"}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("old")
    with replaced_folder(tmp_path / "a") as temporary:
        for number in range(150):  # more than are forced to disk one by one
            (temporary / str(number)).write_text("new")
    assert contents(tmp_path) == {f"a/{number}": b"new" for number in range(150)}


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("old")

    def lose_it() -> None:
        with replaced_folder(tmp_path / "a") as new:
            os.rename(new, tmp_path / "elsewhere")

    with pytest.raises(ExportError, match="No such file"):
        lose_it()
    assert contents(tmp_path) == {"a/x": b"old"}


def test_a_link_leads_to_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with replaced_file(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_folder_that_is_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(ExportError, match=rf"{name} cannot be written: .* with no file"):
        export_labels(tmp_path / "folder" / name, LABELS)
    assert contents(tmp_path) == {"folder": b"a file"}


@pytest.mark.parametrize("name", [name for key, name in NAMES.items() if key != "ome-zarr"])
def test_a_file_that_is_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ExportError, match="Is a directory; choose a name that is not a folder's"):
        export_labels(tmp_path / name, LABELS)
    assert (tmp_path / name).is_dir()


SMALLER = """
import os, resource, sys
from pathlib import Path
import numpy as np
from napari_pvpu.errors import ExportError
from napari_pvpu.export import FORMATS, export_labels, read_ome_zarr

folder, limit, user = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
big = np.random.default_rng(0).permutation(625).reshape(25, 25)
export_labels(folder / "warm-up.zarr", big)  # imports what it needs
paths = [folder / f"a{each.suffixes[0]}" for each in FORMATS.values()]
for path in paths:
    export_labels(path, np.eye(3, dtype=int))
if user:
    os.chmod(folder, 0o555)
    os.setuid(user)
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for path in paths:
    try:
        export_labels(path, big)
    except ExportError as error:
        print(error)
    else:
        print(path, "was written")
"""


def fail_in_a_process(folder: Path, *, limit: int = 0, user: int = 0) -> list[str]:
    """Write a small file in every format, then fail to replace it by a larger one."""
    command = [sys.executable, "-c", SMALLER, str(folder), str(limit), str(user)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def check_all_intact(folder: Path) -> None:
    from napari_pvpu.export import read_coco, read_geojson, read_imagej_rois, read_label_image

    expected = np.eye(3).tolist()
    assert read_label_image(folder / "a.tif").labels.tolist() == expected
    assert read_label_image(folder / "a.ome.zarr").labels.tolist() == expected
    assert read_imagej_rois(folder / "a.zip", (3, 3)).labels.tolist() == expected
    assert read_coco(folder / "a.json").labels.tolist() == expected
    assert read_geojson(folder / "a.geojson", (3, 3)).labels.tolist() == expected
    assert (folder / "a.csv").read_text().count("\n") == 2
    names = {"warm-up.zarr", *NAMES.values()}
    assert {path.name for path in folder.iterdir()} == names  # nothing half-written beside them


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
def test_no_room_leaves_the_old_files(tmp_path: Path) -> None:
    messages = fail_in_a_process(tmp_path, limit=1000)
    assert len(messages) == len(NAMES)
    for name, message in zip(NAMES.values(), messages, strict=True):
        assert message.startswith(f"{tmp_path / name}")
        assert "cannot be written: File too large; choose a disk" in message
    check_all_intact(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_a_read_only_folder_leaves_the_old_files() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        messages = fail_in_a_process(folder, user=65534)
        folder.chmod(0o755)
        assert len(messages) == len(NAMES)
        for message in messages:
            assert "Permission denied; choose a folder that you may write to" in message
        check_all_intact(folder)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(ExportError, match="Permission denied; choose a folder that you may"):
            export_labels(tmp_path / "a.tif", LABELS)
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    ("module", "name"),
    [("roifile", "a.zip"), ("ome_zarr.writer", "a.zarr"), ("pycocotools.mask", "a.json")],
)
def test_a_missing_library_says_what_to_install(
    module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0].replace("_", "-")
    write = partial(write_coco, segmentation="rle") if name == "a.json" else export_labels
    with pytest.raises(ExportError, match=rf"{package}.*pip install napari-pvpu\[export\]"):
        write(tmp_path / name, LABELS)
    assert not contents(tmp_path)


def test_an_installed_library_is_given() -> None:
    assert library("json", "documents").dumps([1]) == "[1]"
