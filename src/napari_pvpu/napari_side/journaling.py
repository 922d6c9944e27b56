"""Session files of the panel: where they lie, which one goes with an image, and what to resume.

Every session is kept in a file of its own in a folder beside napari's caches, so that nothing is
lost when napari is killed. What the files are is told in `napari_pvpu.session_files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QStandardPaths

from napari_pvpu.errors import JournalError
from napari_pvpu.fingerprints import image_hash
from napari_pvpu.session_files import (
    SUFFIX,
    Earlier,
    begin_file,
    earlier_sessions,
    end_file,
    resume_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_pvpu.napari_side.engine import Engine
    from napari_pvpu.session import Session

__all__ = ["SUFFIX", "Earlier", "Opened", "end_journal", "open_kept", "resume", "sessions_folder"]


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A session that has been opened, and what there was before it.

    Attributes
    ----------
    session : Session
        At work from now on.
    earlier : Earlier or None
        What may be resumed in its place, or could be but for its hindrance.
    trouble : JournalError or None
        Why it has no file.
    resumed : bool
        Whether it is an earlier one that goes on.
    notes : tuple of str
        What the user should know, a sentence each.
    """

    session: Session
    earlier: Earlier | None
    trouble: JournalError | None
    resumed: bool = False
    notes: tuple[str, ...] = ()


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
    session = engine.open(image, **settings)
    model = getattr(session.predictor, "model_name", None)
    trouble, earlier = None, None
    try:
        earlier = _offered(earlier_sessions(folder, image_hash(image), model))
        begin_file(folder, session, image, on_trouble)
    except JournalError as error:
        trouble = error
    return Opened(session, earlier, trouble)


def resume(
    engine: Engine, image: Any, path: Path, on_trouble: Callable[[JournalError], None]
) -> Opened:
    """Open an earlier session as it was left; its file goes on. For the worker's thread.

    Raises
    ------
    JournalError
        If it was made on another image or with another model, or is damaged.
    """
    session = resume_file(path, image, engine.segmenter(), on_trouble, sessions_folder())
    return Opened(session, None, None, resumed=True)


def _offered(found: Iterable[Earlier]) -> Earlier | None:
    """Return the newest one that can be gone on with; without any, the newest."""
    newest = None
    for earlier in found:
        newest = newest or earlier
        if not earlier.hindrance:
            return earlier
    return newest


def end_journal(session: Session) -> None:
    """Close a session's file, and remove it if nothing was done."""
    end_file(session)
