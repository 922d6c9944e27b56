from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_pvpu.cli import app

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Two bright squares with their labels."""
    root = tmp_path / "squares"
    labels = np.zeros((64, 80), np.uint8)
    labels[8:24, 10:30] = 1
    labels[36:56, 40:60] = 2
    for name, values in (("images", np.where(labels, 200, 40)), ("masks", labels)):
        (root / name).mkdir(parents=True)
        Image.fromarray(values.astype(np.uint8)).save(root / name / "a.png")
    return root


@pytest.fixture(scope="module")
def weights(small_weights: Path, one_thread: None) -> Path:
    """Weights of an untrained network: enough for everything but good masks."""
    return small_weights


def run(*words: object, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def one_line(result) -> str:
    """The only line on stderr."""
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    return line


def test_evaluate_a_baseline(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.json"
    words = ["--method", "watershed", "--max-interactions", 3, "--limit", 1, "--json", out]
    result = run("evaluate", squares, *words)
    written = json.loads(out.read_text())
    assert written["n_objects"] == 1
    assert written["iou_at"]["3"] > 0.9
    assert written["iou_at"]["5"] is None
    assert list(written["noc"]) == list(written["failures"]) == ["0.8", "0.85", "0.9"]
    assert written["settings"]["method"] == "watershed"
    assert result.stdout.startswith("| set | method | objects |")


@pytest.mark.parametrize(
    "words",
    [
        ["--targets", "0.5", "0.75", "DATA"],
        ["DATA", "--targets", "0.5", "0.75"],
        ["--targets", "0.5", "--targets", "0.75", "DATA"],
        ["--targets", "0.5", "0.75", "--limit", "1", "DATA"],
        ["--targets=0.5", "DATA", "--targets", "0.75"],
    ],
    ids=["before", "after", "repeated", "an-option-between", "equals-sign"],
)
def test_several_targets(squares: Path, tmp_path: Path, words: list[str]) -> None:
    words = [str(squares) if word == "DATA" else word for word in words]
    out = tmp_path / "out.json"
    run("evaluate", *words, "--method", "otsu", "--max-interactions", 1, "--json", out)
    assert json.loads(out.read_text())["settings"]["targets"] == [0.5, 0.75]


@pytest.mark.parametrize("kind", ["click", "box", "scribble", "mixed"])
def test_evaluate_our_engine_with_all_kinds(
    squares: Path, tmp_path: Path, weights: Path, kind: str
) -> None:
    out = tmp_path / "out.json"
    words = ["--model", weights, "--prompts", kind, "--max-interactions", 3, "--device", "cpu"]
    run("evaluate", squares, *words, "--json", out)
    written = json.loads(out.read_text())
    assert written["n_objects"] == 2
    assert written["settings"]["prompts"] == kind
    assert written["ms_encode"]["median"] > 0
    first = {result["kinds"][0] for result in written["objects"]}
    assert kind == "mixed" or first == {kind}


@pytest.mark.parametrize("zoom", ["none", "ritm", "simpleclick"])
def test_evaluate_as_the_papers_do(squares: Path, tmp_path: Path, weights: Path, zoom: str) -> None:
    out = tmp_path / "out.json"
    words = ["--model", weights, "--device", "cpu", "--max-interactions", 3, "--protocol", "ritm"]
    shown = run("evaluate", squares, *words, "--flip", "--zoom-in", zoom, "--json", out).stdout
    assert "| NoC=3@90 | never@80 |" in shown
    assert "| t_encode ms | t_click ms | SPC_20 ms |" in shown
    written = json.loads(out.read_text())
    assert written["settings"]["flip"] is True
    assert written["settings"]["zoom_in"] == zoom
    speed = written["speed"]
    assert speed["spc"]["20"] == pytest.approx(speed["t_encode"] / 20 + speed["t_click"])


def test_evaluate_with_perturbed_clicks(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["--method", "flood", "--max-interactions", 2, "--jitter", 3, "--seeds", 5]
    shown = run("evaluate", squares, *words, "--json", out).stdout
    assert "| over 5 seeds | mean | std | min | max |" in shown
    written = json.loads(out.read_text())
    assert written["n_objects"] == 2
    assert len(written["objects"]) == 10
    assert set(written["over_seeds"]["noc"]) == {"0.8", "0.85", "0.9"}


def test_evaluation_is_repeatable(squares: Path, tmp_path: Path, weights: Path) -> None:
    curves = []
    for name in ("one.json", "two.json"):
        words = ["--model", weights, "--prompts", "mixed", "--max-interactions", 3, "--seed", 5]
        run("evaluate", squares, *words, "--json", tmp_path / name)
        curves.append(json.loads((tmp_path / name).read_text())["objects"])
    assert curves[0] == curves[1]


def test_evaluate_all_and_report(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--method", "otsu", "--method", "flood", "--max-interactions", 1]
    shown = run("evaluate-all", squares.parent, "--out", out, *words).stdout
    assert shown.startswith("| IoU@1 | otsu | flood |")
    assert (out / "report.md").read_text() == shown
    again = run("report", out, "--at", 1).stdout
    assert again.startswith("| IoU@1 | flood | otsu |")


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_segment_writes_a_label_image(
    squares: Path, tmp_path: Path, weights: Path, suffix: str
) -> None:
    out = tmp_path / "deep" / f"labels{suffix}"
    prompts = ["--click", "45,50", "--negative-click", "16,20", "--box", "36,40,55,59"]
    prompts += ["--scribble", "40,44 50,55", "--negative-scribble", "5,5 5,20"]
    words = ["--model", weights, "--device", "cpu", "--out", out]
    result = run("segment", squares / "images" / "a.png", *prompts, *words)
    labels = tifffile.imread(out) if suffix == ".tif" else np.asarray(Image.open(out))
    assert labels.shape == (64, 80)
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) == {0, 1}
    assert labels[45, 50] == 1
    assert labels[16, 20] == 0
    assert f"{(labels == 1).sum()} pixels" in result.stdout


def test_models_as_json() -> None:
    rows = json.loads(run("models", "--json", "--time", "none").stdout)
    (nano,) = [row for row in rows if row["name"] == "pvpu-nano"]
    assert 2e6 < nano["parameters"] < 6e6
    assert 0 < nano["interactive_parameters"] < nano["parameters"]
    assert nano["view_size"] == 128
    assert (nano["weights"] is None) == (nano["weights_mb"] is None)
    assert nano["encode_ms"] is nano["interaction_ms"] is None


def test_models_as_text() -> None:
    lines = run("models", "--time", "none").stdout.splitlines()
    assert lines[0].split()[:2] == ["name", "parameters"]
    assert lines[1].startswith("pvpu-nano ")


def test_models_are_timed(monkeypatch: pytest.MonkeyPatch, small_config: ModelConfig) -> None:
    monkeypatch.setattr("napari_pvpu.model_listing.PRESETS", {"small": small_config})
    (row,) = json.loads(run("models", "--json", "--device", "cpu").stdout)
    assert row["encode_ms"] > 0
    assert row["interaction_ms"] > 0


def test_what_is_shown_of_a_model_can_be_changed_and_shown(tmp_path: Path, weights: Path) -> None:
    mine = tmp_path / "mine.yaml"
    shown = run("models", "show", weights).stdout
    mine.write_text(shown.replace("depth: 1", "depth: 2"))
    assert run("models", "show", mine).stdout == shown.replace("depth: 1", "depth: 2")
    assert run("models", "show", "interformer-tiny").stdout.startswith("name: interformer-tiny\n")


def test_a_yaml_file_is_a_model(squares: Path, tmp_path: Path, weights: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(run("models", "show", weights).stdout + f"weights: {weights}\n")
    image, words = squares / "images" / "a.png", ["--click", "45,50", "--device", "cpu"]
    for name, out in ((mine, "one.png"), (weights, "two.png")):
        run("segment", image, *words, "--model", name, "--out", tmp_path / out)
    one, two = (np.asarray(Image.open(tmp_path / name)) for name in ("one.png", "two.png"))
    assert np.array_equal(one, two)
    for protocol in ("session", "ritm"):
        words = ["--model", mine, "--max-interactions", 1, "--limit", 1, "--device", "cpu"]
        run("evaluate", squares, *words, "--protocol", protocol)


def test_train_by_files_and_settings(squares: Path, tmp_path: Path, weights: Path) -> None:
    mine, recipe = tmp_path / "mine.yaml", tmp_path / "recipe.yaml"
    mine.write_text(run("models", "show", weights).stdout)
    recipe.write_text("base: pvpu\nviews: 2\nobjects: 1\nprecision: float32\nsteps: 1\n")
    words = ["--data", squares, "--no-stream", "--synthetic", 0]
    words += ["--model", mine, "--recipe", recipe]
    words += ["--set", "optimizer.rate=1e-4", "--set", "rounds=[1]", "--device", "cpu"]
    shown = run("train", tmp_path / "none", *words, "--show-recipe").stdout
    for line in ("steps: 1\n", "views: 2\n", "  rate: 0.0001\n", "rounds: [1.0]\n", "  size: 64\n"):
        assert line in shown
    assert not (tmp_path / "none").exists()
    run("train", tmp_path / "run", *words)
    made = tmp_path / "run" / "weights.safetensors"
    run("models", "show", made)
    run("train", tmp_path / "more", *words, "--model", made, "--steps", 2)
    assert (tmp_path / "more" / "weights.safetensors").is_file()


def test_convert_says_what_became_of_every_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_pvpu.networks.released_weights import Conversion

    def convert(release, checkpoint, out, *, half):
        assert (release, checkpoint.name, half) == ("pvpuformer-vit-b16", "official.pth", True)
        out.write_bytes(bytes(2_000_000))
        left_out = {f"head.{i}": "nothing runs it" for i in range(5)}
        return Conversion({"a": 0, "b": 0}, {}, left_out, {"score": "it is ours"})

    monkeypatch.setattr("napari_pvpu.convert_releases.convert_checkpoint", convert)
    out = tmp_path / "x.safetensors"
    lines = run("convert", "pvpuformer-vit-b16", "official.pth", out, "--half").stdout.splitlines()
    assert lines == [
        f"{out}: 2 tensors taken, 2 MB",
        "5 left out (nothing runs it): head.0, head.1, head.2, ...",
        "1 not in it (it is ours): score",
    ]


def test_the_package_is_a_program() -> None:
    words = [sys.executable, "-m", "napari_pvpu", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "napari-pvpu [OPTIONS] COMMAND" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "NOWHERE"], "is not a folder"),
        (["evaluate", "EMPTY"], "known layouts are folder: images/ + masks/"),
        (["evaluate", "DATA", "--layout", "coco"], "no layout 'coco'; use auto, folder, grabcut"),
        (["evaluate", "DATA", "--flip"], "belong to the protocol 'ritm'"),
        (["evaluate", "DATA", "--protocol", "ritm", "--method", "otsu"], "'otsu' has none"),
        (["evaluate", "DATA", "--seeds", "5"], "every run would be the same"),
        (["evaluate", "DATA", "--method", "magic"], "unknown method 'magic'"),
        (["evaluate", "DATA", "--model", "pvpu-none"], "pvpu-none"),
        (["evaluate", "DATA", "--targets", "1.5"], "targets are (1.5,)"),
        (["evaluate", "DATA", "--min-area", "100000"], "no object of 100000 or more pixels"),
        (["evaluate-all", "NOWHERE", "--out", "OUT"], "no set below"),
        (["report", "NOWHERE.json"], "cannot be read"),
        (["segment", "IMAGE", "--out", "OUT.tif"], "no prompt was given"),
        (["segment", "IMAGE", "--out", "OUT.tif", "--click", "3"], "'3' is not 2 numbers"),
        (["segment", "IMAGE", "--out", "OUT.tif", "--click", "nan,3"], "finite"),
        (["segment", "IMAGE", "--out", "OUT.tif", "--box", "1,2,1,9"], "no area"),
        (["segment", "IMAGE", "--out", "OUT.tif", "--scribble", "1,2"], "two points"),
        (["segment", "IMAGE", "--out", "OUT.jpg", "--click", "3,4"], "use a name in .tif or .png"),
        (["segment", "NOWHERE", "--out", "OUT.tif", "--click", "3,4"], "cannot be read"),
        (["segment", "IMAGE", "--out", "OUT.tif", "--click", "-9,4"], "outside the image"),
        (["models", "show", "pvpu-none"], "there is no model 'pvpu-none': did you mean"),
        (["models", "show", "BAD"], "there is no setting 'encoder.depht'; allowed here are kind"),
        (["models", "--device", "abacus"], "there is no device 'abacus'"),
        (["convert", "sam", "x.pth", "OUT"], "there is no release 'sam'; use interformer-light"),
        (["train", "OUT", "--model", "pvpu-none"], "pvpu-none"),
        (["train", "OUT", "--model", "BAD"], "there is no setting 'encoder.depht'"),
        (["train", "OUT", "--model", "TIMM"], "timm has no backbone 'resnet81'; similar ones are"),
        (["train", "OUT", "--recipe", "magic"], "no recipe 'magic': it is neither one of pvpu, "),
        (["train", "OUT", "--recipe", "BAD"], "there is no setting 'encoder'; allowed here are st"),
        (["train", "OUT", "--set", "steps"], "'steps' sets nothing"),
        (["train", "OUT", "--set", "optimizer.rat=1"], "no setting 'optimizer.rat'; allowed here"),
        (["train", "OUT", "--set", "steps=many"], "steps is 'many', which is no int"),
        (["segment", "IMAGE", "--out", "OUT.tif", "--click", "3,4", "--model", "TIMM"], "no weigh"),
        (["train", "OUT", "--no-stream", "--synthetic", "0"], "nothing to train on"),
        (["train", "OUT", "--set", "stream.shar=1"], "no setting 'stream.shar'; allowed here are"),
        (["train", "OUT", "--set", "stream.share=2"], "share 2.0 of scenes is not in 0 to 1"),
        (["train", "OUT", "--set", "stream=2"], "stream has to hold settings by name, not 2"),
        (["pack", "DATA", "--out", "x.zip"], "is written as NAME.pvpuset, not 'x.zip'"),
        (["pack", "--out", "x.pvpuset"], "there is nothing to pack"),
        (["contact-sheet", "--out", "x.png", "--kind", "elves"], "no kind of scene 'elves'; kinds"),
        (["train", "OUT", "--data", "x.json"], "give --images DIR"),
        (["train", "OUT", "--data", "x.json", "--images", "DATA"], "x.json cannot be read as JSON"),
        (["train", "OUT", "--data", "EMPTY"], "laid out in no way that is known"),
    ],
)
def test_errors_are_one_line(
    squares: Path, tmp_path: Path, weights: Path, words: list[str], message: str
) -> None:
    places = {
        "DATA": squares,
        "IMAGE": squares / "images" / "a.png",
        "NOWHERE": tmp_path / "nowhere",
        "EMPTY": tmp_path / "empty",
        "NOWHERE.json": tmp_path / "nowhere.json",
        "OUT": tmp_path / "out",
        "OUT.tif": tmp_path / "out.tif",
        "OUT.jpg": tmp_path / "out.jpg",
        "BAD": tmp_path / "bad.yaml",
        "TIMM": tmp_path / "timm.yaml",
    }
    (tmp_path / "empty").mkdir()
    places["BAD"].write_text("encoder: {depht: 3}")
    places["TIMM"].write_text("encoder: {kind: timm, name: resnet81}")
    more = ["--model", weights] if "--click" in words and "--model" not in words else []
    result = run(*[places.get(word, word) for word in words], *more, code=2)
    line = one_line(result)
    assert line.startswith("napari-pvpu: ")
    assert message in line


def test_damaged_weights_are_one_line(squares: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "x.safetensors"
    damaged.write_bytes(b"not weights")
    assert "x.safetensors" in one_line(run("evaluate", squares, "--model", damaged, code=2))


def test_nothing_is_written_after_an_error(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run("evaluate", squares, "--method", "magic", "--json", out, code=2)
    assert not out.exists()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from napari_pvpu.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print(sorted({'torch', 'napari', 'skimage', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
