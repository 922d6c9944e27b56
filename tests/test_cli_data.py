"""The commands around training, on both command lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_pvpu.cli import app
from napari_pvpu.training.__main__ import main
from napari_pvpu.training.options import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_pvpu.networks.config import ModelConfig

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["napari-pvpu", "python -m napari_pvpu.training"])
def run(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command by the name it has here; returns exit status, stdout and stderr."""
    plain = request.param != "napari-pvpu"
    names = {command.name: command.short for command in COMMANDS}

    def go(name: str, *words: object) -> tuple[int, str, str]:
        texts = [str(word) for word in words]
        if plain:
            capsys.readouterr()
            code = main([names[name], *texts])
            return code, *capsys.readouterr()
        result = CliRunner().invoke(app, [name, *texts], catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return go


@pytest.fixture
def data(tmp_path: Path) -> Path:
    labels = np.zeros((64, 64), np.uint8)
    labels[10:30, 20:50] = 1
    for folder, array in (("images", labels * 200), ("masks", labels)):
        (tmp_path / "cells" / folder).mkdir(parents=True)
        for stem in "ab":
            Image.fromarray(array).save(tmp_path / "cells" / folder / f"{stem}.png")
    return tmp_path / "cells"


def spoil(data: Path) -> None:
    (data / "masks" / "b.png").write_bytes(b"")
    (data / "images" / "c.png").write_bytes((data / "images" / "a.png").read_bytes())


def test_check_data(run: Run, data: Path, tmp_path: Path) -> None:
    code, text, _ = run("check-data", data)
    assert code == 0
    assert f"{data}: 2 of 2 images can be used, 2 objects" in text
    spoil(data)
    for number in range(7):
        copied = (data / "images" / "a.png").read_bytes()
        (data / "images" / f"bare{number}.png").write_bytes(copied)
    code, text, _ = run("check-data", data)
    assert code == 1
    assert all(f"bare{number}.png" in text for number in range(7))
    code, text, _ = run("check-data", data, "--list", tmp_path / "list.tsv", "--examples", 0)
    assert code == 1
    assert "8 x images without a mask" in text
    assert "1 x masks that cannot be read" in text
    assert "c.png" not in text
    kinds = [line.split("\t")[0] for line in (tmp_path / "list.tsv").read_text().splitlines()]
    assert kinds == ["no mask"] * 8 + ["mask"]


def test_pack(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.pvpuset"
    code, text, _ = run("pack", data, "--out", out, "--lossless")
    assert code == 0
    assert text.startswith("cells: 2 images, 2 objects\n")
    assert out.is_file()
    out.unlink()
    spoil(data)
    code, text, errors = run("pack", data, "--out", out)
    assert (code, text) == (2, "")
    assert "1 x images without a mask" in errors
    assert "--skip-bad goes on without them" in errors
    assert not out.exists()
    code, text, _ = run("pack", data, "--out", out, "--skip-bad", "--synthetic", 1)
    assert code == 0
    assert "cells: 1 images" in text
    assert "synthetic/" in text
    assert "1 x images without a mask" in text


def test_several_mistakes_are_a_report_before_training(
    run: Run, data: Path, tmp_path: Path
) -> None:
    spoil(data)
    for number in range(7):
        (data / "images" / f"bare{number}.png").write_bytes(b"")
    code, text, errors = run("train", tmp_path / "run", "--data", data, "--device", "cpu")
    assert (code, text) == (2, "")
    assert "8 x images without a mask" in errors
    assert all(f"bare{number}.png" in errors for number in range(7))
    assert not (tmp_path / "run").exists()
    for file in [*(data / "images").glob("bare*"), data / "images" / "c.png"]:
        file.unlink()
    code, _, errors = run("train", tmp_path / "run", "--data", data, "--device", "cpu")
    assert code == 2
    assert len(errors.splitlines()) == 1


def test_train_pack_and_profile(
    run: Run, data: Path, tmp_path: Path, small_config: ModelConfig
) -> None:
    from napari_pvpu.model_files import config_as_yaml

    (tmp_path / "mine.yaml").write_text(config_as_yaml(small_config))
    run("pack", data, "--out", tmp_path / "x.pvpuset")
    words = ["--data", tmp_path / "x.pvpuset", "--model", tmp_path / "mine.yaml"]
    words += ["--device", "cpu", "--set", "views=2", "--set", "objects=1", "--set", "rounds=[1]"]
    words += ["--set", "precision=float32", "--set", "sampling.size=64", "--seed", "3"]
    for setting in ("scenes=2", "fresh=1", "size=64", "kinds=[nuclei]"):
        words += ["--set", f"stream.{setting}"]
    out = tmp_path / "run"
    code, text, _ = run("train", out, *words, "--show-recipe")
    assert code == 0
    assert re.search(r"^seed: 3$", text, re.M)
    assert run("train", out, *words, "--steps", 2)[0] == 0
    assert (out / "weights.safetensors").is_file()
    code, text, _ = run("train", tmp_path / "none", *words, "--profile", 1)
    assert code == 0
    assert "1 steps of 2 views on cpu" in text
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "views", "compiled"),
    [
        (["--device", "cuda"], 256, "encoder"),
        (["--device", "cuda", "--recipe", "pvpu"], 36, "none"),
        (["--device", "cuda", "--set", "views=64"], 64, "encoder"),
        (["--device", "cpu"], 36, "none"),
    ],
    ids=["gpu", "named", "changed", "cpu"],
)
def test_a_gpu_is_trained_on_by_its_own_recipe(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], views: int, compiled: str
) -> None:
    import torch

    monkeypatch.setattr("napari_pvpu.features.devices.choose_device", torch.device)
    for stream in ("--stream", "--no-stream"):
        code, text, _ = run("train", "out", stream, "--show-recipe", *words)
        assert code == 0
        assert re.search(rf"^views: {views}$", text, re.M)
        assert re.search(rf"^compile: {compiled}$", text, re.M)


def test_profile_needs_no_folder(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--no-stream", "--synthetic", "0", "--set", "views=1", "--set", "rounds=[1]"]
    words += ["--set", "objects=1", "--device", "cpu"]
    assert main(["profile", "--profile", "1", "--data", str(data), *words]) == 0
    assert "1 steps of 1 views on cpu" in capsys.readouterr().out


def test_contact_sheet(run: Run, data: Path, tmp_path: Path) -> None:
    words = ["--count", 4, "--columns", 4, "--size", 64, "--kind", "nuclei"]
    sizes = {}
    for what in (["--scenes"], ["--data", data], ["--users"], ["--users", "--data", data], []):
        out = tmp_path / "deep" / "sheet.png"
        code, text, _ = run("contact-sheet", "--out", out, *what, *words)
        assert code == 0
        assert str(out) in text
        with Image.open(out) as picture:
            sizes[" ".join(map(str, what[:1] + what[2:]))] = picture.size
            assert np.asarray(picture).std() > 10
    # Four scenes, each with its outlines; four views; white lines of two pixels between them.
    assert sizes["--scenes"] == sizes[""] == (4 * 256 + 6, 2 * 256 + 2)
    assert sizes["--data"] == (4 * 64 + 6, 64)
    assert sizes["--users"][0] > 4 * 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pack", "--out", "x.pvpuset", "--quality", "0"], "0 is less than 1"),
        (["train", "out", "--synthetic-share", "2"], "2 is more than 1"),
        (["train", "out", "--steps", "many"], "invalid int value: 'many'"),
        (["check"], "arguments are required: SOURCES"),
        (["sheet"], "arguments are required: --out"),
        ([], "arguments are required: COMMAND"),
    ],
    ids=["least", "most", "kind", "no source", "no file", "no command"],
)
def test_words_that_are_no_command(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sheet", "--out", "DIR/x.abc", "--count", "1", "--kind", "nuclei"], "unknown file ext"),
        (["check", "DIR/none"], "neither a folder nor"),
        (["pack", "DIR/none", "--out", "DIR/x.pvpuset"], "neither a folder nor"),
        (["pack", "--out", "DIR/x.pvpuset"], "there is nothing to pack"),
    ],
    ids=["suffix", "check", "pack", "nothing"],
)
def test_errors_are_sentences(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([word.replace("DIR", str(tmp_path)) for word in words])
    captured = capsys.readouterr()
    if words[0] == "check":
        assert (code, captured.err) == (1, "")
        assert message in captured.out
    else:
        assert (code, captured.out) == (2, "")
        (line,) = captured.err.splitlines()
        assert message in line


def test_both_command_lines_offer_the_same() -> None:
    from typer.main import get_command

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for command in COMMANDS:
        if command.name in commands:
            names = {parameter.name for parameter in commands[command.name].params}
            assert names - {"help"} == {option.name for option in command.options}
    assert {"train", "pack", "check-data", "contact-sheet"} <= set(commands)
