"""Checkpoints that neither a full disk nor a kill at the wrong moment can cost.

A new one is written to a file of its own and only takes the old one's name once it is on the
disk; the one before stays beside it, for the day on which the newest turns out to be damaged.
"""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch

from napari_pvpu.errors import PvpuError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "CHECKPOINT",
    "PREVIOUS",
    "differences",
    "find_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]

LOGGER = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
_PARTIAL = "checkpoint.tmp"

# What a file that is no whole checkpoint makes torch and zipfile raise.
_DAMAGED = (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError)
# What neither weights nor the way to them depend on, the seed because its generators' states are
# taken over.
_HARMLESS = ("log_every", "save_every", "compile", "seed")


def write_checkpoint(state: dict[str, Any], folder: Path) -> Path:
    """Write a checkpoint, whole or not at all, and keep the one before.

    Parameters
    ----------
    state : dict
        Tensors and plain values.
    folder : Path
        Where `CHECKPOINT` and `PREVIOUS` are.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    PvpuError
        If the disk is full or cannot be written; the checkpoints of before are as they were.
    """
    partial, newest = folder / _PARTIAL, folder / CHECKPOINT
    try:
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        # A damaged one must not take the place of the one that a run went on from instead.
        if newest.is_file() and _damage(newest) is None:
            _keep(newest, folder / PREVIOUS)
        partial.replace(newest)
        _sync(folder)
    # What the stream raises reaches us as it is or as torch's own RuntimeError.
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        kept = "the one before is kept" if newest.is_file() else "there is none yet"
        reason = error.__context__ if isinstance(error.__context__, OSError) else error
        raise PvpuError(
            f"the checkpoint of step {state.get('step', '?')} could not be written to {folder} "
            f"({str(reason).splitlines()[0]}); {kept}; free some space there and go on"
        ) from error
    return newest


def find_checkpoint(folder: Path) -> Path | None:
    """Return the file that a run in a folder goes on from, or None if there is none."""
    for name in (CHECKPOINT, PREVIOUS):
        if (folder / name).is_file():
            return folder / name
    return None


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint, or the one before it if it is damaged.

    Parameters
    ----------
    path : Path
        A file of `write_checkpoint`; `PREVIOUS` is looked for beside it. That the older one was
        taken is said by a warning of this module's logger.
    device : torch.device or str
        Where its tensors go.

    Returns
    -------
    dict
        As it was written.

    Raises
    ------
    WeightsError
        If neither can be read.
    """
    older = path.with_name(PREVIOUS)
    tries = [path, older] if older != path and older.is_file() else [path]
    problems = []
    for file in tries:
        try:
            state = _read(file, device)
        except _DAMAGED as error:
            problems.append(f"{file} is damaged ({str(error).splitlines()[0]})")
            continue
        if problems:
            LOGGER.warning(
                "%s; goes on from the one before, %s, of step %s",
                problems[0],
                file.name,
                state.get("step", "?"),
            )
        return state
    raise WeightsError(
        f"{' and '.join(problems)}; restore a copy, or begin the run in another folder"
    )


def differences(before: dict[str, Any], now: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """Name the settings that differ and change what comes out.

    Parameters
    ----------
    before, now : dict
        Nested settings of the checkpoint and of the run that goes on from it.
    usual : dict
        Nested defaults, for settings that are missing in `before`.

    Returns
    -------
    list of str
        Such as ``"optimizer.rate 0.001 -> 0.002"``.

    Examples
    --------
    >>> differences({"views": 2, "seed": 1}, {"views": 4, "seed": 2, "new": 0}, {"new": 0})
    ['views 2 -> 4']
    """
    old = _flat(usual) | _flat(before)
    new = _flat(now)
    return [
        f"{name} {_shown(old.get(name))} -> {_shown(value)}"
        for name, value in new.items()
        if name not in _HARMLESS and _plain(old.get(name)) != _plain(value)
    ]


def _damage(path: Path) -> str | None:
    """Say what is wrong with a file's bytes; torch reads members without their check sums."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        return str(error) or type(error).__name__
    return None if bad is None else f"wrong check sum of {bad}"


def _read(path: Path, device: torch.device | str) -> dict[str, Any]:
    damage = _damage(path)
    if damage is not None:
        raise ValueError(damage)
    # Checkpoints are our own files and hold only tensors and plain values.
    state = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(state, dict) or "net" not in state:
        raise ValueError("no checkpoint of a training run")
    return state


def _keep(newest: Path, previous: Path) -> None:
    """Give the newest file a second name, so that it is never without one."""
    link = previous.with_suffix(".tmp")
    link.unlink(missing_ok=True)
    try:
        os.link(newest, link)
    except OSError:  # a file system without links; for a moment the older name alone is there
        newest.replace(previous)
        return
    link.replace(previous)


def _sync(folder: Path) -> None:
    """Bring the folder's names to the disk, where a folder can be opened."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flat(values: dict[str, Any], where: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{where}{name}.")
        else:
            out[f"{where}{name}"] = value
    return out


def _plain(value: Any) -> Any:
    """Lists and tuples are the same thing here."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _shown(value: Any) -> str:
    many: Iterable[Any] | None = value if isinstance(value, list | tuple) else None
    return f"({', '.join(map(_shown, many))})" if many is not None else f"{value}"
