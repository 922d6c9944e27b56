"""README and guide are true: what they name exists, and what they show runs."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import typer
from PIL import Image
from typer.testing import CliRunner

import napari_pvpu
from documentation import (
    DOCS,
    MADE_AT_BUILD,
    ROOT,
    Block,
    anchors,
    blocks,
    commands,
    links,
    name_of,
    pages,
    prose,
    run_python,
)
from napari_pvpu.cli import app
from napari_pvpu.export import export_labels

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu import Session

each_page = pytest.mark.parametrize("page", pages(), ids=name_of)
EXAMPLES = sorted((DOCS / "gallery").glob("*.py"))
LARGEST_PICTURE = 400_000


@cache
def live_pages() -> Any:
    """Import docs/live_pages.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("live_pages", DOCS / "live_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def target_of(page: Path, link: str) -> Path:
    """Return the file that a link leads to; examples lead to their scripts."""
    target = (page.parent / link.partition("#")[0]).resolve() if link[0] != "#" else page
    if target.parent == DOCS / "examples":
        name = "GALLERY_HEADER.rst" if target.stem == "index" else f"{target.stem}.py"
        return DOCS / "gallery" / name
    return target


def test_every_page_is_in_one_table_of_contents() -> None:
    listed: list[str] = []
    for page in pages():
        for block in blocks(page):
            if block.language == "{toctree}":
                listed += [line for line in block.text.splitlines() if line and line[0] != ":"]
    written = {path.relative_to(DOCS).with_suffix("").as_posix() for path in pages()[2:]}
    made = {name.removesuffix(".md") for name in MADE_AT_BUILD} | {"examples/index"}
    assert sorted(listed) == sorted((written | made) - {"index"})


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for _, link in links(page):
        target = target_of(page, link)
        if target.relative_to(ROOT).as_posix().removeprefix("docs/") in MADE_AT_BUILD:
            continue
        assert target.exists(), link
        if "#" in link:
            assert link.partition("#")[2] in anchors(target), link


def test_pictures_are_there_and_shown_and_small() -> None:
    shown = {target_of(page, link) for page in pages() for picture, link in links(page) if picture}
    folders = ("images", "performance", "report/pictures")
    files = [path for folder in folders for path in (DOCS / folder).iterdir()]
    there = {path for path in files if path.suffix in {".png", ".svg"}}
    assert {path.name for path in shown} == {path.name for path in there}
    for path in there:
        assert path.stat().st_size < LARGEST_PICTURE, path.name
        if path.suffix == ".svg":
            continue
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 5, f"{path.name} is blank"


@each_page
def test_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for words in commands(page):
        if words[0] == "make":
            assert set(words[1:2]) <= targets, words
        else:
            check_command(words[1:])


@cache
def commands_of_the_program() -> Any:
    """Return what typer makes of the program."""
    return typer.main.get_command(app)


def check_command(words: list[str]) -> None:
    """Go down into commands, then look for every option."""
    command = commands_of_the_program()
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    if words and hasattr(command, "commands") and command.name == "napari-pvpu":
        # Words for any command, as in `napari-pvpu COMMAND --help`.
        assert not words[0].islower(), f"there is no command {words[0]}"
    options = {"--help"} | {
        option for each in command.params for option in (*each.opts, *each.secondary_opts)
    }
    for word in words:
        if word.startswith("--") and words[0] != "COMMAND":
            assert word.partition("=")[0] in options, f"{command.name} has no {word}"


def scripts() -> list[str]:
    """Return the paths of all scripts that blocks name."""
    text = "\n".join(block.text for page in pages() for block in blocks(page))
    return sorted(set(re.findall(r"(?:scripts|benchmarks|docs)/[\w/]+\.(?:py|sh)", text)))


@pytest.mark.parametrize("path", scripts())
def test_scripts_that_are_named_exist(path: str) -> None:
    assert (ROOT / path).is_file()


ACTIONS_OF_PAGES = {
    "README.md": ["accept", "use_boxes", "use_scribbles", "use_clicks", "undo"],
    "docs/guide/boxes.md": ["use_boxes"],
    "docs/guide/correcting.md": ["open_at_cursor", "accept", "reset", "merge_at_cursor"],
    "docs/guide/first-object.md": ["accept", "toggle_polarity", "undo", "redo"],
    "docs/guide/many-objects.md": [
        "toggle_batch", "hold", "next_uncertain", "previous_uncertain", "skip", "keyboard_cursor",
        "accept",
    ],
    "docs/guide/mask.md": ["compare_propagation", "return_to_best"],
    "docs/guide/outlines.md": [
        "use_lasso", "use_polygons", "toggle_filled_polygons", "use_paint", "accept"
    ],
    "docs/guide/planes.md": ["undo"],
    "docs/guide/scribbles.md": ["use_scribbles", "toggle_value_propagation"],
    "docs/guide/series.md": ["done_image", "skip_image", "next_image", "previous_image"],
    "docs/guide/sessions.md": ["undo", "redo"],
    "docs/guide/troubleshooting.md": ["use_clicks"],
    "docs/guide/volumes.md": ["propagate", "accept_into", "end_here"],
}  # fmt: skip
"""Actions whose keys a page tells."""
OTHER_KEYS = {"Shift", "Ctrl", "Alt", "Alt+Shift", "Delete", "Ctrl+E", "Ctrl+Y", "Space"}
"""With the mouse, of the keyboard's cross, or of napari itself."""


@each_page
def test_keys_are_those_of_the_actions(page: Path) -> None:
    from napari_pvpu.napari_side.controller import KEYS

    told = {
        re.sub("</?kbd>", "", keys)
        for keys in re.findall(r"<kbd>[^<]+</kbd>(?:\+<kbd>[^<]+</kbd>)*", prose(page))
    }
    actions = ACTIONS_OF_PAGES.get(name_of(page), [])
    keys = {KEYS[action].replace("Control", "Ctrl").replace("-", "+") for action in actions}
    assert told - OTHER_KEYS == keys


# What runs


def is_run_here(block: Block) -> bool:
    """Tell Python that needs no viewer; tests/gui runs the other."""
    return block.language == "python" and "viewer" not in block.text


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the files that the pages speak of."""
    from napari_pvpu import samples

    monkeypatch.chdir(tmp_path)
    cells = samples.load("simulated")
    tifffile.imwrite("cells.tif", cells.image)
    tifffile.imwrite("image.tif", cells.image)
    tifffile.imwrite("labels.tif", cells.truth)
    tifffile.imwrite("coins.tif", samples.load("coins").image)
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        tifffile.imwrite(f"images/{number}.tif", cells.image)
    return tmp_path


def names(page: Path) -> dict[str, Any]:
    """Return what the blocks of a page take for given."""
    from napari.layers import Labels

    if page.stem == "huge-images":
        return {"session": huge_session(), "export_labels": export_labels}
    if page.stem == "volumes":
        ball = np.linalg.norm(np.indices((20, 100, 100)) - [[[[10]]], [[[60]]], [[[55]]]], axis=0)
        return {"volume": np.float32(ball < 8)}
    labels = np.zeros((10, 512, 512), np.uint16)
    labels[3, 20:40, 30:60] = 1
    return {"labels": labels, "image": np.float32(labels), "layer": Labels(labels)}


def huge_session() -> Session:
    """Return a session on an image that no array could hold, with an object."""
    import dask.array as da

    from napari_pvpu import Segmenter

    session = Segmenter().open(da.zeros((100_000, 100_000), np.uint8, chunks=4096), limits=(0, 255))
    session.paint(np.ones((40, 40), bool), offset=(70_020, 5_020))
    session.accept()
    return session


with_python = [page for page in pages() if any(map(is_run_here, blocks(page)))]


@pytest.mark.parametrize("page", with_python, ids=name_of)
def test_python_runs_and_gives_what_its_comments_say(page: Path, desk: Path) -> None:
    known = names(page)
    for block in filter(is_run_here, blocks(page)):
        run_python(block.text, known)


def test_readme_tells_values() -> None:
    [block] = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert len(re.findall(r"# \d+$", block.text, re.MULTILINE)) == 2


RUN = ("segment", "export", "replay")


@pytest.mark.parametrize("name", ["README.md", "docs/guide/command-line.md"])
def test_commands_run(name: str, desk: Path) -> None:
    from napari_pvpu import Click, Journal, Segmenter, samples

    image = samples.load("coins").image
    session = Segmenter().open(image)
    journal = Journal.create("coins.pvpu-session", session, image)
    session.add(Click((43, 334)))
    session.accept()
    journal.close()
    for block in blocks(ROOT / name):
        if block.text.startswith("image,object,"):
            (desk / "prompts.csv").write_text(block.text, "utf-8")
    done = 0
    for words in commands(ROOT / name):
        if words[1:2] and words[1] in RUN and not {"--model", "FOLDER"} & set(words):
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, f"{' '.join(words)}: {result.output}"
            for number, word in enumerate(words):
                if word == "--out":
                    assert (desk / words[number + 1]).exists()
                    done += 1
    assert done >= 2


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    mpl.use("Agg")
    monkeypatch.setattr(plt, "show", lambda: None)  # on a screen it warns that Agg shows nothing
    shutil.copy(path, tmp_path)
    runpy.run_path(str(tmp_path / path.name))
    try:
        assert plt.get_fignums(), "it makes no picture"
    finally:
        plt.close("all")


# What is written from the program


def test_page_of_commands_has_them_all() -> None:
    text = live_pages().command_page()
    for name in typer.main.get_command(app).commands:
        assert f"## `napari-pvpu {name}`" in text


def test_page_of_keys_has_them_all() -> None:
    from napari_pvpu.napari_side.controller import KEYS

    text = live_pages().keys_page()
    for action in KEYS:
        assert f"`{action}`" in text


@pytest.mark.parametrize("name", sorted({*napari_pvpu.__all__} - {"__version__"}))
def test_public_name_is_in_the_reference(name: str) -> None:
    text = (DOCS / "reference" / "api.md").read_text("utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: (?:\w+\.)*(\w+)$", text, re.MULTILINE))
    if "napari_pvpu.errors" in text:
        from napari_pvpu import errors

        documented |= set(errors.__all__)
    assert name in documented
