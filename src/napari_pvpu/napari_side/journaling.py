"""Session files of the panel: where they lie, which one goes with an image, and what to resume.

Every session is kept in a file of its own in a folder beside napari's caches, so that nothing is
lost when napari is killed. A file in which nothing was done is removed when its session ends.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QStandardPaths

from napari_pvpu.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.journal import Journal
    from napari_pvpu.napari_side.engine import Engine
    from napari_pvpu.session import Session

__all__ = ["Earlier", "Opened", "end_journal", "open_kept", "resume", "sessions_folder"]

SUFFIX = ".pvpu-session"
MOST_KEPT = 50
"""Session files that are kept; older ones go when a new one begins."""

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
    objects : int
        Times that an object was accepted in it.
    """

    path: Path
    left: datetime
    objects: int


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A session that has been opened, and what there was before it."""

    session: Session
    earlier: Earlier | None
    trouble: JournalError | None


def sessions_folder() -> Path:
    """Return the folder of the session files; it need not exist."""
    kind = QStandardPaths.StandardLocation.GenericCacheLocation
    return Path(QStandardPaths.writableLocation(kind)) / "napari-pvpu" / "sessions"


def open_kept(
    engine: Engine,
    image: Any,
    settings: dict[str, Any],
    folder: Path,
    on_trouble: Callable[[JournalError], None],
) -> Opened:
    """Open a session and begin its file. For the worker's thread.

    A file that cannot be written is no reason not to segment: it is told as `Opened.trouble`.
    """
    from napari_pvpu.fingerprints import fingerprint
    from napari_pvpu.journal import Journal

    session = engine.open(image, **settings)
    key, trouble, earlier = str(fingerprint(image)["hash"]), None, None
    try:
        earlier = _newest(folder, key, getattr(session.predictor, "model_name", None))
        path = folder / _file_name(key)
        _ours.add(path)
        Journal.create(path, session, image, on_trouble=on_trouble)
        _prune(folder)
    except (JournalError, OSError) as error:
        trouble = error if isinstance(error, JournalError) else JournalError(str(error))
    return Opened(session, earlier, trouble)


def resume(
    engine: Engine, image: Any, path: Path, on_trouble: Callable[[JournalError], None]
) -> Opened:
    """Open an earlier session as it was left; its file goes on. For the worker's thread.

    Raises
    ------
    JournalError
        If it was made with another model, or is damaged.
    """
    from napari_pvpu.journal import Journal

    # Under another name, for it belongs to this program now.
    ours = path.with_name(_file_name(path.name.split("-")[0]))
    _ours.add(ours)
    try:
        shutil.copyfile(path, ours)
        session = Journal.resume(
            ours, image, engine.segmenter(), exact=False, on_trouble=on_trouble
        )
    except OSError as error:
        raise JournalError(f"{path} cannot be resumed ({error.strerror or error})") from error
    except JournalError:
        ours.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return Opened(session, None, None)


def end_journal(session: Session) -> None:
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


def _file_name(key: str) -> str:
    """Return a name for a new file: of which image, when, and which program's."""
    now = datetime.now().strftime("%Y%m%d.%H%M%S.%f")
    return f"{key}-{now}-{os.getpid()}{SUFFIX}"


def _in_use(path: Path) -> bool:
    """Whether the program that writes a file is still there."""
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


def _newest(folder: Path, key: str, model: str | None) -> Earlier | None:
    """Return the session of an image and a model that was left last; None if none is worth it."""
    from napari_pvpu.journal import read_journal

    for path in sorted(folder.glob(f"{key}-*{SUFFIX}"), reverse=True):
        if _in_use(path):
            continue
        try:
            recorded = read_journal(path, until_damage=True)
            left = datetime.fromtimestamp(path.stat().st_mtime)
        except (JournalError, OSError):
            continue
        names = [operation.name for operation in recorded.operations]
        if recorded.header["model"]["name"] == model and set(names) - {"set"}:
            return Earlier(path, left, names.count("accept"))
    return None


def _prune(folder: Path) -> None:
    files = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.name.split("-")[1:])
    for number, path in enumerate(reversed(files)):
        with suppress(OSError):
            if not _in_use(path) and (number >= MOST_KEPT or path.read_bytes().count(b"\n") < 2):
                path.unlink()
