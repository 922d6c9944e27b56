"""Train on a machine that only computes: ``python -m napari_pvpu.training COMMAND``.

The commands are those of ``napari-pvpu``: train, pack, check, sheet, profile. They need torch,
timm, numpy, scipy, scikit-image, pillow, safetensors and tqdm; only YAML files need more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from napari_pvpu.errors import PvpuError
from napari_pvpu.training.options import COMMANDS, Option
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
        0; 1 if ``check`` found mistakes; 2 after an error, which is one line on stderr, or for
        mistakes in data their report.
    """
    chosen = vars(_parser().parse_args(words))
    command = chosen.pop("command")
    wait_passively()  # torch is imported below
    from napari_pvpu.training.launch import launch

    try:
        text, code = launch(command, chosen)
    except PvpuError as error:
        text, code = f"napari_pvpu.training: {' '.join(str(error).split())}\n", 2
    print(text, end="", file=sys.stderr if code == 2 else sys.stdout)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m napari_pvpu.training", description="Train, and see to training data."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        summary, _, more = command.help.partition("\n")
        sub = commands.add_parser(
            command.short, help=summary, description=" ".join(f"{summary} {more}".split())
        )
        sub.set_defaults(command=command)
        for option in command.options:
            _add(sub, option)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    words: dict[str, Any] = {"help": option.help.replace("%", "%%")}
    if option.kind is bool:
        on, *off = option.flags
        parser.add_argument(
            on, dest=option.name, action="store_true", default=option.default, **words
        )
        for flag in off:
            parser.add_argument(
                flag, dest=option.name, action="store_false", help="The opposite of it."
            )
        return
    words["type"] = _reader(option)
    words["metavar"] = option.metavar or option.name.upper()
    if option.argument:
        words["nargs"] = {(True, True): "+", (True, False): "*"}.get(
            (option.several, option.needed)
        )
        parser.add_argument(option.name, **words)
        return
    words["default"] = [] if option.several else option.default
    words["action"] = "append" if option.several else "store"
    parser.add_argument(*option.flags, dest=option.name, required=option.needed, **words)


def _reader(option: Option) -> Any:
    """Read one value, and say so if it is out of bounds."""

    def read(word: str) -> Any:
        value = option.kind(word)
        if option.kind in (int, float):
            if option.least is not None and not value >= option.least:
                raise argparse.ArgumentTypeError(f"{word} is less than {option.least:g}")
            if option.most is not None and not value <= option.most:
                raise argparse.ArgumentTypeError(f"{word} is more than {option.most:g}")
        return value

    # What argparse calls the type of a word that cannot be read.
    read.__name__ = "path" if option.kind is Path else option.kind.__name__
    return read


if __name__ == "__main__":
    sys.exit(main())
