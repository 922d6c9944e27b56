"""The options of an evaluation, written down once for both of its command lines.

``napari-pvpu evaluate`` (typer) and ``python -m napari_pvpu.evaluation`` (argparse, which needs
nothing that is not needed to evaluate) are both made from `OPTIONS`. Nothing heavy is imported
here: ``--help`` reads this module.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["OPTIONS", "Option", "add_options", "changed_options", "settings_values"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option, named as in `EvaluationSettings`.

    Parameters
    ----------
    name : str
        Of the setting; the flag has hyphens for underscores.
    kind : type
        Of the value, or of each value: str, int, float or bool.
    default : object
        None for a number that may be left out, and for `flip` and `zoom_in`, which the protocol
        decides.
    help : str
        What it does.
    choices : tuple of str
        Allowed words, if not every one is.
    least : float, optional
        Smallest number allowed.
    several : bool
        Takes several values.
    negatable : bool
        A switch that has a ``--no-`` form.
    """

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    several: bool = False
    negatable: bool = True

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")


OPTIONS = (
    Option(
        "prompts",
        str,
        "click",
        "Kind of the first interaction, clicks follow; mixed: every one at random.",
        choices=("click", "box", "scribble", "mixed"),
    ),
    Option("max_interactions", int, 20, "Interactions per object at most.", least=1),
    Option(
        "targets", float, (0.8, 0.85, 0.9), "IoUs to reach, several after one flag.", several=True
    ),
    Option("model", str, "pvpu-nano", "Name of a model, or path of a YAML or weights file."),
    Option("method", str, "pvpu", "pvpu, random-walker, grabcut, watershed, flood or otsu."),
    Option("em", bool, False, "EM value propagation."),
    Option("limit", int, None, "Objects per set, spread over images.", least=1),
    Option("min_area", int, 1, "Leave out smaller objects (pixels).", least=1),
    Option("seed", int, 0, "Of all that is random."),
    Option("device", str, "auto", "auto, cpu, cuda, cuda:1, mps."),
    Option("threshold", float, 0.49, "On the probability."),
    Option("jitter", float, 0.0, "Clicks land up to this many pixels off.", least=0),
    Option(
        "seeds",
        int,
        1,
        "Segment this often, with other jitter; gives mean and spread.",
        least=1,
    ),
    Option(
        "protocol",
        str,
        "session",
        "session: as a person works; ritm: the network alone, as in the papers.",
        choices=("session", "ritm"),
    ),
    Option("flip", bool, None, "ritm: mirrored image as well; on by default."),
    Option(
        "zoom_in",
        str,
        None,
        "ritm: crops around the object; simpleclick (as PVPUFormer) by default.",
        choices=("none", "ritm", "simpleclick"),
    ),
    Option(
        "view_size",
        int,
        None,
        "ritm: side of what the network sees, if not the model's own.",
        least=32,
    ),
    Option(
        "iou_analysis",
        bool,
        False,
        "Make all interactions, targets met or not.",
        negatable=False,
    ),
    Option("split", str, "val", "Of sets with parts, and of layouts that have lists of images."),
    Option("layout", str, "auto", "auto, folder, grabcut, berkeley, davis, sbd or voc."),
)


def settings_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what was said on a command line into arguments of `EvaluationSettings`.

    Parameters
    ----------
    values : mapping
        By names of `OPTIONS`; those that are missing are as by default.

    Returns
    -------
    dict
        What was not said of the protocol is as in PVPUFormer's evaluation.
    """
    out = {option.name: values.get(option.name, option.default) for option in OPTIONS}
    papers = out["protocol"] == "ritm"
    if out["flip"] is None:
        out["flip"] = papers
    if out["zoom_in"] is None:
        out["zoom_in"] = "simpleclick" if papers else "none"
    out["targets"] = tuple(out["targets"])
    return out


def changed_options(values: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Flags, among some options, whose values are not the defaults."""
    changed = []
    for option in OPTIONS:
        value = values.get(option.name, option.default)
        value = tuple(value) if option.several else value
        if option.name in names and value != option.default:
            changed.append(option.flag)
    return changed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give an argparse parser all of `OPTIONS`."""
    for option in OPTIONS:
        words: dict[str, Any] = {"help": option.help, "default": option.default}
        if option.kind is bool:
            words["action"] = argparse.BooleanOptionalAction if option.negatable else "store_true"
        else:
            words["type"] = _reader(option)
            words["metavar"] = option.kind.__name__.upper()
        if option.choices:
            words["choices"] = option.choices
            del words["metavar"]
        if option.several:
            words["nargs"] = "+"
        parser.add_argument(option.flag, dest=option.name, **words)


def _reader(option: Option) -> Any:
    """Read one value, and say so if it is too small."""

    def read(word: str) -> Any:
        value = option.kind(word)
        if option.least is not None and value < option.least:
            raise argparse.ArgumentTypeError(f"{word} is less than {option.least:g}")
        return value

    # What argparse calls the type of a word that cannot be read.
    read.__name__ = option.kind.__name__
    return read
