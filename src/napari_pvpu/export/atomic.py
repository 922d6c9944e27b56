"""Files that are whole or not there: written beside their place, then moved into it.

Whatever fails on the way (a folder that cannot be written, a full disk, a stopped program), what
was there before stays as it was.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import warnings
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["explained", "library", "read_error", "replaced_file", "replaced_folder"]

_ADVICE = {
    errno.ENOSPC: "free some space there, or choose another disk",
    errno.EDQUOT: "free some space there, or choose another disk",
    errno.EFBIG: "choose a disk that takes larger files, or a format that writes smaller ones",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENOTDIR: "choose a path with no file in the place of a folder",
    errno.EEXIST: "choose a path with no file in the place of a folder",
    errno.EISDIR: "choose a name that is not a folder's",
    errno.ENAMETOOLONG: "choose a shorter name",
}
# From here on it is quicker to have the system write all that it holds than file after file.
_MANY_FILES = 100


@contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file to write, which takes the place of `path` when all went well.

    Missing folders are made. The temporary file lies in the same folder, so that it moves in one
    step, and its content is on the disk before it does.

    Parameters
    ----------
    path : path
        Of the file to be.

    Yields
    ------
    Path
        Where to write; nothing is there yet.

    Raises
    ------
    ExportError
        When the system refuses; with the path, its reason, and what to do. What was at `path`
        before is then untouched and nothing is left beside it.
    """
    target = Path(os.path.realpath(path))  # what a link leads to, not the link
    temporary = _beside(target)
    try:
        with explained(target):
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _to_disk(temporary)
            os.replace(temporary, target)
            _to_disk(target.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replaced_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder to fill, which takes the place of `path` when all went well.

    No system swaps two folders that are not empty in one step that Python knows, so the old one
    steps aside for a moment, and comes back if the new one cannot take its place.

    Parameters
    ----------
    path : path
        Of the folder to be. What is there is deleted once the new one is in place.

    Yields
    ------
    Path
        An empty folder beside it.

    Raises
    ------
    ExportError
        As in `replaced_file`.
    """
    target = Path(os.path.realpath(path))  # what a link leads to, not the link
    temporary, aside = _beside(target), _beside(target)
    try:
        with explained(target):
            if target.exists() and not target.is_dir():
                raise FileExistsError(errno.EEXIST, "there is a file of that name")
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            yield temporary
            _tree_to_disk(temporary)
            _swap(temporary, target, aside)
            _to_disk(target.parent)
    finally:
        for left in (temporary, aside):
            shutil.rmtree(left, ignore_errors=True)


def _swap(new: Path, target: Path, aside: Path) -> None:
    if not target.exists():
        os.rename(new, target)
        return
    os.rename(target, aside)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(aside, target)
        raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of the system into an `ExportError` that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "choose another place")
        raise ExportError(f"{path} cannot be written: {reason}; {advice}") from error


def read_error(path: str | os.PathLike[str], reason: object) -> ExportError:
    """Return the error for a file that cannot be read."""
    return ExportError(f"{os.fspath(path)} cannot be read: {reason}")


def library(name: str, purpose: str) -> Any:
    """Import an optional library.

    Parameters
    ----------
    name : str
        Of the module.
    purpose : str
        What it is for, as in "ImageJ ROIs".

    Raises
    ------
    ExportError
        When it is not installed; says how to install it.
    """
    try:
        # Some libraries use what they themselves have deprecated; no user of ours can help it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return import_module(name)
    except ImportError as error:
        raise ExportError(
            f"{purpose} need the package {name.partition('.')[0].replace('_', '-')}, which cannot "
            f"be imported ({error}); run: pip install napari-pvpu[export]"
        ) from error


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.tmp")


def _to_disk(path: Path) -> None:
    """Have the system write a file, or a folder's list of names, before going on."""
    if path.is_dir() and os.name == "nt":  # a folder cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tree_to_disk(folder: Path) -> None:
    everything = [folder, *folder.rglob("*")]
    if len(everything) > _MANY_FILES and hasattr(os, "sync"):
        os.sync()
        return
    for path in everything:
        _to_disk(path)
