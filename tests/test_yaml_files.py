"""Settings in YAML: what is read, what is refused, what is written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from napari_pvpu.errors import ConfigError
from napari_pvpu.yaml_files import merged, nested, read_yaml, to_yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.yaml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing", {}),
        ("a: 1\nb: [1, 2.5]\n", {"a": 1, "b": [1, 2.5]}),
        ("a: {b: {c: yes}}", {"a": {"b": {"c": True}}}),
        ("a: 1e-4\nb: 1E5\nc: -2.5e+3\nd: .5e1", {"a": 1e-4, "b": 1e5, "c": -2500.0, "d": 5.0}),
        ("a: e5\nb: 1e\nc: '1e-4'", {"a": "e5", "b": "1e", "c": "1e-4"}),
    ],
    ids=["empty", "comment", "plain", "nested", "exponents", "words"],
)
def test_what_is_read(file: Path, text: str, expected: dict[str, object]) -> None:
    file.write_text(text)
    read = read_yaml(file)
    assert read == expected
    assert list(map(type, read.values())) == list(map(type, expected.values()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1, 2", "some.yaml is no YAML.*line 1"),
        (b"a: 1\nb: 2\na: 3", "'a' is there twice.*line 3"),
        (b"a: {b: 1, b: 2}", "'b' is there twice"),
        (b"- 1\n- 2", "has to hold settings by name"),
        (b"just words", "has to hold settings by name"),
        (b"a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
    ids=["cut", "twice", "twice-inside", "list", "word", "code", "binary"],
)
def test_what_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        read_yaml(file)


def test_a_missing_file_is_reported(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"some.yaml cannot be read"):
        read_yaml(file)


def test_without_pyyaml_it_says_what_to_install(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("a: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match="pip install pyyaml"):
        read_yaml(file)


def test_what_is_written_reads_well_and_comes_back(file: Path) -> None:
    values = {
        "name": "x",
        "b": {"list": (1, 2), "empty": [], "rate": 1e-4, "big": 1e16, "word": "1e-4"},
        "stages": ({"until": 0.5}, {"until": 1.0}),
    }
    text = to_yaml(values)
    assert text.startswith("name: x\nb:\n  list: [1, 2]\n  empty: []\n")
    file.write_text(text)
    plain = {**values, "b": {**values["b"], "list": [1, 2]}, "stages": list(values["stages"])}
    assert read_yaml(file) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps=3", {"steps": 3}),
        ("optimizer.rate=1e-4", {"optimizer": {"rate": 1e-4}}),
        ("a.b.c=[1, 2]", {"a": {"b": {"c": [1, 2]}}}),
        (" a.b =x", {"a": {"b": "x"}}),
        ("a=", {"a": None}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_assignments(text: str, expected: dict[str, object]) -> None:
    assert nested(text) == expected


@pytest.mark.parametrize("text", ["", "steps", "=3", "a..b=1", ".a=1", "a=[1"])
def test_what_assigns_nothing(text: str) -> None:
    with pytest.raises(ConfigError):
        nested(text)


def test_nested_changes_leave_the_rest() -> None:
    old = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merged(old, {"a": {"c": 5}, "e": 6}) == {"a": {"b": 1, "c": 5}, "d": 3, "e": 6}
    assert merged(old, {"a": 7}) == {"a": 7, "d": 3}
    assert merged(old, {"d": {"x": 1}})["d"] == {"x": 1}
    assert old == {"a": {"b": 1, "c": 2}, "d": 3}
