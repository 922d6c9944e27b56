"""Model cards: prose by hand, tables from results.

A card is Markdown. What stands between ``<!-- table:begin NAME -->`` and ``<!-- table:end -->`` is
written anew from the results of a report, the rest is left alone. `TABLES` are the names; without
a name all that was measured is written. Credits of data come from ``<weights>.credits.json``
beside the weights, see `read_credits`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_pvpu.errors import DatasetError, ModelNotFoundError, PvpuError
from napari_pvpu.evaluation.collected import collect
from napari_pvpu.evaluation.provenance import command_line, weights_of
from napari_pvpu.evaluation.report import markdown_table
from napari_pvpu.evaluation.report_sections import machine_text
from napari_pvpu.evaluation.report_tables import (
    KIND_NAMES,
    baseline_table,
    difference_table,
    kinds_table,
    set_table,
    timing_table,
)
from napari_pvpu.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_pvpu.evaluation.collected import Collected

    Credits: TypeAlias = Mapping[str, list[Mapping[str, Any]]]

__all__ = ["TABLES", "fill_card", "read_credits", "write_model_card"]

_BLOCK = re.compile(
    r"(?P<begin><!-- table:begin(?: (?P<name>[\w-]+))? -->\n)"
    r"(?P<inside>(?:(?!<!-- table:begin).)*?)"
    r"(?P<end>^<!-- table:end -->$)",
    re.DOTALL | re.MULTILINE,
)
_MARK = re.compile(r"<!-- table:(?:begin(?: [\w-]+)?|end) -->")

_TEMPLATE = """# Model card: {name}

<!-- table:begin weights -->
<!-- table:end -->

## What it was trained on

<!-- table:begin credits -->
<!-- table:end -->

## How good it is

Means over sets by the first prompt:

<!-- table:begin kinds -->
<!-- table:end -->

Clicks, set by set; kinds marked * were never trained on:

<!-- table:begin clicks -->
<!-- table:end -->

The command:

<!-- table:begin command -->
<!-- table:end -->
"""


def write_model_card(model: str, results: Path, out: Path | None = None) -> Path:
    """Write what was measured into a model's card.

    Parameters
    ----------
    model : str
        Name of a model, or path of its weights.
    results : Path
        What ``evaluate --report`` measured of the same weights.
    out : Path, optional
        Card to write; ``<weights>.md`` beside the weights by default. What is written by hand is
        taken from it if it is there, else from the card beside the weights, else from a template.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    ModelNotFoundError
        When there are no weights.
    DatasetError
        When the results are of other weights, or lack what the card has a table for.
    PvpuError
        When markers do not pair, or name an unknown table.
    """
    from napari_pvpu.model_files import find_model

    weights = find_model(model).weights
    if weights is None:
        raise ModelNotFoundError(f"{model!r} has no weights here, so there is nothing to describe")
    found = collect(results)
    digest = (weights_of(EvaluationSettings(model=model)) or {}).get("sha256")
    measured = (found.first.get("weights") or {}).get("sha256")
    if measured != digest:
        raise DatasetError(
            f"{results} was measured with other weights (sha256 {str(measured)[:12]}) than those "
            f"of {model} ({str(digest)[:12]}); evaluate these first"
        )
    beside = weights.with_suffix(".md")
    out = beside if out is None else out
    source = next((path for path in (out, beside) if path.is_file()), None)
    text = source.read_text(encoding="utf-8") if source else _TEMPLATE.format(name=weights.stem)
    credits_file = weights.with_suffix(".credits.json")
    known = read_credits(credits_file) if credits_file.is_file() else None
    filled = fill_card(text, found, known, _facts(model))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(filled, encoding="utf-8")
    return out


def fill_card(
    text: str, found: Collected, known: Credits | None = None, facts: str | None = None
) -> str:
    """Write tables between a card's markers.

    Parameters
    ----------
    text : str
        The card.
    found : Collected
        What was measured.
    known : mapping, optional
        From `read_credits`.
    facts : str, optional
        The table of the weights.

    Returns
    -------
    str
        The card with its tables; the markers stay.

    Raises
    ------
    DatasetError
        When there is nothing to write for a table.
    PvpuError
        When there is no marker, markers do not pair, or one names an unknown table.
    """
    blocks = list(_BLOCK.finditer(text))
    if not blocks or 2 * len(blocks) != len(_MARK.findall(text)):
        raise PvpuError(
            "the card's markers do not pair; put '<!-- table:begin NAME -->' and "
            "'<!-- table:end -->' each on a line of its own around every table, NAME one of "
            + ", ".join(TABLES)
        )

    def fill(block: re.Match[str]) -> str:
        inside = _inside(block["name"], found, known, facts)
        # A command keeps its indent, which makes it a block of code.
        lines = inside.strip("\n")
        return f"{block['begin']}\n{lines}\n\n{block['end']}"

    return _BLOCK.sub(fill, text)


def read_credits(path: Path) -> Credits:
    """Read which data went into a model's weights.

    Parameters
    ----------
    path : Path
        JSON: ``trained_on`` and ``never_trained_on``, each a list of {"sets": [names], "what",
        "licence"}.

    Returns
    -------
    mapping

    Raises
    ------
    DatasetError
        When the file is something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        for group in ("trained_on", "never_trained_on"):
            for entry in value[group]:
                complete = entry["what"] and entry["licence"] and list(entry["sets"])
                if not complete:
                    raise ValueError(f"an entry of {group} is empty")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DatasetError(
            f"{path} does not hold credits ({error!r}); expected trained_on and never_trained_on, "
            "lists of entries with sets, what and licence"
        ) from error
    return dict(value)


def _inside(name: str | None, found: Collected, known: Credits | None, facts: str | None) -> str:
    """What stands between one pair of markers."""
    if name is None:
        texts = [text for make in TABLES.values() if (text := make(found, known, facts))]
        return "\n".join(texts)
    if name not in TABLES:
        raise PvpuError(f"the card has no table {name!r} to fill; use one of {', '.join(TABLES)}")
    text = TABLES[name](found, known, facts)
    if not text:
        raise DatasetError(
            f"the card has a table {name!r}, but there is nothing to fill it with: run evaluate "
            "DATA --report OUT with the part that measures it, or, for credits, write "
            "<weights>.credits.json"
        )
    return text


def _unseen(known: Credits | None) -> list[str]:
    return [name for entry in (known or {}).get("never_trained_on", []) for name in entry["sets"]]


def _credits(found: Collected, known: Credits | None, facts: str | None) -> str:
    if not known:
        return ""
    rows = [["set", "what", "licence and origin", "trained on"]]
    for group, word in (("trained_on", "yes"), ("never_trained_on", "never")):
        for entry in known[group]:
            rows.append([", ".join(entry["sets"]), entry["what"], entry["licence"], word])
    return markdown_table(rows, left=True)


def _facts(model: str) -> str:
    """The weights as a table: file, size, digest, parameters and view."""
    from napari_pvpu.model_files import find_model, sketch_network
    from napari_pvpu.networks.interface import count_parameters

    config = find_model(model).config
    total, interactive = count_parameters(sketch_network(config))
    weights = weights_of(EvaluationSettings(model=model))
    assert weights is not None
    rows = [
        ["weights", f"`{weights['file']}`"],
        ["size", f"{weights['bytes'] / 1e6:.2f} MB"],
        ["sha256", f"`{weights['sha256']}`"],
        [
            "parameters",
            f"{total / 1e6:.2f} M, of which {interactive / 1e6:.2f} M run at each interaction",
        ],
        ["view", f"{config.view_size} × {config.view_size} model pixels"],
    ]
    return markdown_table(rows, left=True)


def _clicks(found: Collected, known: Credits | None, facts: str | None) -> str:
    of_sets = found.kinds.get("click")
    return set_table(of_sets, _unseen(known)) if of_sets else ""


def _kinds(found: Collected, known: Credits | None, facts: str | None) -> str:
    return kinds_table(found.kinds) if found.kinds else ""


def _em(found: Collected, known: Credits | None, facts: str | None) -> str:
    pairs = {
        KIND_NAMES[kind]: (found.kinds[kind], found.em[kind])
        for kind in found.em
        if kind in found.kinds
    }
    return difference_table(pairs, ("EM off", "EM on"), worse=True) if pairs else ""


def _jitter(found: Collected, known: Credits | None, facts: str | None) -> str:
    exact = found.kinds.get("click")
    if not exact or not found.jitter:
        return ""
    pixels = next(iter(found.jitter.values()))["settings"]["jitter"]
    names = ("exact", f"up to {pixels:g} px off")
    return difference_table({"clicks": (exact, found.jitter)}, names, worse=False)


def _baselines(found: Collected, known: Credits | None, facts: str | None) -> str:
    clicks = found.kinds.get("click")
    return baseline_table(clicks, found.baselines) if clicks and found.baselines else ""


def _timings(found: Collected, known: Credits | None, facts: str | None) -> str:
    if not found.timings:
        return ""
    told = machine_text(next(iter(found.timings.values())))
    return f"{timing_table(found.timings)}\nMilliseconds on {told}\n"


def _command(found: Collected, known: Credits | None, facts: str | None) -> str:
    result = next(iter(found.kinds.get("click", {}).values()), found.first)
    parts = None if found.run.get("all_parts", True) else found.run.get("parts")
    return f"    {command_line(result['settings'], parts)}\n"


TABLES: dict[str, Callable[[Collected, Credits | None, str | None], str]] = {
    "weights": lambda found, known, facts: facts or "",
    "credits": _credits,
    "kinds": _kinds,
    "clicks": _clicks,
    "em": _em,
    "jitter": _jitter,
    "baselines": _baselines,
    "timings": _timings,
    "command": _command,
}
"""What a card may have a table of."""
