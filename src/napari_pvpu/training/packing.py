"""Build a packed training set: one file that can be carried to the machine that trains."""

from __future__ import annotations

import re
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import DatasetError, PvpuError
from napari_pvpu.training.annotations import joint_name
from napari_pvpu.training.data_check import CheckedSources
from napari_pvpu.training.datasets import to_uint8
from napari_pvpu.training.packed_files import (
    LONGEST,
    SUFFIX,
    PackedEntry,
    PackedWriter,
    is_packed,
    read_packed,
)
from napari_pvpu.training.synthetic import generate_scenes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_pvpu.training.data_check import Example
    from napari_pvpu.training.data_report import DataReport

__all__ = ["PackResult", "pack", "read_packed"]

QUALITY = 90
"""Of WebP: about a third of the bytes of lossless images, at 42 to 50 dB over sets of all kinds."""

_SPLITS = ("train", "training", "val", "test")
_NOTE_LENGTH = 600


@dataclass(frozen=True, slots=True)
class PackResult:
    """What was packed.

    Attributes
    ----------
    path : Path
        The file.
    size : int
        Its bytes.
    entries : tuple of PackedEntry
        Its images.
    report : DataReport
        What was left out.
    """

    path: Path
    size: int
    entries: tuple[PackedEntry, ...]
    report: DataReport

    def text(self) -> str:
        """Return a table of the groups and the total, as text."""
        rows = []
        for group in dict.fromkeys(entry.group for entry in self.entries):
            mine = [entry for entry in self.entries if entry.group == group]
            reduced = sum(entry.reduced > 1 for entry in mine)
            more = f", {reduced} reduced in size" if reduced else ""
            objects = sum(entry.objects for entry in mine)
            rows.append(f"{group}: {len(mine)} images, {objects} objects{more}")
        total = f"{self.path}: {len(self.entries)} images, {self.size / 2**20:.1f} MiB"
        return "\n".join([*rows, total]) + "\n"


def pack(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    images: str | Path | None = None,
    min_area: int = 1,
    quality: int | None = QUALITY,
    longest: int = LONGEST,
    synthetic: int = 0,
    synthetic_size: int = 256,
    seed: int = 0,
    workers: int = 1,
    skip_bad: bool = False,
) -> PackResult:
    """Pack training data into one file.

    Images are stretched as for training (`to_uint8`), so that dim ones lose nothing that a
    network would see. The same data give the same bytes.

    Parameters
    ----------
    sources, images, min_area
        See `load_sources`.
    out : str or Path
        The file, in ``.pvpuset``. It is there whole or not at all.
    quality : int or None
        Of the images, 1 to 100; None for lossless ones.
    longest : int
        Images with more pixels along a side are made smaller.
    synthetic, synthetic_size, seed, workers : int
        Number of synthetic scenes to add, their side, their seed, processes that make them.
    skip_bad : bool
        Leave out what cannot be used, instead of packing nothing.

    Returns
    -------
    PackResult

    Raises
    ------
    BadDataError
        If there is a mistake in the data, unless `skip_bad`; it lists all of them.
    DatasetError
        If there is nothing to pack, or the name does not end in ``.pvpuset``.
    PvpuError
        If the file cannot be written.
    """
    out = Path(out)
    _check_options(out, quality, longest)
    checked = CheckedSources(sources, images, min_area)
    titles = group_titles(sources)
    with _written(out) as archive:
        writer = PackedWriter(archive, quality)
        for example in checked:
            _add(writer, example, titles.get(example.group, example.group), longest)
        checked.refuse_mistakes(skip_bad)
        size = (synthetic_size, synthetic_size)
        for index, scene in enumerate(generate_scenes(synthetic, size, seed, workers)):
            writer.add(scene.image, scene.labels, f"synthetic/{scene.kind}", f"{seed}-{index}")
        if not writer.entries:
            raise DatasetError("there is nothing to pack; name folders, or add synthetic scenes")
        writer.finish(_notes(sources, titles))
    return PackResult(out, out.stat().st_size, tuple(writer.entries), checked.report())


def group_titles(sources: Sequence[str | Path]) -> dict[str, str]:
    """Name the groups of a packed set, by what `CheckedSources` calls them.

    Parameters
    ----------
    sources : sequence of str or Path
        Folders and files.

    Returns
    -------
    dict of str to str
        For a folder its own name, or that of the folder above if it is called ``train`` and the
        like; with a number where two would be the same. Packed sets keep their groups' names.
    """
    files = [source for source in sources if str(source).lower().endswith(".json")]
    plain = [str(s) for s in sources if s not in files and not is_packed(s)]
    wanted = {source: _title(Path(source)) for source in plain}
    if files:
        wanted[joint_name(files)] = joint_name(files)
    titles: dict[str, str] = {}
    for source, name in wanted.items():
        word = re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip(".") or "set"
        number, title = 1, word
        while title in titles.values():
            number += 1
            title = f"{word}-{number}"
        titles[source] = title
    return titles


def _title(folder: Path) -> str:
    parts = folder.absolute().parts
    named = [part for part in parts if part.lower() not in _SPLITS]
    return named[-1] if len(named) > 1 else parts[-1]


def _add(writer: PackedWriter, example: Example, group: str, longest: int) -> None:
    image, labels = to_uint8(example.image), np.asarray(example.labels)
    factor = max(*labels.shape, 1) / longest
    if factor > 1:
        image, labels = _reduced(image, labels, factor)
    writer.add(image, labels, group, example.name, round(max(factor, 1.0), 4))


def _reduced(
    image: NDArray[np.uint8], labels: NDArray[np.integer[Any]], factor: float
) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Make an image smaller with an antialiasing filter, and its mask by its nearest pixels."""
    from PIL import Image

    old = labels.shape
    new = tuple(max(1, round(side / factor)) for side in old)
    picture = Image.fromarray(image).resize(new[::-1], Image.Resampling.BICUBIC)
    rows, cols = (
        np.minimum(((np.arange(n) + 0.5) * o / n).astype(int), o - 1)
        for n, o in zip(new, old, strict=True)
    )
    return np.asarray(picture), labels[np.ix_(rows, cols)]


def _check_options(out: Path, quality: int | None, longest: int) -> None:
    if not is_packed(out):
        raise DatasetError(f"a packed training set is written as NAME{SUFFIX}, not {out.name!r}")
    if quality is not None and not 1 <= quality <= 100:
        raise DatasetError(f"the quality is {quality}; give 1 to 100")
    if not 32 <= longest <= LONGEST:
        raise DatasetError(f"the longest side is {longest}; give 32 to {LONGEST} pixels")


@contextmanager
def _written(out: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive under another name, which becomes the file if all goes well."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(partial, "w") as archive:
                yield archive
            partial.replace(out)
        except OSError as error:
            raise PvpuError(
                f"{out} cannot be written: {error}; free space or choose another place"
            ) from error
    finally:
        partial.unlink(missing_ok=True)


def _notes(sources: Sequence[str | Path], titles: dict[str, str]) -> dict[str, str]:
    """What readme files beside the data say of licence and origin, by group."""
    notes = {}
    for source in sources:
        title = titles.get(str(source))
        note = _note(Path(source)) if title else ""
        if title and note:
            notes[title] = note
    return notes


def _note(folder: Path) -> str:
    """Lines of the nearest readme: those on the licence in its own, those with its name above."""
    name = _title(folder)
    for place in (folder, *list(folder.absolute().parents)[:2]):
        for file in sorted(place.glob("README*")):
            try:
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            word = "licen" if place == folder else name.lower()
            found = [line.strip() for line in lines if word in line.lower()]
            if found:
                return " ".join(found)[:_NOTE_LENGTH]
    return ""
