from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import napari_pvpu
from napari_pvpu.evaluation.__main__ import main

NOT_NEEDED = (
    *("napari", "qtpy", "PyQt6", "superqt", "pydantic", "typer", "yaml", "tifffile"),
    *("matplotlib", "markdown_it", "cv2"),
)


def test_one_set(mask_folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "x.json"
    words = ["--method", "otsu", "--max-interactions", "2", "--limit", "3", "--json", str(out)]
    assert main([str(mask_folder), *words]) == 0
    assert capsys.readouterr().out.startswith("| set | method | objects | IoU@1 |")
    assert json.loads(out.read_text())["n_objects"] == 3


def test_every_set(two_sets: Path, tmp_path: Path, capsys) -> None:
    words = ["--method", "flood", "--max-interactions", "1", "--out", str(tmp_path)]
    assert main([str(two_sets), *words]) == 0
    assert capsys.readouterr().out == (tmp_path / "report.md").read_text()
    names = {path.name for path in tmp_path.glob("*.json")}
    assert names == {"disks.flood.click.json", "far|out.flood.click.json"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["NOWHERE"], "is not a folder; known layouts"),
        (["DATA", "--method", "magic"], "unknown method 'magic'"),
        (["DATA", "--parts", "clicks"], "belong to a report; add --report DIR"),
        (["DATA", "--workers", "2"], "one set is evaluated by one process"),
        (["DATA", "--workers", "0", "--out", "OUT"], "workers is 0; it must be 1 or more"),
        (["DATA", "--report", "OUT", "--em", "--jitter", "2"], "leave out --em, --jitter"),
        (["DATA", "--report", "OUT", "--parts", "all"], "no part 'all'; parts are clicks, boxes"),
        (["NOWHERE", "--report", "OUT", "--markdown-only"], "no set below"),
    ],
)
def test_errors_are_one_line(mask_folder: Path, tmp_path: Path, capsys, words, message) -> None:
    places = {"DATA": mask_folder, "NOWHERE": tmp_path / "nowhere", "OUT": tmp_path / "out"}
    assert main([str(places.get(word, word)) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("napari_pvpu.evaluation: ")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_plain_checkout_is_enough(two_sets: Path, small_weights: Path, tmp_path: Path) -> None:
    """All of a report but its curves and HTML, without what is only there for people."""
    blocked = ", ".join(f"{name!r}: None" for name in NOT_NEEDED)
    code = (
        f"import sys; sys.modules.update({{{blocked}}}); "
        "from napari_pvpu.evaluation.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [two_sets, "--report", tmp_path, "--model", small_weights, "--device", "cpu"]
    words += ["--limit", "1", "--max-interactions", "1", "--markdown-only"]
    words += ["--parts", "clicks,scribbles,em,baselines,failures,timings"]
    source = str(Path(napari_pvpu.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'report.md'}\n"
    text = (tmp_path / "report.md").read_text()
    assert "## Classical methods" in text
    assert "its library is missing: grabcut" in text
    assert len(list((tmp_path / "pictures").rglob("*.webp"))) == 2


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; from napari_pvpu.evaluation.__main__ import _parser; _parser().format_help();"
        "print(sorted({'torch', 'numpy', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
