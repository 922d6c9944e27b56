"""The table of presets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from napari_pvpu import model_listing
from napari_pvpu.features.timing import Speed
from napari_pvpu.model_listing import PresetRow, describe_presets, listing
from napari_pvpu.networks import models

PUBLISHED = {
    "pvpuformer-vit-b16": (122.3e6, None),
    "simpleclick-vit-b": (97.3e6, None),
    "interformer-light": (None, 2.37e6),
    "interformer-tiny": (None, 4.95e6),
}


@pytest.fixture(scope="module")
def rows() -> dict[str, PresetRow]:
    return {row.name: row for row in describe_presets("none")}


def test_every_preset_has_its_row(rows: dict[str, PresetRow]) -> None:
    assert list(rows) == list(models.PRESETS)
    for row in rows.values():
        assert row.view_size == models.PRESETS[row.name].view_size
        assert 0 < row.interactive_parameters <= row.parameters
        assert row.encode_ms is row.interaction_ms is row.problem is None
        assert row.get_weights[0] == f"napari-pvpu train OUT --model {row.name}"
        json.dumps(row.to_dict())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_within_one_percent(rows: dict[str, PresetRow], name: str) -> None:
    total, interactive = PUBLISHED[name]
    if total:
        assert rows[name].parameters == pytest.approx(total, rel=0.01)
    if interactive:
        assert rows[name].interactive_parameters == pytest.approx(interactive, rel=0.01)
    assert rows[name].get_weights[1].startswith(f"napari-pvpu convert {name} ")


def test_weights_of_the_package_are_named(rows: dict[str, PresetRow]) -> None:
    nano = rows["pvpu-nano"]
    assert nano.weights.endswith("pvpu-nano.safetensors")
    assert 5 < nano.weights_mb < 12
    assert rows["pvpu-small"].weights is rows["pvpu-small"].weights_mb is None


@pytest.mark.parametrize(
    ("time", "timed"),
    [
        ("none", set()),
        ("some", {"small", "with-weights"}),
        ("all", {"small", "with-weights", "large"}),
    ],
)
def test_which_presets_are_timed(monkeypatch, tmp_path, small_config, time, timed) -> None:
    from dataclasses import replace

    names = ["small", "with-weights", "large"]
    presets = {name: replace(small_config, name=name) for name in names}
    monkeypatch.setattr(model_listing, "PRESETS", presets)
    monkeypatch.setattr(model_listing, "bundled_path", lambda name: tmp_path / name)
    (tmp_path / "with-weights").write_bytes(b"")
    count = {"small": 10, "with-weights": 10**9, "large": model_listing.LARGE}
    monkeypatch.setattr(model_listing, "count_parameters", lambda net: (count[net.config.name], 1))
    monkeypatch.setattr("napari_pvpu.features.timing.measure", lambda *_: Speed(3.14, 2.72))
    rows = describe_presets(time)
    assert {row.name for row in rows if row.encode_ms is not None} == timed
    assert {(row.encode_ms, row.interaction_ms) for row in rows} <= {(3.1, 2.7), (None, None)}


def test_a_missing_package_spoils_one_row_alone(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch.encoders", None)
    wanted = ("pvpu-nano", "pvpuformer-segformer-b0")
    monkeypatch.setattr(model_listing, "PRESETS", {name: models.PRESETS[name] for name in wanted})
    good, bad = rows = describe_presets("none")
    assert good.problem is None
    assert bad.parameters is bad.interactive_parameters is None
    assert "segmentation" in bad.problem
    text = listing(rows)
    assert bad.problem in text
    assert text.splitlines()[2].split()[1:3] == ["-", "-"]


def test_the_table_can_be_read() -> None:
    row = PresetRow("a", 3_756_138, 1_097_586, 128, 8.91, 12.0, "/x", 7.6, ("train",))
    other = PresetRow("long-name", 97_070_000, 9, 448, None, None, None, None, ("t", "c"))
    head, one, two, *rest = listing([row, other]).splitlines()
    assert head.split("  ")[0] == "name"
    assert one.split() == "a 3.76 1.10 128 8.9 12.0 bundled, 7.6 MB".split()
    assert two.split() == "long-name 97.07 0.00 448 - - convert or train".split()
    assert len({line.index(word) for line, word in ((one, "bundled"), (two, "convert"))}) == 1
    assert "CC BY-NC 4.0" in "\n".join(rest)


def test_the_documented_sizes_are_those_counted(rows: dict[str, PresetRow]) -> None:
    page = Path(__file__).parents[1] / "docs" / "models.md"
    lines = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines()]
    told = {line[0].removeprefix("| "): tuple(line[1:4]) for line in lines if len(line) == 6}
    assert told.pop("name") == ("parameters", "of these at each interaction", "view")
    assert told == {
        row.name: (
            f"{row.parameters / 1e6:.2f} M",
            f"{row.interactive_parameters / 1e6:.2f} M",
            str(row.view_size),
        )
        for row in rows.values()
    }
