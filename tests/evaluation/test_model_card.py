from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from napari_pvpu.errors import DatasetError, ModelNotFoundError, PvpuError
from napari_pvpu.evaluation.collected import Collected, collect
from napari_pvpu.evaluation.full_report import run_report
from napari_pvpu.evaluation.model_card import TABLES, fill_card, read_credits, write_model_card
from napari_pvpu.evaluation.settings import EvaluationSettings
from napari_pvpu.evaluation.suite import find_sets

if TYPE_CHECKING:
    from pathlib import Path

CREDITS = {
    "trained_on": [{"sets": ["disks", "rings"], "what": "round things", "licence": "CC0 1.0"}],
    "never_trained_on": [{"sets": ["far|out"], "what": "squares", "licence": "MIT, someone"}],
}


@pytest.fixture(scope="module")
def weights(small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with credits beside it."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    shutil.copy(small_weights, path)
    path.with_suffix(".credits.json").write_text(json.dumps(CREDITS))
    return path


@pytest.fixture(scope="module")
def results(weights: Path, two_sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results")
    settings = EvaluationSettings(model=str(weights), device="cpu", limit=1, max_interactions=1)
    parts = ["clicks", "boxes", "baselines"]
    run_report(find_sets(two_sets), settings, out, parts=parts, markdown_only=True)
    return out


@pytest.fixture
def found(results: Path) -> Collected:
    return collect(results)


def test_prose_stays_and_tables_are_written(found: Collected) -> None:
    card = (
        "# Mine\n\nBefore.\n\n<!-- table:begin kinds -->\n| old |\n<!-- table:end -->\n\n"
        "Between <!-- a comment -->.\n\n<!-- table:begin clicks -->\n<!-- table:end -->\nAfter."
    )
    filled = fill_card(card, found, CREDITS)
    assert "old" not in filled
    before, rest = filled.split("<!-- table:begin kinds -->\n")
    assert before == "# Mine\n\nBefore.\n\n"
    assert rest.startswith("\n| first prompt | sets | objects | IoU@1 |")
    assert "\n<!-- table:end -->\n\nBetween <!-- a comment -->.\n\n<!-- table:begin" in filled
    assert filled.endswith("\n<!-- table:end -->\nAfter.")
    # Kinds that were never trained on have a star.
    assert "| far\\|out\\* | 1 |" in filled
    assert "| disks | 1 |" in filled


def test_filling_again_changes_nothing(found: Collected) -> None:
    card = "<!-- table:begin clicks -->\n<!-- table:end -->\n"
    once = fill_card(card, found, CREDITS)
    assert fill_card(once, found, CREDITS) == once


def test_a_command_of_its_own_stays_a_block_of_code(found: Collected) -> None:
    card = "<!-- table:begin command -->\n<!-- table:end -->"
    blank, command, *_ = fill_card(card, found).splitlines()[1:]
    assert not blank
    assert command.startswith("    napari-pvpu evaluate DATA --report OUT ")


def test_markers_without_a_name_take_all_that_was_measured(found: Collected) -> None:
    filled = fill_card("<!-- table:begin -->\n<!-- table:end -->", found, CREDITS, "FACTS")
    for start in (
        "FACTS",
        "| set | what |",
        "| first prompt |",
        "| set | objects |",
        "| IoU@1 | tiny | flood |",
        "    napari-pvpu evaluate DATA --report OUT",
    ):
        assert f"\n{start}" in filled
    assert "EM on" not in filled


def test_credits_are_a_table(found: Collected) -> None:
    card = "<!-- table:begin credits -->\n<!-- table:end -->"
    lines = fill_card(card, found, CREDITS).splitlines()
    assert lines[4] == "| disks, rings | round things | CC0 1.0 | yes |"
    assert lines[5] == "| far\\|out | squares | MIT, someone | never |"


@pytest.mark.parametrize(
    ("card", "error", "message"),
    [
        ("no marker", PvpuError, "markers do not pair"),
        ("<!-- table:begin kinds -->\n| x |", PvpuError, "markers do not pair"),
        ("<!-- table:end -->\n<!-- table:begin kinds -->\n", PvpuError, "markers do not pair"),
        (
            "<!-- table:begin kinds -->\n<!-- table:begin em -->\n<!-- table:end -->",
            PvpuError,
            "markers do not pair",
        ),
        (
            "<!-- table:begin speed -->\n<!-- table:end -->",
            PvpuError,
            "no table 'speed' to fill; use one of weights, credits",
        ),
        (
            "<!-- table:begin em -->\n<!-- table:end -->",
            DatasetError,
            "has a table 'em', but there is nothing to fill it with",
        ),
    ],
    ids=["none", "open", "reversed", "nested", "unknown", "not-measured"],
)
def test_cards_that_cannot_be_filled(found: Collected, card, error, message) -> None:
    with pytest.raises(error, match=message):
        fill_card(card, found)


def test_a_card_is_written_from_the_template_and_kept_from_then_on(
    weights: Path, results: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cards" / "card.md"
    assert write_model_card(str(weights), results, out) == out
    text = out.read_text()
    assert text.startswith("# Model card: tiny\n")
    data = weights.read_bytes()
    assert hashlib.sha256(data).hexdigest() in text
    assert f"| size | {len(data) / 1e6:.2f} MB |" in text
    assert "| view | 64 × 64 model pixels |" in text
    out.write_text(text.replace("# Model card: tiny", "# My model"))
    assert write_model_card(str(weights), results, out).read_text().startswith("# My model\n")


def test_the_card_beside_the_weights_is_the_default(
    weights: Path, results: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "tiny.safetensors"
    shutil.copy(weights, mine)
    mine.with_suffix(".md").write_text("Prose.\n<!-- table:begin kinds -->\n<!-- table:end -->\n")
    elsewhere = write_model_card(str(mine), results, tmp_path / "x.md")
    assert elsewhere.read_text().startswith("Prose.\n<!-- table:begin kinds -->\n\n| first prompt")
    assert "first prompt" not in mine.with_suffix(".md").read_text()
    assert write_model_card(str(mine), results) == mine.with_suffix(".md")
    assert mine.with_suffix(".md").read_text() == elsewhere.read_text()


def test_results_of_other_weights_are_refused(weights: Path, results: Path, tmp_path: Path) -> None:
    import torch

    from napari_pvpu.networks.weights import load_model, save_weights

    other = tmp_path / "other.safetensors"
    network = load_model(weights, "cpu")
    with torch.no_grad():
        next(network.parameters()).add_(1)
    save_weights(network, other)
    with pytest.raises(DatasetError, match="was measured with other weights"):
        write_model_card(str(other), results, tmp_path / "x.md")
    assert not (tmp_path / "x.md").exists()


def test_a_model_without_weights_has_no_card(results: Path, monkeypatch) -> None:
    from napari_pvpu import model_files

    bare = model_files.find_model("pvpu-nano")._replace(weights=None)
    monkeypatch.setattr(model_files, "find_model", lambda name: bare)
    with pytest.raises(ModelNotFoundError, match="has no weights here"):
        write_model_card("pvpu-nano", results)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"trained_on": []}', '{"trained_on": [{"sets": ["a"], "what": ""}]}'],
    ids=["no-json", "list", "half", "no-licence"],
)
def test_credits_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError, match="does not hold credits"):
        read_credits(tmp_path / "x.json")


def test_the_shipped_card_has_markers_for_what_a_report_measures() -> None:
    from napari_pvpu.networks.weights import bundled_path

    card = bundled_path("pvpu-nano").with_suffix(".md").read_text(encoding="utf-8")
    known = read_credits(bundled_path("pvpu-nano").with_suffix(".credits.json"))
    for name in ("weights", "credits", "kinds", "clicks", "em", "baselines", "command"):
        assert name in TABLES
        assert f"<!-- table:begin {name} -->\n" in card
    named = [name for group in known.values() for entry in group for name in entry["sets"]]
    assert len(set(named)) == len(named) == 13
