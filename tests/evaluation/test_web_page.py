from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_pvpu.evaluation.web_page import to_page

if TYPE_CHECKING:
    from pathlib import Path


def test_pictures_are_put_in(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(b"\x89PNG")
    page = to_page("![one](a%20b.png) ![two](gone.png) ![three](x.txt)", tmp_path, "t")
    assert '<img src="data:image/png;base64,iVBORw==" alt="one" />' in page
    assert '<img src="gone.png" alt="two" />' in page
    assert '<img src="x.txt" alt="three" />' in page


def test_tables_scroll_and_those_of_pictures_are_marked(tmp_path: Path) -> None:
    page = to_page("| a | b |\n|---|---:|\n| 1 | 2 |\n\n| ![x](y.png) |\n|---|\n", tmp_path, "t")
    assert page.count('<div class="table">\n<table') == page.count("</table>\n</div>") == 2
    assert '<table class="pictures">' in page
    assert '<td style="text-align:right">2</td>' in page


def test_sections_are_linked_below_the_title(tmp_path: Path) -> None:
    page = to_page("# Title\n\n## One & two\n\ntext\n\n## Three\n", tmp_path, "<t>")
    assert "<title>&lt;t&gt;</title>" in page
    assert (
        '<h1>Title</h1>\n<nav><a href="#section-1">One &amp; two</a> · '
        '<a href="#section-2">Three</a></nav>\n'
    ) in page
    assert '<h2 id="section-2">Three</h2>' in page


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "| <b>x</b> |\n|---|\n"])
def test_html_is_shown_as_text(tmp_path: Path, text: str) -> None:
    body = to_page(text, tmp_path, "t").partition("<body>")[2]
    assert "<script>" not in body
    assert "<b>" not in body
    assert "&lt;" in body
