"""What README and guide say, as data: blocks of code, commands, links and pictures."""

from __future__ import annotations

import ast
import io
import re
import shlex
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE_AT_BUILD = {"reference/commands.md", "reference/keys.md"}

FENCE = re.compile(r"^(`{3,})(.*)$")
LINK = re.compile(r"(!?)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Return README, changelog, and all pages of the guide that are written by hand."""
    written = [
        path
        for path in DOCS.rglob("*.md")
        if not {"_build", "examples"} & set(path.relative_to(DOCS).parts)
        and path.relative_to(DOCS).as_posix() not in MADE_AT_BUILD
    ]
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(written)]


def name_of(path: Path) -> str:
    """Return a page's name for the list of tests."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A block of code: its language ("" for indented ones and fences without), and its text."""

    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """Return all blocks of code of a page, fenced or indented."""
    found: list[Block] = []
    fence, language, lines = "", "", []
    for line in path.read_text("utf-8").splitlines():
        match = FENCE.match(line)
        if fence and line.startswith(fence):
            found.append(Block(language, "\n".join(lines)))
            fence, lines = "", []
        elif fence:
            lines.append(line)
        elif match:
            if lines:
                found.append(Block("", "\n".join(lines)))
            fence, language, lines = match[1], match[2].strip(), []
        elif line.startswith("    "):
            lines.append(line.strip())
        elif lines and line.strip():
            found.append(Block("", "\n".join(lines)))
            lines = []
    return [*found, Block("", "\n".join(lines))] if lines else found


def prose(path: Path) -> str:
    """Return a page without its fenced blocks."""
    kept, fence = [], ""
    for line in path.read_text("utf-8").splitlines():
        match = FENCE.match(line)
        if fence:
            fence = "" if line.startswith(fence) else fence
        elif match:
            fence = match[1]
        else:
            kept.append(line)
    return "\n".join(kept)


def links(path: Path) -> Iterator[tuple[bool, str]]:
    """Yield whether it is a picture, and where it points to, of each link that is no address."""
    for picture, target in LINK.findall(prose(path)):
        if not re.match(r"[a-z]+:", target):
            yield bool(picture), target


def anchors(path: Path) -> set[str]:
    """Return what links may point to within a page."""
    text = prose(path)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def commands(path: Path) -> Iterator[list[str]]:
    """Yield every command of a page that names this program or make, split into words."""
    lines = [
        line
        for block in blocks(path)
        if block.language in ("", "sh", "bash", "text")
        for line in block.text.splitlines()
    ]
    lines += re.findall(r"`((?:napari-pvpu|make|python -m napari_pvpu)[^`]*)`", prose(path))
    for line in lines:
        words = _words(line)
        if words and words[0] in ("napari-pvpu", "make"):
            yield words
        elif "-m" in words and words[words.index("-m") + 1 :][:1] == ["napari_pvpu"]:
            yield ["napari-pvpu", *words[words.index("-m") + 2 :]]


def _words(line: str) -> list[str]:
    line = line.removeprefix("$ ").partition(" > ")[0].replace("…", "...")
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []


def run_python(text: str, names: dict[str, Any]) -> int:
    """Run a block; check each value that is told in a comment behind it; return how many."""
    told = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    checked = 0
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), "<page>", "exec"), names)
            continue
        value = eval(compile(ast.Expression(statement.value), "<page>", "eval"), names)
        expected = _literal(told.get(statement.end_lineno or 0, ""))
        if expected is not None:
            assert value == expected[0], f"{ast.unparse(statement)} is {value!r}"
            checked += 1
    return checked


def _literal(comment: str) -> tuple[Any] | None:
    """Return the value that a comment tells before its colon, None if it tells none."""
    try:
        return (ast.literal_eval(comment.partition(":")[0]),)
    except (SyntaxError, ValueError):
        return None
