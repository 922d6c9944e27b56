"""The page of the package on PyPI and on napari's hub: the README, without links to nowhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parents[1]
TARGET = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("hook", ROOT / "scripts/long_description.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(root: Path) -> str:
    return ProjectMetadata(str(root), PluginManager()).core.readme


def relative_targets(text: str) -> list[str]:
    return [target for target in TARGET.findall(text) if not re.match(r"\w+:|#", target)]


def test_the_page_as_it_is_built_has_no_relative_link() -> None:
    readme, page = (ROOT / "README.md").read_text(encoding="utf-8"), built(ROOT)
    assert "docs/images/segment-panel.png" in relative_targets(readme)
    assert relative_targets(page) == []
    assert "[napari](https://napari.org)" in page
    headings = [line for line in readme.splitlines() if line.startswith("#")]
    assert [line for line in page.splitlines() if line.startswith("#")] == headings


def test_with_an_address_links_and_pictures_point_there(tmp_path) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = re.sub(r"\[project\.urls\].*?(?=\n\[)", "", project, flags=re.DOTALL)
    project += '\n[project.urls]\nRepository = "https://example.org/a/b"\n'
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    (tmp_path / "scripts").mkdir()
    for name in ("README.md", "scripts/long_description.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    page = built(tmp_path)
    assert relative_targets(page) == []
    assert "](https://example.org/a/b/raw/main/docs/images/segment-panel.png)" in page
    assert "[the guide](https://example.org/a/b/blob/main/docs/index.md)" in page


@pytest.mark.parametrize(
    ("text", "with_address", "without"),
    [
        ("[a](b.md)", "[a](R/blob/main/b.md)", "a"),
        ("![a](b.png)\n\nc", "![a](R/raw/main/b.png)\n\nc", "c"),
        ("[a](b.md#part)", "[a](R/blob/main/b.md#part)", "a"),
        ("[a](https://b.c)", "[a](https://b.c)", "[a](https://b.c)"),
        ("[a](mailto:b@c.d)", "[a](mailto:b@c.d)", "[a](mailto:b@c.d)"),
        ("[a](#part)", "[a](#part)", "[a](#part)"),
        ("`labels[0](x)`, [0, 1)", "`labels[0](x)`, [0, 1)", "`labels[0](x)`, [0, 1)"),
    ],
)
def test_links_of_each_kind(hook, text, with_address, without) -> None:
    assert hook.absolute(text, "R") == with_address
    assert hook.absolute(text, None) == without
