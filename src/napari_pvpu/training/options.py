"""The commands around training and their options, written down once for both command lines.

``napari-pvpu`` (typer) and ``python -m napari_pvpu.training`` (argparse, which needs nothing that
training does not need) are made from `COMMANDS`. Nothing heavy is imported here: ``--help`` reads
this module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["COMMANDS", "Command", "Option"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option or argument.

    Parameters
    ----------
    name : str
        Of the parameter that gets the value.
    kind : type
        Of the value, or of each value: str, int, float, Path, or bool for a switch.
    help : str
        What it does.
    default : object
        What it is if not said; for several values an empty list.
    flag : str
        As it is typed, if not the name with hyphens; of a switch with its opposite:
        ``"--on/--off"``.
    least, most : float, optional
        Bounds of a number.
    several : bool
        May be repeated; of an argument: takes one or more values.
    argument : bool
        Is given by place.
    needed : bool
        Has to be given.
    metavar : str, optional
        What stands for the value in the help.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    flag: str = ""
    least: float | None = None
    most: float | None = None
    several: bool = False
    argument: bool = False
    needed: bool = False
    metavar: str | None = None

    @property
    def flags(self) -> list[str]:
        """The option as it is typed; a switch's opposite comes second."""
        return (self.flag or "--" + self.name.replace("_", "-")).split("/")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Parameters
    ----------
    name, short : str
        As ``napari-pvpu NAME`` and as ``python -m napari_pvpu.training SHORT``.
    help : str
        What it does, in Markdown; the first line is the summary.
    options : tuple of Option
        What it takes.
    """

    name: str
    short: str
    help: str
    options: tuple[Option, ...]


_SOURCES = Option(
    "sources",
    Path,
    "Folders with images/ and masks/ or in a benchmark's layout, packed sets (.pvpuset), COCO or "
    "LVIS annotations (.json, with --images).",
    argument=True,
    several=True,
    needed=True,
)
_DATA = Option(
    "data",
    Path,
    "Folder with images/ and masks/, in a benchmark's layout, packed set (.pvpuset), or COCO or "
    "LVIS annotations (.json, with --images); may be repeated.",
    several=True,
)
_IMAGES = Option("images", Path, "Folder of the images of annotation files.")
_MIN_AREA = Option(
    "min_area", int, "Leave out smaller objects of annotation files (pixels).", 1, least=1
)
_SKIP_BAD = Option(
    "skip_bad", bool, "Leave out data with mistakes in them instead of stopping.", False
)
_DEVICE = Option("device", str, "auto, cpu or cuda.", "auto")
_WORKERS = Option("workers", int, "Processes that make synthetic scenes.", 2, least=1)
_EXAMPLES = Option(
    "examples", int, "Files to name of each kind of problem; all by default.", least=0
)

TRAIN = Command(
    "train",
    "train",
    """Train a model on folders and synthetic scenes; goes on from a checkpoint in OUT.

    On several GPUs: torchrun --nproc-per-node 2 -m napari_pvpu train OUT --device cuda
    """,
    (
        Option(
            "out", Path, "Folder for log, checkpoint and weights.", argument=True, needed=True
        ),
        _DATA,
        _IMAGES,
        _MIN_AREA,
        _SKIP_BAD,
        Option(
            "model",
            str,
            "Preset or YAML file to train from nothing; a weights file, or a YAML file that names "
            "weights, to go on from them.",
            "pvpu-nano",
        ),
        Option(
            "recipe",
            str,
            "pvpu, pvpu-gpu, pvpuformer, simpleclick, interformer, probabilistic, or a YAML file; "
            "the model's own by default: on a GPU pvpu-gpu instead of pvpu.",
        ),
        Option(
            "setting",
            str,
            "Change the recipe: optimizer.rate=1e-4, stream.share=0.3; repeat.",
            flag="--set",
            several=True,
            metavar="NAME=VALUE",
        ),
        Option("show_recipe", bool, "Print the recipe as YAML and train nothing.", False),
        Option("steps", int, "Length of the whole run; the recipe's by default.", least=1),
        Option("minutes", float, "Stop after this long; run again to go on.", 1e9, least=0),
        Option(
            "stream",
            bool,
            "Draw new synthetic scenes on the training device all the time.",
            True,
            flag="--stream/--no-stream",
        ),
        Option(
            "synthetic",
            int,
            "Number of synthetic scenes made beforehand; none with --stream, else 2000 by "
            "default.",
            least=0,
        ),
        Option(
            "synthetic_share",
            float,
            "Share of the scenes made beforehand in what is not streamed.",
            0.4,
            least=0,
            most=1,
        ),
        Option("seed", int, "Of weights, scenes and all that is drawn; the recipe's by default."),
        _DEVICE,
        _WORKERS,
        Option(
            "profile", int, "Take this many steps, say where the time goes, keep nothing.", 0,
            least=0,
        ),
    ),
)  # fmt: skip

PROFILE = replace(
    TRAIN,
    name="profile",
    short="profile",
    help="Say where the time of training steps goes, and keep nothing.",
    options=tuple(
        replace(option, default=10, least=1, flag="--profile")
        if option.name == "profile"
        else option
        for option in TRAIN.options
        if option.name not in ("minutes", "show_recipe", "out")
    ),
)

PACK = Command(
    "pack",
    "pack",
    """Pack training data into one file that can be carried to the machine that trains.

    Images become lossy WebP, masks stay exact. The same data give the same bytes.
    """,
    (
        replace(_SOURCES, needed=False),
        Option("out", Path, "File to write, in .pvpuset.", needed=True),
        _IMAGES,
        _MIN_AREA,
        Option("quality", int, "Of the images, 1 to 100.", 90, least=1, most=100),
        Option("lossless", bool, "Keep images as they are; about twice as large.", False),
        Option("longest", int, "Make larger images smaller (pixels).", 16_383, least=32),
        Option("synthetic", int, "Number of synthetic scenes to add.", 0, least=0),
        Option("seed", int, "Of the synthetic scenes.", 0),
        _WORKERS,
        _SKIP_BAD,
    ),
)

CHECK = Command(
    "check-data",
    "check",
    """List everything that is wrong with training data; ends with 1 if there is anything.""",
    (
        _SOURCES,
        _IMAGES,
        _MIN_AREA,
        _EXAMPLES,
        Option(
            "list_file",
            Path,
            flag="--list",
            help="Write every problem here: kind, file, detail, with tabs between.",
        ),
    ),
)

SHEET = Command(
    "contact-sheet",
    "sheet",
    """Show what a network is fed in training: streamed scenes, views of data, prompts.""",
    (
        Option("out", Path, "Picture to write: .png, .webp or .jpg.", needed=True),
        _DATA,
        _IMAGES,
        _MIN_AREA,
        _SKIP_BAD,
        Option("scenes", bool, "Streamed scenes, each beside itself with outlines.", False),
        Option("kind", str, "Kind of scenes; all by default; may be repeated.", several=True),
        Option("users", bool, "Prompts of simulated users, on the data or on scenes.", False),
        Option("count", int, "Scenes or views to show, and a quarter as many users.", 32, least=1),
        Option("size", int, "Side of views in pixels.", 128, least=32),
        Option("columns", int, "Tiles in a row.", 8, least=1),
        Option("seed", int, "Of all that is random.", 0),
        replace(_DEVICE, default="cpu"),
    ),
)  # fmt: skip

COMMANDS = (TRAIN, PACK, CHECK, SHEET, PROFILE)
"""All commands; the last one is ``--profile`` of the first, without a folder."""
