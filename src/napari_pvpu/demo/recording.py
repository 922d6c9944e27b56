"""Recorded sessions: which prompts to give on which picture, object by object."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_pvpu.errors import DatasetError, PromptError
from napari_pvpu.prompts import Box, Click, Scribble, prompt_from_json, prompt_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.resources.abc import Traversable

__all__ = ["DrawnPrompt", "RecordedObject", "Recording", "describe", "load_all", "parse"]

DrawnPrompt: TypeAlias = Click | Scribble | Box
"""What a mouse can draw; masks from elsewhere are prompts, too, but nobody draws them."""


@dataclass(frozen=True, slots=True)
class RecordedObject:
    """One object of a session.

    Parameters
    ----------
    name : str
        What it is, for people.
    prompts : tuple of DrawnPrompt
        In the order given, data coordinates.
    truth : int or None
        Its label in the sample's truth; None if nobody knows its true outline.
    """

    name: str
    prompts: tuple[DrawnPrompt, ...]
    truth: int | None


@dataclass(frozen=True, slots=True)
class Recording:
    """One session on one picture.

    Parameters
    ----------
    name : str
        Stem of the files that come out of playing it.
    sample : str
        One of `napari_pvpu.samples.NAMES`.
    title : str
        What is shown, in a few words.
    objects : tuple of RecordedObject
        In the order in which they are cut out.
    """

    name: str
    sample: str
    title: str
    objects: tuple[RecordedObject, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what `parse` reads."""
        objects = [
            {
                "name": one.name,
                "truth": one.truth,
                "prompts": [prompt_to_json(prompt) for prompt in one.prompts],
            }
            for one in self.objects
        ]
        return {"name": self.name, "sample": self.sample, "title": self.title, "objects": objects}


def load_all() -> tuple[Recording, ...]:
    """Load the sessions that come with the package, in the order of their file names."""
    folder = resources.files("napari_pvpu.demo").joinpath("recordings")
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".json")), key=_name)
    return tuple(parse(json.loads(one.read_text("utf-8"))) for one in files)


def parse(values: Mapping[str, Any]) -> Recording:
    """Build a recording from the values of its JSON file.

    Raises
    ------
    DatasetError
        If a key is missing, a prompt is unusable or an object has none.
    """
    try:
        objects = tuple(
            RecordedObject(one["name"], tuple(map(_drawn, one["prompts"])), one.get("truth"))
            for one in values["objects"]
        )
        recording = Recording(values["name"], values["sample"], values["title"], objects)
    except (KeyError, TypeError, PromptError) as error:
        raise DatasetError(f"this is no recorded session: {error!r}") from error
    empty = [one.name for one in objects if not one.prompts]
    if empty or not objects:
        raise DatasetError(
            f"the recorded session {recording.name!r} has "
            + (f"no prompts for {', '.join(empty)}" if empty else "no objects")
        )
    return recording


def describe(prompts: Sequence[DrawnPrompt]) -> str:
    """Say in words what was given, for instance ``"2 clicks, 1 negative scribble"``.

    Kinds come in the order in which they first appear.
    """
    counts = Counter(_kind(prompt) for prompt in prompts)
    return ", ".join(f"{n} {kind if n == 1 else _plural(kind)}" for kind, n in counts.items())


def _drawn(values: Mapping[str, Any]) -> DrawnPrompt:
    prompt = prompt_from_json(values)
    if not isinstance(prompt, DrawnPrompt):
        raise PromptError("a recorded session holds clicks, scribbles and boxes, no prior masks")
    return prompt


def _kind(prompt: DrawnPrompt) -> str:
    return ("" if prompt.positive else "negative ") + type(prompt).__name__.lower()


def _plural(kind: str) -> str:
    return kind + ("es" if kind.endswith("x") else "s")


def _name(file: Traversable) -> str:
    return file.name
