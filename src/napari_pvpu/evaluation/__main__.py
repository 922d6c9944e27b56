"""Evaluate on a machine that only computes: ``python -m napari_pvpu.evaluation DATA ...``.

The options are those of ``napari-pvpu evaluate``. It needs torch, timm, numpy, scipy,
scikit-image, pillow, safetensors and tqdm; only a report's curves and HTML need more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.options import OPTIONS, add_options
from napari_pvpu.waiting import wait_passively

__all__ = ["main"]


def main(words: list[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    words : list of str, optional
        The command line without the program's name; that of the process by default.

    Returns
    -------
    int
        0, or 2 after an error, which is one line on stderr.
    """
    chosen = _parser().parse_args(words)
    values = {option.name: getattr(chosen, option.name) for option in OPTIONS}
    try:
        print(_run(chosen, values), end="")
    except PvpuError as error:
        print(f"napari_pvpu.evaluation: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m napari_pvpu.evaluation",
        description="Count how many prompts a method needs on images with masks.",
    )
    parser.add_argument(
        "data", type=Path, help="Folder with images/ and masks/, or a folder of such sets."
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument("--json", type=Path, metavar="FILE", help="Write one set's result here.")
    places.add_argument(
        "--out", type=Path, metavar="DIR", help="Evaluate every set: a JSON for each, report.md."
    )
    places.add_argument(
        "--report", type=Path, metavar="DIR", help="Measure all parts of a report, and write it."
    )
    parser.add_argument("--parts", help="Parts of the report, with commas between.")
    parser.add_argument("--workers", type=int, default=1, help="Processes, a core for each.")
    parser.add_argument("--no-pictures", action="store_true", help="No pictures of the data.")
    parser.add_argument(
        "--markdown-only",
        action="store_true",
        help="Tables only: no curves and no HTML, which need matplotlib and markdown-it-py.",
    )
    add_options(parser)
    return parser


def _run(chosen: argparse.Namespace, values: dict[str, object]) -> str:
    """Do what was asked; return what to print."""
    wait_passively()  # torch is imported below
    from napari_pvpu.evaluation.command import evaluate_one, evaluate_with_report, make_settings
    from napari_pvpu.evaluation.suite import evaluate_suite, find_sets

    if chosen.report is not None:
        written = evaluate_with_report(
            chosen.data,
            values,
            chosen.report,
            parts=chosen.parts,
            workers=chosen.workers,
            pictures=not chosen.no_pictures,
            markdown_only=chosen.markdown_only,
        )
        return "".join(f"{path}\n" for path in written)
    if chosen.parts is not None or chosen.no_pictures or chosen.markdown_only:
        raise PvpuError(
            "--parts, --no-pictures and --markdown-only belong to a report; add --report DIR"
        )
    if chosen.out is not None:
        settings = make_settings(values)
        sets = find_sets(chosen.data, settings.split)
        return evaluate_suite(sets, [settings], chosen.out, workers=chosen.workers)
    if chosen.workers != 1:
        raise PvpuError("one set is evaluated by one process; add --out DIR or --report DIR")
    return evaluate_one(chosen.data, values, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
