"""Prompts from files, for many images at once: tables (CSV) here, other formats beside it.

What cannot be used is not dropped in silence: each row or shape with a fault is told, with its
line or place, and the others are used.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pvpu.errors import PromptError
from napari_pvpu.prompts import Box, Click, Scribble

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane

__all__ = ["PromptFile", "PromptedObject", "polarity", "read_prompts"]

COLUMNS = ("image", "object", "kind", "polarity", "plane", "row", "col", "row2", "col2", "path")
_OTHER_NAMES = {
    "y": "row", "x": "col", "y2": "row2", "x2": "col2", "file": "image", "filename": "image",
    "label": "object", "id": "object", "type": "kind", "positive": "polarity",
    "points": "path", "axis-0": "row", "axis-1": "col",
}  # fmt: skip
_POSITIVE = {"", "1", "+", "true", "yes", "positive", "pos", "foreground"}
_NEGATIVE = {"0", "-1", "-", "false", "no", "negative", "neg", "background"}


@dataclass(slots=True)
class PromptedObject:
    """The prompts of one object, in the order in which they are given to the network.

    Attributes
    ----------
    name : str
        By which the file tells it from others; empty if it does not.
    image : str
        Name or path of the image; empty for every image.
    plane : tuple of int or None
        Plane of the image; None if the file tells none: the first.
    prompts : list of Prompt
        One or more.
    """

    name: str = ""
    image: str = ""
    plane: Plane | None = None
    prompts: list[Prompt] = field(default_factory=list)

    @property
    def label(self) -> int | None:
        """The label it is to have, if its name is a positive number that labels can have."""
        number = int(self.name) if self.name.isascii() and self.name.isdigit() else 0
        return number if 0 < number < 2**16 else None


@dataclass(slots=True)
class PromptFile:
    """What a file holds.

    Attributes
    ----------
    objects : list of PromptedObject
        In the order of their first prompt.
    problems : list of str
        A sentence for each part that cannot be used, with its line or place.
    """

    objects: list[PromptedObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, prompt: Prompt, image: str, name: str, plane: Plane | None) -> None:
        """Give a prompt to its object; one without a name begins an object of its own."""
        for known in self.objects:
            if name and (known.image, known.name, known.plane) == (image, name, plane):
                known.prompts.append(prompt)
                return
        self.objects.append(PromptedObject(name, image, plane, [prompt]))

    def for_image(self, path: str | os.PathLike[str]) -> list[PromptedObject]:
        """Return the objects of an image: those without one, and those that name it.

        An image is named by its file's name, with or without its suffix, or by the end of its path.
        """
        return [each for each in self.objects if _is_named(each.image, Path(path))]

    def unknown_images(self, paths: Iterable[str | os.PathLike[str]]) -> list[str]:
        """Return names of images that none of the paths goes by."""
        known = [Path(path) for path in paths]
        names = dict.fromkeys(each.image for each in self.objects)
        return [name for name in names if not any(_is_named(name, path) for path in known)]


def read_prompts(path: str | os.PathLike[str]) -> PromptFile:
    """Read prompts.

    Parameters
    ----------
    path : path
        A table (``.csv``, ``.tsv``), GeoJSON (``.geojson``, ``.json``), ImageJ ROIs (``.roi``,
        ``.zip``), or the file of an earlier session (``.pvpu-session``).

    Returns
    -------
    PromptFile

    Raises
    ------
    PromptError
        If the file cannot be read, is of another kind, or holds no prompt at all.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv", ".txt"):
            found = _read_table(path)
        elif suffix in (".geojson", ".json"):
            from napari_pvpu.prompt_shapes import read_geojson

            found = read_geojson(path)
        elif suffix in (".roi", ".zip"):
            from napari_pvpu.prompt_shapes import read_rois

            found = read_rois(path)
        elif suffix in (".pvpu-session", ".pvpu"):
            from napari_pvpu.prompt_history import read_session

            found = read_session(path)
        else:
            raise PromptError(
                f"prompts cannot be read from {path.name!r}; give a table (.csv), GeoJSON, ImageJ "
                "ROIs (.zip, .roi) or a session (.pvpu-session)"
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PromptError(f"{path} cannot be read: {error}") from error
    if not found.objects:
        told = "; ".join(found.problems[:5])
        raise PromptError(f"{path} holds no prompt that can be used{': ' * bool(told)}{told}")
    return found


def polarity(word: str) -> bool:
    """Tell whether a word means the object (as nothing at all does), or what is not the object.

    Raises
    ------
    PromptError
        If it says neither.
    """
    plain = word.strip().lower()
    if plain in _POSITIVE or plain in _NEGATIVE:
        return plain in _POSITIVE
    raise PromptError(f"{word!r} is no polarity; write positive or negative")


def _read_table(path: Path) -> PromptFile:
    with open(path, newline="", encoding="utf-8-sig") as file:
        sample = file.read(4096)
        file.seek(0)
        delimiter = max(",;\t", key=sample.split("\n")[0].count)
        rows = csv.reader(file, delimiter=delimiter)
        header = [_OTHER_NAMES.get(each, each) for each in map(_plain, next(rows, []))]
        if not {"row", "path"} & set(header):
            raise PromptError(
                f"{path} has no column row, nor path: its first line has to name the columns, of "
                f"{', '.join(COLUMNS)}"
            )
        found = PromptFile()
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            values = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            try:
                if len(cells) > len(header):
                    raise PromptError(f"{len(cells)} cells under {len(header)} columns")
                prompt = _prompt_of(values)
                plane = _plane_of(values.get("plane", ""))
            except PromptError as error:
                found.problems.append(f"line {rows.line_num}: {error}")
                continue
            found.add(prompt, values.get("image", ""), values.get("object", ""), plane)
    return found


def _prompt_of(values: Mapping[str, str]) -> Prompt:
    """Build the prompt that a row of a table describes."""
    kind = values.get("kind", "").lower() or _kind_of(values)
    positive = polarity(values.get("polarity", ""))
    if kind in ("click", "point"):
        return Click((_number(values, "row"), _number(values, "col")), positive)
    if kind in ("box", "rectangle"):
        start = (_number(values, "row"), _number(values, "col"))
        return Box(start, (_number(values, "row2"), _number(values, "col2")), positive)
    if kind in ("scribble", "path", "line"):
        return Scribble(_path(values.get("path", "")), positive)
    raise PromptError(f"{kind!r} is no kind of prompt; write click, box or scribble")


def _kind_of(values: Mapping[str, str]) -> str:
    if values.get("path"):
        return "scribble"
    return "box" if values.get("row2") or values.get("col2") else "click"


def _number(values: Mapping[str, str], column: str) -> float:
    word = values.get(column, "")
    try:
        return float(word)
    except ValueError:
        what = f"{word!r} is no number" if word else "is empty"
        raise PromptError(f"column {column}: {what}") from None


def _path(text: str) -> tuple[tuple[float, float], ...]:
    """Read ``row col; row col; ...``, or ``row,col row,col ...`` as on the command line."""
    pairs = text.split(";") if ";" in text else text.split()
    points = []
    for pair in pairs:
        words = pair.replace(",", " ").split()
        if not words:
            continue
        try:
            row, col = map(float, words)
        except ValueError:
            raise PromptError(
                f"column path: {pair.strip()!r} is no point; write row col; row col; ..."
            ) from None
        points.append((row, col))
    return tuple(points)


def _plane_of(text: str) -> Plane | None:
    if not text:
        return None
    try:
        return tuple(int(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise PromptError(
            f"column plane: {text!r} is no plane; write its index from 0, such as 4, or 2 4"
        ) from None


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _is_named(name: str, path: Path) -> bool:
    if not name:
        return True
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    ends = path.parts[len(path.parts) - len(parts) :]
    return parts in (ends, (*ends[:-1], path.stem))
