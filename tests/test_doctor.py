"""The page that belongs into a bug report, and what it finds wrong."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
from typer.testing import CliRunner

import napari_pvpu.doctor as doctor_module
import napari_pvpu.features.device_trial as devices_module
from napari_pvpu.cli import app
from napari_pvpu.doctor import examine
from napari_pvpu.features.device_trial import Comparison, Trial, compare


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PVPU_CACHE", str(tmp_path / "store"))


def test_a_machine_in_order_has_no_problems(small_weights, tmp_path):
    page = examine(str(small_weights), screen=False)
    assert page.problems == []
    assert page.sections["Versions"]["torch"] == version("torch")
    digest = hashlib.sha256(small_weights.read_bytes()).hexdigest()
    assert page.sections["Model"]["sha256"] == digest
    assert page.sections["Feature store"]["written and read back"] == "yes"
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    first = page.devices[0]
    assert (first["device"], first["precision"]) == ("cpu", "float32")
    assert (first["difference"], first["iou"], first["problem"]) == (0, 1, None)
    assert first["encode_ms"] > 0
    assert first["interaction_ms"] > 0
    assert "None found." in page.as_markdown()
    assert "| cpu | float32 | 0 | 1.0000 |" in page.as_markdown()


def test_the_command_prints_a_page_or_json_and_ends_with_1(small_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(devices_module, "present_devices", lambda: ["cpu", "mps"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    words = ["doctor", "--model", str(small_weights), "--no-screen"]
    told = CliRunner().invoke(app, [*words, "--json"])
    assert told.exit_code == 1
    page = json.loads(told.stdout)
    assert [row["device"] for row in page["devices"]] == ["cpu"] * 3 + ["mps"] * 3
    assert "the device 'mps' fails" in page["problems"][0]
    assert len(page["problems"]) == 1
    out = tmp_path / "new" / "page.md"
    told = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert told.exit_code == 1
    assert "1 problems found" in told.stdout
    assert "| mps | float32 | - | - | - | - | fails (" in out.read_text("utf-8")


@pytest.mark.parametrize(("digest", "problems"), [("own", 0), ("0" * 64, 1)], ids=["same", "other"])
def test_weights_are_compared_with_their_card(small_weights, digest, problems):
    own = hashlib.sha256(small_weights.read_bytes()).hexdigest()
    card = small_weights.with_suffix(".md")
    card.write_text(f"| sha256 | `{own if digest == 'own' else digest}` |\n", "utf-8")
    found: list[str] = []
    facts = doctor_module._weights(str(small_weights), found)
    card.unlink()
    assert len(found) == problems
    assert facts["check"].startswith("as on" if not problems else "not as on")


def test_damaged_weights_are_a_problem(small_weights, tmp_path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(small_weights.read_bytes()[:1000])
    page = examine(str(damaged), screen=False)
    assert len(page.problems) == 1
    assert "damaged.safetensors" in page.problems[0]
    assert page.devices == []


def test_a_store_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NAPARI_PVPU_CACHE", str(tmp_path / "file"))
    problems: list[str] = []
    assert doctor_module._store(problems)["written and read back"] == "no"
    assert "cannot write to" in problems[0]
    monkeypatch.setenv("NAPARI_PVPU_CACHE", "off")
    assert doctor_module._store(problems)["state"].startswith("off")


def test_napari_may_be_missing(monkeypatch):
    def found(name):
        if name in ("napari", "qtpy", "vispy", "npe2", "superqt"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor_module, "version", found)
    monkeypatch.setattr(doctor_module, "_probed", None)  # is not asked
    page = doctor_module.Page()
    page.sections["Versions"] = doctor_module._versions(page.problems)
    assert page.sections["Versions"]["napari"] == "missing"
    assert doctor_module._window(page)["napari"].startswith("missing; install it")
    assert page.problems == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.abort()", "ended with code -6"),
        ("import sys; sys.exit('no driver')", "ended with code 1 (no driver)"),
        ("print('not what was asked for')", "ended with code 0"),
    ],
)
def test_a_driver_that_crashes_does_not_take_the_page_along(code, said):
    assert doctor_module._probed(("-c", code))[1].startswith(said)


def test_a_driver_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(doctor_module, "_PATIENCE", 0.3)
    code = "import time; time.sleep(60)"
    assert "took more than" in doctor_module._probed(("-c", code))[1]


def test_qt_and_the_manifest_are_asked_without_a_screen(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    page = doctor_module.Page({"Versions": {"napari": "0.9"}})
    facts = doctor_module._window(page)
    assert page.problems == []
    assert facts["manifest"] == "valid"
    assert "Qt 6" in facts["qt"]
    assert facts["opengl"] == "not asked, there is no screen"


@pytest.mark.parametrize(
    ("answers", "difference", "iou"),
    [([1, 1, -1, -1], 0, 1), ([1, -0.5, -1, -1], 1.5, 0.5), ([-1, -1, 3, -1], 4, 0)],
    ids=["same", "half", "apart"],
)
def test_answers_are_compared_as_logits_and_as_masks(answers, difference, iou):
    wanted = [torch.tensor([[1.0, 1, -1, -1]])]
    found = compare([torch.tensor([answers], dtype=torch.float32)], wanted)
    assert found == Comparison(difference, iou)
    assert found.equal() == (iou == 1)


def test_a_trial_holds_all_kinds_of_prompts_and_pixels_outside():
    trial = Trial(64)
    kinds = {int(kind) for prompts, _ in trial.questions for kind in prompts.kind.flatten()}
    assert kinds == {1, 2, 3}
    assert {before is None for _, before in trial.questions} == {True, False}
    outside = trial.view.isnan()
    assert outside[..., :4].all()
    assert not outside[..., 4:].any()
    assert torch.equal(trial.view.nan_to_num(), Trial(64).view.nan_to_num())
