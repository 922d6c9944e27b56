"""The README as the page of the package: links into this repository hold outside it, too.

Links of the README are relative, so that they work in a copy of the repository. On PyPI and on
napari's hub there is no repository around the text. With an address of one under ``[project.urls]
Repository`` in pyproject.toml, links and pictures get addresses there; as long as there is none,
links become plain text and pictures are left out, because any address would be made up.

Hatchling loads this file whenever the package is built, see ``[tool.hatch.metadata.hooks.custom]``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = r"(?!\w+:|#)"
PICTURE = re.compile(rf"!\[([^\]]*)\]\({RELATIVE}([^)\s]+)\)\n*")
LINK = re.compile(rf"(?<![!\w])\[([^\]]+)\]\({RELATIVE}([^)\s]+)\)")


def absolute(text: str, repository: str | None, branch: str = "main") -> str:
    """Return Markdown without relative links.

    Parameters
    ----------
    text : str
        With links that are relative to the root of the repository.
    repository : str or None
        Its address, as of GitHub or GitLab; None if it has none.
    branch : str
        Where the files are looked up.

    Examples
    --------
    >>> absolute("See [the guide](docs/index.md).", "https://github.com/a/b")
    'See [the guide](https://github.com/a/b/blob/main/docs/index.md).'
    >>> absolute("See [the guide](docs/index.md).", None)
    'See the guide.'
    """
    if repository is None:
        return LINK.sub(r"\1", PICTURE.sub("", text))
    root = repository.rstrip("/")
    text = PICTURE.sub(
        lambda found: found[0].replace(f"]({found[2]})", f"]({root}/raw/{branch}/{found[2]})"), text
    )
    return LINK.sub(rf"[\1]({root}/blob/{branch}/\2)", text)


class LongDescription(MetadataHookInterface):
    """Gives the package its README with absolute links."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the text where hatchling looks for it."""
        repository = metadata.get("urls", {}).get("Repository")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, repository),
        }
