"""Session files: everything done to a session is on the disk a moment later.

A journal is a text file of lines as in `napari_pvpu.checked_lines`. The first line tells image,
model and settings, each further one an operation. It is only ever appended to. A program that is
killed leaves at most a torn last line, which does not count.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.checked_lines import from_line, to_line
from napari_pvpu.errors import JournalError, OtherVersionError
from napari_pvpu.file_locks import take_hold
from napari_pvpu.fingerprints import fingerprint
from napari_pvpu.levels import as_levels
from napari_pvpu.operations import Operation
from napari_pvpu.scripts import source_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.predictor import Predictor
    from napari_pvpu.session import Session

__all__ = ["Journal", "Recorded", "read_journal"]

LOGGER = logging.getLogger(__name__)
FORMAT, VERSION = "napari-pvpu session", 1
SYNC_SECONDS = 0.5
"""After which what was written is made to reach the disk, should the computer lose power."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a session file holds.

    Attributes
    ----------
    header : dict
        ``image`` (see `fingerprint`), ``open`` (arguments of `Segmenter.open`), ``model``
        (``name``, ``weights``, ``device``, ``features``) and more.
    operations : tuple of Operation
        In the order in which they were done.
    length : int
        Bytes of the file that hold them.
    """

    header: dict[str, Any]
    operations: tuple[Operation, ...]
    length: int


class Journal:
    """The file that a session goes into. Use `create` or `resume`.

    Parameters
    ----------
    path : Path
        There already, with its first line.
    length : int
        Bytes of it that hold whole lines; whatever follows is cut off.
    on_trouble : callable, optional
        Called with a `JournalError` when the file cannot be written (a full disk, say). Nothing
        is lost then: what could not be written is written when it can be.

    Raises
    ------
    JournalError
        If another program is at the file.
    """

    def __init__(
        self,
        path: Path,
        length: int,
        on_trouble: Callable[[JournalError], None] | None = None,
    ) -> None:
        self.path = path
        self.trouble: JournalError | None = None
        self._on_trouble = on_trouble
        self._length = length
        self._unwritten = b""
        self._file = open(path, "r+b", buffering=0)
        # A session that is opened for nobody, since its viewer has gone, is dropped as it is.
        weakref.finalize(self, self._file.close)
        if not take_hold(self._file):
            self._file.close()
            raise JournalError(f"another program is at the session file {path}; close it there")
        self._file.truncate(length)
        self._file.seek(length)
        self._syncing: threading.Timer | None = None
        self._lock = threading.Lock()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        session: Session,
        image: Any,
        *,
        on_trouble: Callable[[JournalError], None] | None = None,
    ) -> Journal:
        """Begin a file for a session; what has been done in it goes into it first.

        Parameters
        ----------
        path : path
            Of a file that is not there yet; missing folders are made.
        session : Session
            From now on everything done to it goes into the file.
        image : array-like
            The image, as it was opened.
        on_trouble
            See the class.

        Raises
        ------
        JournalError
            If the file is there already or cannot be written.
        """
        target = Path(path)
        header = to_line(_header(session, image))
        if target.exists():
            raise JournalError(f"{target} is there already; resume it, or choose another name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise JournalError(
                f"{target} cannot be written ({error.strerror or error}); choose another folder"
            ) from error
        journal = cls(target, len(header), on_trouble)
        for operation in session.operations:
            journal._append(operation)
        journal._attach(session)
        return journal

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        image: Any,
        segmenter: Predictor | None = None,
        *,
        exact: bool = True,
        on_trouble: Callable[[JournalError], None] | None = None,
    ) -> Session:
        """Open the session of a file as it was left, with its history; the file goes on.

        Parameters
        ----------
        path : path
            Of the file.
        image : array-like
            The image that it was made on.
        segmenter : Segmenter, optional
            With the model that it was made with; by default that is loaded.
        exact : bool
            Raise if an object comes out otherwise than it was accepted, which another device or
            version of torch may bring about.
        on_trouble
            See the class.

        Raises
        ------
        JournalError
            If the file is damaged, of another image, version or model (says which), or in use.
        """
        from napari_pvpu.replay import replay

        recorded = read_journal(path)
        session = replay(recorded, image, segmenter, exact=exact)
        journal = cls(Path(path), recorded.length, on_trouble)
        journal._attach(session)
        return session

    def flush(self) -> None:
        """Make all that was done reach the disk, now.

        Raises
        ------
        OSError
            If the disk refuses it.
        """
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.cancel()
        if not self._file.closed:
            self._write_out()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """End the file; what is done to the session from now on goes nowhere."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()

    def _attach(self, session: Session) -> None:
        session.watch(self._append)
        session.journal = self

    def _append(self, operation: Operation) -> None:
        """Write an operation, and before it what could not be written so far."""
        if self._file.closed:
            return
        with self._lock:
            self._unwritten += to_line(operation.to_json())
        try:
            self._write_out()
        except OSError as error:
            self._fail(error)
        self._sync_soon()

    def _write_out(self) -> None:
        """Write what is not written yet, over a piece of a line if the disk was full before."""
        with self._lock:
            self._file.seek(self._length)
            written = 0
            while written < len(self._unwritten):
                written += self._file.write(self._unwritten[written:]) or 0
            self._length += len(self._unwritten)
            self._unwritten, self.trouble = b"", None

    def _fail(self, error: OSError) -> None:
        self.trouble = JournalError(
            f"the session file {self.path} cannot be written ({error.strerror or error}); make "
            "room or save the labels: what is missing is written as soon as it can be"
        )
        LOGGER.warning("%s", self.trouble)
        if self._on_trouble is not None:
            self._on_trouble(self.trouble)

    def _sync_soon(self) -> None:
        if self._syncing is None:
            self._syncing = threading.Timer(SYNC_SECONDS, self._sync)
            self._syncing.daemon = True
            self._syncing.start()

    def _sync(self) -> None:
        """Force to the disk what was written, and try once more what could not be; in a thread."""
        self._syncing = None  # what is done from now on needs another
        try:
            self._write_out()
            os.fsync(self._file.fileno())
        except ValueError:  # closed in the meantime
            return
        except OSError:
            self._sync_soon()


def read_journal(path: str | os.PathLike[str], *, until_damage: bool = False) -> Recorded:
    """Read a session file.

    Parameters
    ----------
    path : path
        Of the file.
    until_damage : bool
        Take what comes before a damaged line, instead of raising.

    Raises
    ------
    JournalError
        If the file cannot be read, is no session file or of another version, or a line other than
        the last is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror or error}") from error
    *lines, _torn = content.split(b"\n")
    header = from_line(lines[0]) if lines else None
    if header is None or header.get("format") != FORMAT:
        raise JournalError(f"{path} is no session file of napari-pvpu")
    if header.get("version") != VERSION:
        raise OtherVersionError(path, header.get("version"), VERSION, header.get("package"))
    operations, length = [], len(lines[0]) + 1
    for number, line in enumerate(lines[1:], start=2):
        values = from_line(line)
        if values is None:
            if until_damage or number == len(lines):
                break
            raise JournalError(
                f"{path}: line {number} of {len(lines)} is damaged; what comes before it can be "
                "had with until_damage (--until-damage)"
            )
        operations.append(Operation.from_json(values))
        length += len(line) + 1
    return Recorded(header, tuple(operations), length)


def _header(session: Session, image: Any) -> dict[str, Any]:
    from napari_pvpu import __version__

    predictor = session.predictor
    return {
        "format": FORMAT,
        "version": VERSION,
        "package": __version__,
        "image": fingerprint(image),
        "levels": len(as_levels(image)),
        "open": source_settings(session.first_source),
        "model": {
            "name": getattr(predictor, "model_name", None),
            "weights": getattr(predictor, "weights_id", None),
            "device": getattr(predictor, "device", None),
            "features": getattr(predictor, "kept_precision", None),
        },
    }
