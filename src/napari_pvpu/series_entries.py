"""The images of a series: what is known of each, and how far the whole has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["Entry", "Progress", "State", "label_stems", "missing", "stamp_of"]

_COMPOUND = (".ome.tif", ".ome.tiff", ".ome.zarr")


class State(StrEnum):
    """What has become of an image."""

    UNTOUCHED = "untouched"
    BEGUN = "begun"
    DONE = "done"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a series.

    Attributes
    ----------
    name : str
        Its path within the images' common folder, with slashes; no other image has it.
    path : Path
        The file, or the folder of an OME-Zarr.
    labels : Path
        Where its labels are, or will be.
    state : State
        What has become of it.
    objects : int
        How many were accepted.
    saved : (int, int) or None
        Bytes and time of change, in nanoseconds, of the file of labels as we left it.
    fingerprint : dict or None
        Of the pixels on which work was begun, see `fingerprint`.
    trouble : str or None
        Why it cannot be worked on now; forgotten when the series is opened again.
    """

    name: str
    path: Path
    labels: Path
    state: State = State.UNTOUCHED
    objects: int = 0
    saved: tuple[int, int] | None = None
    fingerprint: dict[str, Any] | None = None
    trouble: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether there is something left to do, and it can be done."""
        return self.state in (State.UNTOUCHED, State.BEGUN) and self.trouble is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a series has come: numbers of images.

    Attributes
    ----------
    total, done, skipped, troubled : int
        All; those done; skipped; and those that cannot be worked on.
    """

    total: int
    done: int
    skipped: int
    troubled: int

    def __str__(self) -> str:
        """Return for instance "12 of 50 done, 2 skipped"."""
        parts = [f"{self.done} of {self.total} done"]
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        parts += [f"{self.troubled} cannot be opened"] if self.troubled else []
        return ", ".join(parts)


def missing(path: Path) -> str:
    """Return the sentence about an image that is not there."""
    return f"there is no {path} any more; put it back, or leave this image out"


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Return size and time of change of a file, or of a folder by itself; None if it is not there.

    What is changed deep in a folder does not show.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return (0 if path.is_dir() else found.st_size), found.st_mtime_ns


def label_stems(names: list[str]) -> dict[str, str]:
    """Name files of labels as their images, and in full where two would have the same name."""
    stems = {name: _stem(name) for name in names}
    often = list(stems.values())
    return {name: name if often.count(stem) > 1 else stem for name, stem in stems.items()}


def _stem(name: str) -> str:
    for suffix in _COMPOUND:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return str(Path(name).with_suffix("").as_posix())
