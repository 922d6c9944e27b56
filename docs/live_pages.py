"""Pages that are written from the program itself when the guide is built, so that they are true.

A Sphinx extension: the options of every command, and the keys of every action.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["command_page", "keys_page", "setup"]

COMMANDS_HEAD = """# Every command and option

What `napari-pvpu COMMAND --help` prints. [On the command line](../guide/command-line.md) says what
they are for.
"""
KEYS_HEAD = """# Every action and its key

Keys hold while one of the panel's layers is selected, which choosing a tool does by itself, or the
panel has the keyboard. They can be changed under “Shortcuts” in the panel, or on napari's
preferences page. Each action is a method of the [controller](api.md#napari), too.

| action | key as installed | method |
|---|---|---|
"""


def command_page() -> str:
    """Return Markdown about all commands, from their declarations."""
    import typer
    from typer.cli import get_docs_for_click

    from napari_pvpu.cli import app

    command = typer.main.get_command(app)
    text: str = get_docs_for_click(obj=command, ctx=typer.Context(command), name="napari-pvpu")
    # Our own head instead of the first heading; the list of commands is on the page's side.
    body = text.partition("\n## ")[2]
    body = re.sub(r"\*\*Usage\*\*:\n\n```console\n\$ (.*)\n```", r"    \1", f"## {body}")
    return f"{COMMANDS_HEAD}\n{body}"


def keys_page() -> str:
    """Return Markdown about all actions that have keys."""
    import yaml

    import napari_pvpu
    from napari_pvpu.napari_side.controller import KEYS

    manifest = yaml.safe_load(
        (Path(napari_pvpu.__file__).parent / "napari.yaml").read_text("utf-8")
    )
    titles = {
        command["python_name"].partition(":")[2]: command["title"]
        for command in manifest["contributions"]["commands"]
    }
    rows = []
    for action, key in KEYS.items():
        title = titles.get(action, action.replace("_", " ").capitalize())
        rows.append(f"| {title} | {_key(key)} | `{action}` |")
    return KEYS_HEAD + "\n".join(rows) + "\n"


def _key(key: str) -> str:
    """Write a key of napari's as HTML: Control-Shift-Z; nothing if there is none."""
    if not key:
        return ""
    words = key.replace("Control", "Ctrl").split("-")
    return "+".join(f"<kbd>{word}</kbd>" for word in words)


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference"
    for name, text in (("commands.md", command_page()), ("keys.md", keys_page())):
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Have Sphinx write the pages before it looks for them."""
    app.connect("builder-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
