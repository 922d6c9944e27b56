"""A report in Markdown as one HTML file. Needs markdown-it-py (extra ``report``)."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from napari_pvpu.errors import PvpuError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["require_markdown_it", "to_page"]

_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --quiet: #59636e; --stripe: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --quiet: #9198a1; --stripe: #161b22; }
  body { background: #0d1117; color: #e6edf3; }
  a { color: #58a6ff; }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 0 auto; padding: 1rem; }
h1, h2 { border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h2 { margin-top: 2.5rem; }
nav { color: var(--quiet); }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .55rem; white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--stripe); }
img { max-width: 100%; height: auto; border-radius: 4px; }
.pictures th, .pictures td { white-space: normal; vertical-align: top; width: 20%; }
.pictures { font-size: 12px; }
.pictures tbody tr:nth-child(even) { background: none; }
code { font-size: 13px; }
pre { overflow-x: auto; background: var(--stripe); padding: .7rem; border-radius: 4px; }
""".strip()


def require_markdown_it() -> None:
    """Raise `PvpuError`, with what to install, when there is no markdown-it-py."""
    try:
        import markdown_it  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise PvpuError(
            "a report's HTML needs markdown-it-py, which is not installed; run: pip install "
            "'napari-pvpu[report]', or give --markdown-only"
        ) from error


def to_page(markdown: str, folder: Path, title: str) -> str:
    """Turn Markdown into a page that needs no other file.

    Parameters
    ----------
    markdown : str
        With tables. What it says in HTML is shown as text.
    folder : Path
        That pictures' places are relative to; those that are there are put into the page.
    title : str
        Of the page.

    Returns
    -------
    str
        HTML.
    """
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(markdown)
    links: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            name = f"section-{len(links) + 1}"
            token.attrSet("id", name)
            text = html.escape(tokens[index + 1].content)
            links.append(f'<a href="#{name}">{text}</a>')
        if token.type == "inline":
            for child in token.children or ():
                if child.type == "image":
                    _put_in(child, folder)
    body: str = reader.renderer.render(_framed(tokens), reader.options, {})
    nav = f"<nav>{' · '.join(links)}</nav>\n" if links else ""
    # Below the report's own title.
    head, mark, rest = body.partition("</h1>\n")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n"
        + (head + mark + nav + rest if mark else nav + body)
        + "</body>\n</html>\n"
    )


def _framed(tokens: list[Any]) -> list[Any]:
    """Put each table into a frame that scrolls; mark those that hold pictures."""
    from markdown_it.token import Token

    out: list[Any] = []
    begin: Any = None
    for token in tokens:
        if token.type == "table_open":
            begin = token
            frame = Token("html_block", "", 0, content='<div class="table">\n')
            out.append(frame)
        if begin is not None and any(child.type == "image" for child in token.children or ()):
            begin.attrSet("class", "pictures")
        out.append(token)
        if token.type == "table_close":
            out.append(Token("html_block", "", 0, content="</div>\n"))
            begin = None
    return out


def _put_in(image: Any, folder: Path) -> None:
    """Replace a picture's place by its bytes."""
    place = folder / unquote(str(image.attrGet("src")))
    kind = _TYPES.get(place.suffix.lower())
    if kind is not None and place.is_file():
        data = base64.b64encode(place.read_bytes()).decode("ascii")
        image.attrSet("src", f"data:{kind};base64,{data}")
