from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from PIL import Image

from napari_pvpu.errors import DatasetError, PvpuError
from napari_pvpu.evaluation.full_report import build_report, run_report
from napari_pvpu.evaluation.settings import EvaluationSettings
from napari_pvpu.evaluation.suite import Task, find_sets, run_tasks

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"img", "meta", "br", "hr", "link"}


@pytest.fixture(scope="module")
def settings(small_weights: Path) -> EvaluationSettings:
    return EvaluationSettings(model=str(small_weights), device="cpu", limit=2, max_interactions=3)


@pytest.fixture(scope="module")
def report(
    two_sets: Path, settings: EvaluationSettings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A whole report on two tiny sets; tests leave it as it is."""
    out = tmp_path_factory.mktemp("report")
    written = run_report(find_sets(two_sets), settings, out)
    assert written == [out / "report.md", out / "report.html"]
    return out


class Page(HTMLParser):
    """What a page is made of; fails on tags that do not close each other."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tables = 0
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        named = dict(attrs)
        self.ids.add(named.get("id", ""))
        self.tables += tag == "table"
        if tag == "img":
            self.pictures.append(named["src"])
            assert named["alt"]
        if tag == "a":
            self.links.append(named["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data


def sections(report: Path) -> dict[str, str]:
    """Text of a report's sections by title."""
    parts = re.split(r"^## (.*)$", (report / "report.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_part_has_a_section(report: Path) -> None:
    assert list(sections(report)) == [
        "At a glance",
        "Clicks",
        "Box first, then clicks",
        "Scribble first, then clicks",
        "Mixed: every interaction a click, a box or a scribble at random",
        "Curves of each set",
        "EM value propagation on and off",
        "Clicks that miss",
        "Classical methods",
        "The worst objects",
        "How long it takes",
        "How it was measured",
    ]


def test_tables_say_what_the_results_do(report: Path) -> None:
    of_sets = [
        json.loads((report / "results" / f"{name}.small.click.json").read_text())
        for name in ("disks", "far|out")
    ]
    lines = sections(report)["Clicks"].strip().splitlines()
    assert lines[0].startswith("| set | objects | IoU@1 | IoU@2 | IoU@3 | NoC@80 |")
    for line, name, result in zip(lines[2:4], ("disks", "far\\|out"), of_sets, strict=True):
        assert line.startswith(f"| {name} | 2 | {result['iou_at']['1']:.3f} ")
        assert f"| {result['noc']['0.85']:.2f} |" in line
        assert line.endswith(f"| {result['worse_share']:.1%} |")
    mean = sum(result["iou_at"]["3"] for result in of_sets) / 2
    assert f"| **{mean:.3f}** |" in lines[4]
    assert (
        f"| clicks | 2 | 4 | {sum(r['iou_at']['1'] for r in of_sets) / 2:.3f} ± "
        in (sections(report)["At a glance"])
    )


def test_the_head_names_the_weights(report: Path, small_weights: Path) -> None:
    import hashlib

    head = (report / "report.md").read_text().split("## ")[0]
    assert head.startswith("# How good small is\n")
    assert hashlib.sha256(small_weights.read_bytes()).hexdigest() in head
    assert "2 sets, 4 objects" in head


def test_the_command_measures_the_same(report: Path) -> None:
    how = sections(report)["How it was measured"]
    assert (
        "    napari-pvpu evaluate DATA --report OUT --max-interactions 3 --model "
        "small.safetensors --limit 2\n"
    ) in how
    assert "sets disks, far|out below DATA" in how


def test_baselines_stand_beside_the_model(report: Path) -> None:
    header, _, *rows = sections(report)["Classical methods"].strip().splitlines()[2:]
    assert header == "| IoU@3 | small | flood | grabcut | otsu | random-walker | watershed |"
    assert len(rows) == 3
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[2:-1]]
        values = [float(cell.strip("*")) for cell in cells]
        best = [cell.startswith("**") for cell in cells]
        assert best == [value == max(values) for value in values]


def test_the_page_holds_every_picture(report: Path) -> None:
    text = (report / "report.md").read_text()
    named = re.findall(r"!\[[^\]]*\]\(<?(pictures/[^)>]*)>?\)", text)
    assert len(named) == 2 + 4
    page = Page(report / "report.html")
    assert len(page.pictures) == len(named)
    assert all(picture.startswith("data:image/") for picture in page.pictures)
    assert page.tables == len(re.findall(r"^\|---", text, flags=re.MULTILINE))
    assert {link.lstrip("#") for link in page.links} <= page.ids
    assert len(page.links) == len(sections(report))
    # Names of files are text, whatever Markdown would make of them.
    assert "a*b*, object" in page.text
    assert "[x](y), object" in page.text


def test_pictures_can_be_read(report: Path) -> None:
    curves = sorted((report / "pictures").glob("*.svg"))
    assert [path.name for path in curves] == ["curves-by-set.svg", "curves.svg"]
    words = []
    for path in curves:
        root = ElementTree.parse(path).getroot()
        words.append({text.text for text in root.iter("{http://www.w3.org/2000/svg}text")})
        assert {"clicks", "box first", "scribble first", "mixed", "interactions"} <= words[-1]
    assert {"disks", "far|out"} <= words[0]
    # The one over all sets shows what the kinds of prompts are held against, too.
    assert {"clicks, EM on", "mixed, EM on", "otsu", "watershed"} <= words[1]
    assert not {"clicks, EM on", "otsu"} & words[0]
    glance = sections(report)["At a glance"]
    assert "hollow marks: EM value propagation on. Grey: classical methods" in glance
    cases = sorted((report / "pictures").glob("*/*.webp"))
    assert len(cases) == 4
    for path in cases:
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("WEBP", (320, 320))


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.json"))}


def test_a_report_goes_on_where_it_was_cut_off(
    report: Path, two_sets: Path, settings: EvaluationSettings, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(report, out)
    before = times(out)
    lost = out / "results" / "far|out.small-em.box.json"
    was = json.loads(lost.read_text())
    lost.unlink()
    (out / "report.html").unlink()
    picture = out / "results" / "failures" / "disks" / "01.webp"
    drawn = picture.read_bytes()
    picture.unlink()
    run_report(find_sets(two_sets), settings, out)
    after = times(out)
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path.rpartition("/")[2] for path in changed} == {lost.name, "run.json", "disks.json"}
    assert json.loads(lost.read_text())["objects"] == was["objects"]
    assert picture.read_bytes() == drawn
    assert (out / "report.md").read_text() == (report / "report.md").read_text()
    assert (out / "report.html").read_text() == (report / "report.html").read_text()


def test_other_weights_are_measured_anew(
    report: Path, two_sets: Path, settings: EvaluationSettings, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(report, out)
    path = out / "results" / "disks.small.click.json"
    other = json.loads(path.read_text())
    other["weights"]["sha256"] = "0" * 64
    other["n_objects"] = 77
    path.write_text(json.dumps(other))
    with pytest.raises(DatasetError, match="results of 2 models or weights"):
        build_report(out, out)
    run_report(find_sets(two_sets), settings, out, parts=["clicks"], markdown_only=True)
    assert json.loads(path.read_text())["n_objects"] == 2


def test_a_report_without_pictures_shows_no_data(report: Path, tmp_path: Path) -> None:
    out = tmp_path / "plain"
    build_report(report, out, pictures=False)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {
        "report.md",
        "report.html",
        "pictures/curves.svg",
        "pictures/curves-by-set.svg",
    }
    worst = sections(out)["The worst objects"]
    assert "| disks | a\\*b\\* | " in worst
    assert not any("webp" in picture for picture in Page(out / "report.html").pictures)


def test_pictures_of_an_earlier_report_are_taken_away(report: Path, tmp_path: Path) -> None:
    build_report(report, tmp_path)
    assert len(list(tmp_path.rglob("*.webp"))) == 4
    build_report(report, tmp_path, pictures=False)
    assert list(tmp_path.rglob("*.webp")) == []


@pytest.mark.parametrize("package", ["matplotlib", "markdown_it"])
def test_markdown_only_needs_nothing_more(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PvpuError, match=r"not installed; run: pip install 'napari-pvpu\[report\]'"):
        build_report(report, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert build_report(report, tmp_path, markdown_only=True) == [tmp_path / "report.md"]
    assert "svg" not in (tmp_path / "report.md").read_text()


def test_parts_are_measured_alone(
    two_sets: Path, settings: EvaluationSettings, tmp_path: Path
) -> None:
    run_report(find_sets(two_sets)[:1], settings, tmp_path, parts=["jitter"], markdown_only=True)
    names = {path.name for path in (tmp_path / "results").iterdir()}
    # Exact clicks come along to compare with.
    assert names == {"disks.small.click.json", "disks.small.click-jitter3.json", "run.json"}
    assert list(sections(tmp_path)) == [
        "At a glance",
        "Clicks",
        "Clicks that miss",
        "How long it takes",
        "How it was measured",
    ]
    assert "--parts jitter" in sections(tmp_path)["How it was measured"]
    # A part that is added later does not hide those that were there.
    parts = ["failures"]
    run_report(find_sets(two_sets)[:1], settings, tmp_path, parts=parts, markdown_only=True)
    assert {"Clicks that miss", "The worst objects"} <= set(sections(tmp_path))
    assert "--parts jitter,failures" in sections(tmp_path)["How it was measured"]


def test_workers_change_no_result(
    report: Path, two_sets: Path, settings: EvaluationSettings, tmp_path: Path
) -> None:
    tasks = []
    for folder, kind in zip(find_sets(two_sets), ("scribble", "mixed"), strict=True):
        path = tmp_path / f"{kind}.json"
        tasks.append(Task(folder, replace(settings, prompts=kind), path))
    together = run_tasks(tasks, workers=2)
    for name, kind, result in zip(
        ("disks", "far|out"), ("scribble", "mixed"), together, strict=True
    ):
        alone = json.loads((report / "results" / f"{name}.small.{kind}.json").read_text())
        assert result["objects"] == alone["objects"]
        assert (result["noc"], result["iou_at"]) == (alone["noc"], alone["iou_at"])
        assert (result["machine"]["processes"], result["machine"]["threads"]) == (2, 1)


def test_all_that_is_wrong_with_the_sets_is_said_at_once(
    two_sets: Path, settings: EvaluationSettings, tmp_path: Path
) -> None:
    root = tmp_path / "sets"
    shutil.copytree(two_sets, root)
    (root / "disks" / "val" / "masks" / "a*b*.png").unlink()
    with pytest.raises(DatasetError, match=r"a\*b\*.png has no mask.*no object of 900 or more"):
        run_report(find_sets(root), replace(settings, min_area=900), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sets_of_one_name_are_refused(
    two_sets: Path, settings: EvaluationSettings, tmp_path: Path
) -> None:
    shutil.copytree(two_sets / "disks" / "val", tmp_path / "disks")
    folders = [two_sets / "disks" / "val", tmp_path / "disks"]
    with pytest.raises(DatasetError, match="have the same name; rename one"):
        run_report(folders, settings, tmp_path / "out")


def test_results_of_baselines_alone_are_no_report(report: Path, tmp_path: Path) -> None:
    shutil.copy(report / "results" / "disks.otsu.click.json", tmp_path)
    with pytest.raises(DatasetError, match="no result of a model, only of baselines"):
        build_report(tmp_path, tmp_path / "out")
    with pytest.raises(DatasetError, match="is not a folder; give the folder of a report"):
        build_report(tmp_path / "out", tmp_path / "out")
