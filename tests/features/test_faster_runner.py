"""Each part of a network is computed by what is faster at it here, from files that are kept."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from napari_pvpu.cli import app
from napari_pvpu.errors import ConfigError, DeviceError
from napari_pvpu.features import faster_runner, onnx_files
from napari_pvpu.features.device_trial import Trial, compare
from napari_pvpu.features.encoder import ViewEncoder
from napari_pvpu.features.faster_runner import Choice, FasterRunner, Times, measure
from napari_pvpu.features.onnx_files import kept_folder, kept_runner
from napari_pvpu.features.runners import TorchRunner
from napari_pvpu.features.store import open_store
from napari_pvpu.features.store_care import clear_store
from napari_pvpu.networks.models import build_model
from napari_pvpu.networks.weights import load_model
from napari_pvpu.onnx_export import DECODER, DESCRIPTION, ENCODER, numbers_id
from napari_pvpu.segmenter import Segmenter

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from napari_pvpu.features.onnx_runtime import OnnxRunner

# One export is made for all of them, which takes half a minute of one core.
pytestmark = pytest.mark.slow

SIZE = 64
CPU = torch.device("cpu")
PAUSE = 0.03
"""Seconds that make any of these parts the slower one."""


@pytest.fixture
def network(weights):
    return load_model(weights)


@pytest.fixture(autouse=True)
def written(exported, tmp_path, monkeypatch):
    """A cache folder, nothing measured yet, and exports that copy: the folders they went to."""
    folders = []

    def copied(network, folder):
        folders.append(folder)
        Path(folder).mkdir(exist_ok=True)
        for path in exported.iterdir():
            (Path(folder) / path.name).write_bytes(path.read_bytes())

    monkeypatch.setenv("NAPARI_PVPU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(onnx_files, "export_onnx", copied)
    monkeypatch.setattr(faster_runner, "_CHOICES", {})
    return folders


def slow_down(monkeypatch, kind, *names):
    """Make a kind of runner slow at some parts; return the list of calls from now on."""
    calls = []
    for name in names:
        work = getattr(kind, name)

        def late(self, *given, work=work, name=name):
            calls.append(name)
            end = time.thread_time() + PAUSE  # work, not sleep: the processor's time may count
            while time.thread_time() < end:
                pass
            return work(self, *given)

        monkeypatch.setattr(kind, name, late)
    return calls


@pytest.mark.parametrize("encoder", ["torch", "onnx"])
@pytest.mark.parametrize("decoder", ["torch", "onnx"])
def test_each_part_goes_to_the_faster(network, monkeypatch, encoder, decoder):
    kinds = {"torch": OnnxRunner, "onnx": TorchRunner}  # the other one is slowed down
    late = slow_down(monkeypatch, kinds[encoder], "encode")
    late_too = slow_down(monkeypatch, kinds[decoder], "decode")
    wanted = Trial(SIZE).ask(TorchRunner(network, CPU))
    runner = FasterRunner(network)
    assert (runner.choice.encoder.faster, runner.choice.decoder.faster) == (encoder, decoder)
    slower = [max(times) for times in (runner.choice.encoder, runner.choice.decoder)]
    assert min(slower) >= 1e3 * PAUSE
    before = len(late), len(late_too)
    found = compare(Trial(SIZE).ask(runner), wanted)
    assert (len(late), len(late_too)) == before  # the slow ones were not asked again
    assert found.difference < 1e-3
    assert (found.difference == 0) == (encoder == decoder == "torch")


def test_a_choice_says_what_takes_which_part_and_both_times():
    told = str(Choice(Times(5.94, 4.72), Times(6.41, 8.6), 1e-5))
    assert told == (
        "encoder: ONNX Runtime (4.7 ms, torch 5.9 ms); decoder: torch (6.4 ms, ONNX Runtime 8.6 ms)"
    )


def test_other_numbers_are_never_chosen(network, exported, monkeypatch):
    decode = OnnxRunner.decode

    def wrong(self, *given):
        answer = decode(self, *given)
        return answer._replace(logits=answer.logits + 0.01)

    monkeypatch.setattr(OnnxRunner, "decode", wrong)
    slow_down(monkeypatch, TorchRunner, "encode", "decode")
    runner = FasterRunner(network)
    assert not runner.choice.uses_onnx
    assert runner.runtime.startswith("torch, because ONNX Runtime gives other numbers")
    assert compare(Trial(SIZE).ask(runner), Trial(SIZE).ask(TorchRunner(network, CPU)))[0] == 0


def test_a_process_measures_once_for_the_same_weights_and_threads(network, weights, monkeypatch):
    asked = []

    def counted(*given):
        asked.append(given)
        return measure(*given)

    monkeypatch.setattr(faster_runner, "measure", counted)
    first = FasterRunner(network)
    assert FasterRunner(load_model(weights)).choice is first.choice
    assert len(asked) == 1
    FasterRunner(network, 2)
    assert len(asked) == 2


def test_files_are_written_once_and_named_by_the_weights(network, written, tmp_path):
    for _ in range(2):
        kept_runner(network, 1)
    assert len(written) == 1
    folder = kept_folder(network)
    assert folder.is_relative_to(tmp_path / "cache")
    assert folder.name.startswith(numbers_id(network))
    assert {path.name for path in folder.iterdir()} == {ENCODER, DECODER, DESCRIPTION}
    beside = {path.name for path in folder.parent.iterdir()}
    assert beside == {folder.name, ".lock"}  # nothing half done


def test_other_weights_and_another_arrangement_have_other_files(network, small_config):
    from dataclasses import replace

    torch.manual_seed(7)
    other = build_model(small_config)
    assert kept_folder(other) != kept_folder(network)
    before = kept_folder(network)
    network.config = replace(network.config, name="called otherwise")
    assert kept_folder(network) == before
    network.config = replace(network.config, view_size=128)
    assert kept_folder(network) != before


def test_files_go_when_the_store_is_cleared(network, written):
    kept_runner(network, 1)
    folder = kept_folder(network)
    mine = folder.parent / "mine" / ENCODER
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    store = open_store(True)
    assert clear_store(store, older_than=0.0) == (0, 0)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert clear_store(store) == (3, size)
    assert not folder.exists()
    assert mine.exists()
    kept_runner(network, 1)
    assert len(written) == 2


@pytest.mark.parametrize("name", [ENCODER, DESCRIPTION])
def test_damaged_files_are_written_anew(network, written, name):
    kept_runner(network, 1)
    (kept_folder(network) / name).write_bytes(b"{")
    kept_runner(network, 1)
    assert len(written) == 2


def test_an_export_that_fails_leaves_nothing(network, monkeypatch):
    def half(network, folder):
        (Path(folder) / ENCODER).write_bytes(b"half")
        raise ConfigError("cannot be exported")

    monkeypatch.setattr(onnx_files, "export_onnx", half)
    with pytest.raises(ConfigError, match="cannot be exported"):
        kept_runner(network, 1)
    assert [path.name for path in kept_folder(network).parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("way", ["off", "refused"])
def test_without_a_cache_folder_files_last_for_the_moment(
    network, written, tmp_path, monkeypatch, caplog, way
):
    (tmp_path / "file").write_text("in the way")
    refused = str(tmp_path / "file" / "cache")
    monkeypatch.setenv("NAPARI_PVPU_CACHE", "off" if way == "off" else refused)
    runner = kept_runner(network, 1)
    assert compare(Trial(SIZE).ask(runner), Trial(SIZE).ask(TorchRunner(network, CPU)))[0] < 1e-3
    assert not Path(written[-1]).exists()
    assert ("cannot be kept" in caplog.text) == (way == "refused")


def test_who_waits_for_another_program_writes_nothing(network, written, monkeypatch):
    """The lock is another's for a while, who has written the files when it is free."""
    held = iter([False, False, True])

    def take_hold(file):
        mine = next(held)
        if mine:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(onnx_files, "take_hold", lambda _: True)
                kept_runner(network, 1)
        return mine

    monkeypatch.setattr(onnx_files, "take_hold", take_hold)
    monkeypatch.setattr(onnx_files, "_POLL_SECONDS", 0.001)
    kept_runner(network, 1)
    assert len(written) == 1


@pytest.mark.parametrize("name", ["onnxruntime", "onnx", "onnxscript"])
def test_what_is_missing_is_named_with_how_to_install_it(weights, monkeypatch, name):
    monkeypatch.undo()  # the real export asks for its packages
    monkeypatch.setenv("NAPARI_PVPU_CACHE", "off")
    monkeypatch.setattr(faster_runner, "_CHOICES", {})
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"{name} is missing; .*napari-pvpu\[onnx\]"):
        ViewEncoder(weights, "cpu", runtime="onnx")


def test_a_segmenter_says_what_computes(weights, exported):
    told = {
        runtime: Segmenter(weights, "cpu", store=False, runtime=runtime).runtime
        for runtime in ("torch", exported, "onnx")
    }
    assert told["torch"] == "torch"
    assert told[exported] == "ONNX Runtime"
    assert told["onnx"].startswith("encoder: ")
    with pytest.raises(DeviceError, match="ONNX Runtime is used on the CPU"):
        ViewEncoder(weights, "cuda", runtime="onnx")


def test_the_command_says_what_computes(weights, tmp_path):
    from PIL import Image

    from small_presets import made_up_scene

    image, table = tmp_path / "a.png", tmp_path / "prompts.csv"
    Image.fromarray(made_up_scene()[0]).save(image)
    table.write_text("image,object,polarity,plane,row,col\na.png,1,,,30,30\n", "utf-8")
    words = ["segment", str(image), "--model", weights, "--runtime", "onnx"]
    one = CliRunner().invoke(app, [*words, "--click", "30,30", "--out", str(tmp_path / "a.tif")])
    many = CliRunner().invoke(app, [*words, "--prompts", str(table), "--out", str(tmp_path / "o")])
    for result in (one, many):
        assert result.exit_code == 0, result.output
        assert result.stderr.count("runtime: encoder: ") == 1


def test_doctor_tells_the_choice_where_files_are_kept(weights, network, written):
    from napari_pvpu.doctor import examine

    facts = examine(weights, screen=False).sections["ONNX Runtime"]
    assert facts == {"files": "none yet; they are made where runtime 'onnx' is asked for first"}
    assert written == []
    kept_runner(network, 1)
    facts = examine(weights, screen=False).sections["ONNX Runtime"]
    assert facts["files"] == str(kept_folder(network))
    assert facts["faster here"].startswith("encoder: ")
