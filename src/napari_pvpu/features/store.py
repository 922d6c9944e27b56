"""The feature store: what encoders made of views, kept on the disk and found by content.

A view is looked up by a hash of the very numbers that enter the network, together with the
network's own. Whoever looks at the same pixels in the same way finds the same features, whatever
the file is called and whoever opened it first. Nothing in here knows torch.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import platformdirs
import xxhash

from napari_pvpu.errors import StoreError
from napari_pvpu.features.store_files import Arrays, pack, path_of, stored_files, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_pvpu.features.store_files import StoredFile

__all__ = ["DEFAULT_LIMIT", "VARIABLE", "FeatureStore", "open_store", "store_folder"]

LOGGER = logging.getLogger(__name__)

VARIABLE = "NAPARI_PVPU_CACHE"
"""Environment variable: another folder for the store, or ``off``."""

DEFAULT_LIMIT = 2 * 10**9
"""Bytes that a store grows to, unless it was told otherwise; about 5,700 views."""

_SETTINGS = "feature-store.json"
_OFF = ("off", "0", "no", "false")
_ROOM = 0.9
"""Share of the limit that is left when old files have made room."""
_BETWEEN_SCANS = 1 / 20
"""Share of the limit that may be written before the folder is looked through again."""
_STALE = 3600.0
"""Seconds after which a file that is still being written has been given up."""
_PAUSE = 30.0
"""Seconds without an attempt to write after the disk refused one."""


@dataclass(slots=True)
class _Room:
    """What is known of the store's size: bytes when last looked at, and written since."""

    counted: int | None = None
    written: int = 0


class FeatureStore:
    """Arrays by key in a folder that any number of processes share.

    Reading and writing never raise: what cannot be read is not there, and what cannot be written
    is dropped, with the reason in `trouble` and, the first time, in the log.

    Parameters
    ----------
    folder : path, optional
        By default `store_folder`. It is made when the first file is written.
    keep_since : float, optional
        Seconds since 1970. Files used after this never make room for others; when there is no
        room without that, new ones are dropped. By default only the limit counts.

    Notes
    -----
    A file appears under its name when it is whole, because it is written beside its place and
    moved there. When files outgrow the limit, those go first that were not used for longest,
    as told by the time of their last change, which every reading sets. Each process counts for
    itself what it has written, so that N of them may outgrow the limit by N twentieths for a
    moment.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, keep_since: float | None = None
    ) -> None:
        self.folder = store_folder() if folder is None else Path(folder).expanduser()
        self.trouble: str | None = None
        self._keep_since = keep_since
        self._room = _Room()
        self._paused_until = 0.0
        self._told = False
        self._lock = threading.Lock()

    def key(self, space: str, view: npt.NDArray[np.float32]) -> str:
        """Return the key of a view, 32 hexadecimal digits.

        Parameters
        ----------
        space : str
            What tells networks apart, see `path_of`.
        view : array, float32
            As it enters the network.
        """
        view = np.ascontiguousarray(view, np.float32)
        digest = xxhash.xxh3_128(f"{space} {view.shape} ".encode())
        digest.update(view.data)
        return digest.hexdigest()

    def get(self, space: str, key: str) -> tuple[Arrays, dict[str, str]] | None:
        """Return what is kept under a key and what was said about it; None if there is nothing.

        A file that is damaged or not ours counts as nothing.
        """
        path = path_of(self.folder, space, key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            found = unpack(data, key)
        except ValueError as error:
            LOGGER.info("%s is passed over: %s", path, error)
            return None
        with suppress(OSError):  # a folder that may only be read
            os.utime(path)
        return found

    def put(
        self,
        space: str,
        key: str,
        arrays: Mapping[str, npt.NDArray[Any]],
        about: Mapping[str, str] | None = None,
    ) -> bool:
        """Keep arrays under a key; tell whether that worked.

        Parameters
        ----------
        space, key : str
            See `key`.
        arrays : mapping of str to array
            float16 or float32.
        about : mapping of str to str, optional
            What to say about them.
        """
        if time.monotonic() < self._paused_until:
            return False
        data = pack(key, arrays, about or {})
        path = path_of(self.folder, space, key)
        try:
            if not self._make_room(len(data)):
                return False
            _write(path, data)
        except OSError as error:
            self._paused_until = time.monotonic() + _PAUSE
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "free some space there" if full else "see that it may be written to"
            self._give_up(
                f"features cannot be kept in {self.folder} ({error.strerror or error}); {remedy}, "
                f"or name another folder in {VARIABLE}"
            )
            return False
        self.trouble = None
        return True

    @property
    def limit(self) -> int:
        """Bytes that the store may grow to; all programs that use the folder share it.

        Raises
        ------
        StoreError
            When set to less than 0, or if it cannot be written down.
        """
        try:
            told = json.loads((self.folder / _SETTINGS).read_text())["limit"]
        except (OSError, ValueError, KeyError, TypeError):
            return DEFAULT_LIMIT
        return told if isinstance(told, int) and told >= 0 else DEFAULT_LIMIT

    @limit.setter
    def limit(self, size: int) -> None:
        if size < 0:
            raise StoreError(f"a feature store cannot have {size} bytes; give 0 or more")
        try:
            _write(self.folder / _SETTINGS, json.dumps({"limit": int(size)}).encode())
        except OSError as error:
            raise StoreError(
                f"the limit cannot be written into {self.folder} ({error.strerror or error}); "
                "choose a folder that you may write to"
            ) from error
        self._room = _Room()

    def _make_room(self, size: int) -> bool:
        """Remove the files used longest ago, if it takes that, for one of `size` bytes."""
        with self._lock:
            limit, room = self.limit, self._room
            known = room.counted is not None and room.written <= limit * _BETWEEN_SCANS
            if not known or (room.counted or 0) + room.written + size > limit:
                files = list(stored_files(self.folder))
                self._room = room = _Room(self._shrink(files, limit, size))
            room.written += size
            if (room.counted or 0) + room.written <= limit:
                return True
            room.written -= size
        self._give_up(
            f"the feature store in {self.folder} is full ({limit / 1e9:.3g} GB) of what is in use "
            "now; allow it more with 'napari-pvpu cache limit GB'"
        )
        return False

    def _shrink(self, files: list[StoredFile], limit: int, size: int) -> int:
        """Bring files below the limit if they are above; return what is left of them."""
        now = time.time()
        total = sum(file.size for file in files)
        for file in files:
            if file.temporary and file.used < now - _STALE:
                total -= _removed(file)
        if total + size <= limit:
            return total
        goal = min(limit * _ROOM, limit - size)
        for file in sorted(files, key=lambda file: file.used):
            kept = self._keep_since is not None and file.used >= self._keep_since
            if total <= goal or kept:
                break
            if not file.temporary:
                total -= _removed(file)
        return total

    def _give_up(self, reason: str) -> None:
        self.trouble = reason
        if not self._told:
            self._told = True
            LOGGER.warning("%s", reason)


def store_folder() -> Path:
    """Return the folder that the environment names, or the platform's for caches."""
    named = os.environ.get(VARIABLE, "").strip()
    if named and named.lower() not in _OFF:
        return Path(named).expanduser()
    return Path(platformdirs.user_cache_path("napari-pvpu", appauthor=False))


def open_store(store: bool | str | os.PathLike[str] | FeatureStore) -> FeatureStore | None:
    """Return the store that a setting stands for.

    Parameters
    ----------
    store : bool, path or FeatureStore
        True for that of `store_folder`, unless the environment says ``off``; False for none.
    """
    if isinstance(store, FeatureStore):
        return store
    if not isinstance(store, bool):
        return FeatureStore(store)
    off = os.environ.get(VARIABLE, "").strip().lower() in _OFF
    return FeatureStore() if store and not off else None


def _write(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there.

    It is not forced to the disk: should the computer lose power, a torn file is no file.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            temporary.write_bytes(data)
        except FileNotFoundError:  # the folder is not there yet, or was cleared a moment ago
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _removed(file: StoredFile) -> int:
    """Remove a file and return the bytes that are gone; another process may have been faster."""
    try:
        file.path.unlink()
    except FileNotFoundError:
        return file.size
    except OSError:  # in use, on Windows, or in a folder that may only be read
        return 0
    return file.size
