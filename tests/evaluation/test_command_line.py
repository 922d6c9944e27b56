"""The commands of ``napari-pvpu`` that measure and report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from napari_pvpu.cli import app

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: object, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("command", ["evaluate", "evaluate-all"])
def test_both_commands_have_every_option(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_pvpu.evaluation.options import OPTIONS

    monkeypatch.setenv("COLUMNS", "200")
    shown = run(command, "--help").stdout
    for option in OPTIONS:
        assert option.flag in shown
    assert "--no-em" in shown
    assert "--no-iou-analysis" not in shown


def test_a_report_and_its_card(two_sets: Path, small_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--model", small_weights, "--device", "cpu", "--limit", 1, "--max-interactions", 2]
    words += ["--targets", "0.5", "0.75", "--parts", "clicks,failures"]
    shown = run("evaluate", two_sets, "--report", out, *words).stdout
    assert shown.splitlines() == [str(out / "report.md"), str(out / "report.html")]
    text = (out / "report.md").read_text()
    assert "| NoC@50 | NoC@75 |" in text
    assert "--targets 0.5 0.75" in text
    assert len(list((out / "pictures").glob("*/*.webp"))) == 2

    again = tmp_path / "again"
    run("report", out / "results", "--out", again)
    assert (again / "report.md").read_text() == text
    run("report", out, "--out", tmp_path / "plain", "--no-pictures", "--markdown-only")
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["report.md"]

    card = tmp_path / "card.md"
    card.write_text("By hand.\n\n<!-- table:begin clicks -->\n<!-- table:end -->\n")
    run("model-card", small_weights, out, "--out", card)
    assert card.read_text().startswith("By hand.\n\n<!-- table:begin clicks -->\n\n| set | obj")


def test_one_set_may_be_reported(mask_folder: Path, small_weights: Path, tmp_path: Path) -> None:
    words = ["--model", small_weights, "--device", "cpu", "--limit", 1, "--max-interactions", 1]
    words += ["--report", tmp_path / "out", "--parts", "clicks"]
    run("evaluate", mask_folder, *words)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "1 set, 1 objects" not in text
    assert "1 set, 1 object." in text
    # Curves by set would show the same as those of all sets.
    assert text.count("![") == 1


def test_all_sets_by_several_workers(two_sets: Path, tmp_path: Path) -> None:
    words = ["--method", "otsu", "--max-interactions", 2]
    run("evaluate-all", two_sets, "--out", tmp_path / "one", *words)
    run("evaluate-all", two_sets, "--out", tmp_path / "two", *words, "--workers", 2)
    found = []
    for place in ("one", "two"):
        paths = sorted((tmp_path / place).glob("*.json"))
        found.append({path.name: json.loads(path.read_text())["objects"] for path in paths})
    assert found[0] == found[1]
    assert len(found[0]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "DATA", "--report", "OUT", "--json", "x"], "leave out --json"),
        (["evaluate", "DATA", "--report", "OUT", "--prompts", "box"], "leave out --prompts"),
        (["evaluate", "DATA", "--report", "OUT", "--workers", "2", "--parts", "x"], "no part 'x'"),
        (["evaluate", "DATA", "--no-pictures"], "belong to a report; add --report DIR"),
        (["evaluate", "DATA", "--workers", "2"], "belong to a report; add --report DIR"),
        (["evaluate", "NOWHERE", "--report", "OUT"], "no set below"),
        (["report", "NOWHERE", "--out", "OUT"], "is not a folder; give the folder of a report"),
        (["report", "DATA", "--out", "OUT"], "no result in"),
        (["report", "DATA", "DATA", "--out", "OUT"], "takes one folder of results, not 2"),
        (["report", "DATA", "--markdown-only"], "belong to a report; add --out DIR"),
        (["model-card", "pvpu-none", "DATA"], "there is no model 'pvpu-none'"),
    ],
)
def test_errors_are_one_line(mask_folder: Path, tmp_path: Path, words, message) -> None:
    places = {"DATA": mask_folder, "NOWHERE": tmp_path / "nowhere", "OUT": tmp_path / "out"}
    result = run(*[places.get(word, word) for word in words], code=2)
    (line,) = result.stderr.splitlines()
    assert line.startswith("napari-pvpu: ")
    assert message in line
    assert not (tmp_path / "out").exists()
