"""A folder of session files: which one goes with an image, what to resume, and what may go.

Every session has a file of its own, ``IMAGE-TIME-PROCESS.pvpu-session``, whose name tells of
which image it is (a checksum), when it was begun, and which program writes it. A file in which
nothing was done is removed when its session ends.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import JournalError, OtherVersionError
from napari_pvpu.file_locks import is_held
from napari_pvpu.fingerprints import image_hash
from napari_pvpu.journal import Journal, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari_pvpu.operations import Operation
    from napari_pvpu.predictor import Predictor
    from napari_pvpu.session import Session

__all__ = [
    "MOST_KEPT",
    "SUFFIX",
    "Earlier",
    "begin_file",
    "earlier_sessions",
    "end_file",
    "image_hash_of",
    "newest_file",
    "resume_file",
]

SUFFIX = ".pvpu-session"
MOST_KEPT = 1000
"""Session files that a folder keeps; older ones go when a new one begins. They are small, and may
hold all that somebody has done on a series of images."""

_LOOKS = ("set", "see")
"""Operations that nobody would miss."""

_NEW = 60.0
"""Seconds for which a file is not looked at by other programs."""

_ours: set[Path] = set()
"""Files that this program is writing."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A session of the same image that was left before.

    Attributes
    ----------
    path : Path
        Its file.
    left : datetime
        When something was done in it last.
    steps : int
        What was done in it, settings aside.
    objects : int
        Objects that were accepted in it, be they deleted later.
    hindrance : str
        Why it cannot be gone on with as things are, and what to do; empty if it can.
    """

    path: Path
    left: datetime
    steps: int
    objects: int
    hindrance: str = ""

    @property
    def summary(self) -> str:
        """What there is, such as ``"12 steps, 3 objects accepted"``; empty if that is not known."""
        if not self.steps:
            return ""
        steps = f"{self.steps} step{'s' if self.steps != 1 else ''}"
        if not self.objects:
            return f"{steps}, no object accepted yet"
        return f"{steps}, {self.objects} object{'s' if self.objects != 1 else ''} accepted"


def begin_file(
    folder: Path,
    session: Session,
    image: Any,
    on_trouble: Callable[[JournalError], None] | None = None,
) -> Path:
    """Begin the file of a session that was opened just now.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    session : Session
        From now on everything done to it goes into the file.
    image : array-like
        The image, as it was opened.
    on_trouble
        See `Journal`.

    Raises
    ------
    JournalError
        If the file cannot be written.
    """
    path = folder / _file_name(image_hash(image))
    _ours.add(path)
    try:
        Journal.create(path, session, image, on_trouble=on_trouble)
        _prune(folder)
    except OSError as error:
        raise JournalError(str(error)) from error
    return path


def resume_file(
    path: Path,
    image: Any,
    segmenter: Predictor,
    on_trouble: Callable[[JournalError], None] | None = None,
    folder: Path | None = None,
) -> Session:
    """Open an earlier session as it was left; its file goes on, under a name of this program's.

    Parameters
    ----------
    path : Path
        The file. It stays as it is if it lies elsewhere than in the folder.
    image, segmenter, on_trouble
        See `Journal.resume`.
    folder : Path, optional
        Of session files; by default the one that the file lies in.

    Raises
    ------
    JournalError
        If it was made on another image or with another model, or is damaged; then the file stays
        as it was.
    """
    folder = folder or path.parent
    ours = folder / _file_name(image_hash(image))
    copy = folder / f".{secrets.token_hex(6)}.tmp"
    _ours.add(ours)
    try:
        read_journal(path)  # so that what is wrong is told of this file, not of the copy
        folder.mkdir(parents=True, exist_ok=True)
        # Whole or not there: half a copy would be the newest file should the program end now.
        shutil.copyfile(path, copy)
        os.replace(copy, ours)
        session = Journal.resume(ours, image, segmenter, exact=False, on_trouble=on_trouble)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise JournalError(f"{path} cannot be resumed ({error.strerror or error})") from error
    except JournalError:
        ours.unlink(missing_ok=True)
        raise
    if folder == path.parent:
        path.unlink(missing_ok=True)
    return session


def end_file(session: Session) -> None:
    """Close a session's file, and remove it if nothing was done."""
    journal: Journal | None = session.journal
    if journal is None:
        return
    session.watch(None)
    session.journal = None
    _ours.discard(journal.path)
    with suppress(OSError):
        journal.close()
        if not session.history and not session.objects:
            journal.path.unlink(missing_ok=True)


def newest_file(folder: Path, image_hash: str, model: str | None) -> Earlier | None:
    """Return the session of an image and a model that was left last; None if none is worth it.

    Sessions that another program is at do not count.
    """
    found = earlier_sessions(folder, image_hash, model)
    return next((each for each in found if not each.hindrance), None)


def earlier_sessions(folder: Path, image_hash: str, model: str | None) -> Iterator[Earlier]:
    """Give the sessions of an image in which something was done, that left last first.

    Parameters
    ----------
    folder : Path
        Of session files; it need not be there.
    image_hash : str
        See `napari_pvpu.fingerprints.image_hash`.
    model : str or None
        What they would be gone on with.

    Yields
    ------
    Earlier
        Those of other models and versions, too, with what hinders them. Not sessions that another
        program is at, nor files that are no session files any more.
    """
    try:
        paths = sorted(folder.glob(f"{image_hash}-*{SUFFIX}"), reverse=True)
    except OSError:  # a folder that cannot be looked into has nothing to go on with
        return
    for path in paths:
        if not _in_use(path):
            with suppress(JournalError, OSError):
                earlier = _look_into(path, model)
                if earlier is not None:
                    yield earlier


def _look_into(path: Path, model: str | None) -> Earlier | None:
    """Return what a file holds; None if nothing was done in it."""
    left = datetime.fromtimestamp(path.stat().st_mtime)
    try:
        recorded = read_journal(path, until_damage=True)
    except OtherVersionError as error:
        return Earlier(path, left, 0, 0, f"{error.written}; use that version to go on with it")
    done = [operation for operation in recorded.operations if operation.name not in _LOOKS]
    if not done:
        return None
    made_with, hindrance = recorded.header["model"]["name"], ""
    if made_with != model:
        hindrance = f"it was made with the model “{made_with}”; choose that to go on with it"
    return Earlier(path, left, len(done), _count_objects(done), hindrance)


def _count_objects(operations: Sequence[Operation]) -> int:
    """Return how many objects were accepted, one by one or in batches."""
    results = [
        each.result
        for each in operations
        if each.name == "accept" or each.values.get("accepting") is not None
    ]
    return len({result["id"] for result in results if isinstance(result, dict)})


def image_hash_of(path: Path) -> str:
    """Return of which image a session file is, by its name; see `image_hash`."""
    return path.name.partition("-")[0]


def _file_name(image_hash: str) -> str:
    """Return a name for a new file: of which image, when, and which program's."""
    now = datetime.now().strftime("%Y%m%d.%H%M%S.%f")
    return f"{image_hash}-{now}-{os.getpid()}{SUFFIX}"


def _in_use(path: Path) -> bool:
    """Whether the program that writes a file is still there."""
    try:
        held = is_held(path)
    except OSError:
        held = None
    if held is not None:
        return held
    number = path.name.removesuffix(SUFFIX).rpartition("-")[2]
    if not number.isdigit():
        return False
    if int(number) == os.getpid() or os.name == "nt":
        # Other programs cannot be asked for safely on Windows.
        return int(number) == os.getpid() and path in _ours
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _prune(folder: Path) -> None:
    files = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.name.split("-")[1:])
    for number, path in enumerate(reversed(files)):
        with suppress(OSError):
            if not _in_use(path) and (number >= MOST_KEPT or _nothing_done(path)):
                path.unlink()


def _nothing_done(path: Path) -> bool:
    if path.stat().st_mtime > time.time() - _NEW:
        return False  # another program may be about to begin
    with open(path, "rb") as file:
        return not file.readline().endswith(b"\n") or not file.readline().endswith(b"\n")
