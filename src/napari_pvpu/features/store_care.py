"""Looking after a feature store: what is in it, what is damaged, and how to empty it."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_pvpu.errors import StoreError
from napari_pvpu.features.store_files import (
    FOLDER,
    ONNX_FOLDER,
    StoredFile,
    read_metadata,
    stored_files,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_pvpu.features.store import FeatureStore

__all__ = ["Checked", "Holding", "StoreInfo", "check_store", "clear_store", "look_into"]

_DAY = 86_400.0
_ONNX_NAME = re.compile("[0-9a-f]+-[0-9a-f]{8}")
"""Names of folders of ONNX files, see `onnx_files.kept_name`."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a store holds of one network.

    Attributes
    ----------
    model : str
        The network's name.
    views, size : int
        How many views, and their bytes.
    """

    model: str
    views: int
    size: int


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    folder : Path
        Where it is.
    limit : int
        Bytes that it may grow to.
    views, size : int
        How many views, and the bytes of all files.
    used : (float, float) or None
        When the view that was not used for longest was last used, and the one used last, in
        seconds since 1970.
    holdings : tuple of Holding
        For each network, the largest first.
    """

    folder: Path
    limit: int
    views: int
    size: int
    used: tuple[float, float] | None
    holdings: tuple[Holding, ...]


@dataclass(slots=True)
class Checked:
    """What a check of all files found.

    Attributes
    ----------
    views : int
        Files in order.
    damaged : list of (Path, str)
        Files that are not, and what is wrong with them.
    removed : int
        How many of those were removed.
    """

    views: int = 0
    damaged: list[tuple[Path, str]] = field(default_factory=list)
    removed: int = 0


def look_into(store: FeatureStore) -> StoreInfo:
    """Return what a store holds; a file of each network is opened for its name."""
    files = list(stored_files(store.folder))
    spaces: dict[Path, list[StoredFile]] = defaultdict(list)
    for file in files:
        if not file.temporary:
            spaces[file.path.parent.parent].append(file)
    holdings = [
        Holding(
            _model_of(held),
            len(held),
            sum(file.size for file in held),
        )
        for held in spaces.values()
    ]
    times = [file.used for held in spaces.values() for file in held]
    return StoreInfo(
        folder=store.folder,
        limit=store.limit,
        views=len(times),
        size=sum(file.size for file in files),
        used=(min(times), max(times)) if times else None,
        holdings=tuple(sorted(holdings, key=lambda holding: -holding.size)),
    )


def clear_store(store: FeatureStore, older_than: float | None = None) -> tuple[int, int]:
    """Remove files, and the folders that this leaves empty; nothing that is not the store's.

    Networks' ONNX files beside them, which are made anew in half a minute, go with all the rest.

    Parameters
    ----------
    store : FeatureStore
        Other processes may go on using it.
    older_than : float, optional
        Only what was not used for so many days, and no ONNX files.

    Returns
    -------
    removed, size : int
        How many files are gone, and their bytes.

    Raises
    ------
    StoreError
        If days are negative or a file cannot be removed.
    """
    if older_than is not None and not older_than >= 0:
        raise StoreError(f"files cannot be older than {older_than} days; give 0 or more")
    before = None if older_than is None else time.time() - older_than * _DAY
    removed = size = 0
    for file in list(stored_files(store.folder)):
        if before is None or file.used < before:
            removed += _remove(file)
            size += file.size
    _remove_empty(store.folder / FOLDER)
    if before is None:
        for file in list(_onnx_files(store.folder)):
            removed += _remove(file)
            size += file.size
        _remove_empty(store.folder / ONNX_FOLDER)
    return removed, size


def check_store(store: FeatureStore, remove: bool = False) -> Checked:
    """Read every file and say which are damaged.

    Parameters
    ----------
    store : FeatureStore
        Its files' times of last use stay as they are.
    remove : bool
        Remove damaged files. They do no harm but take room.

    Raises
    ------
    StoreError
        If a file cannot be removed.
    """
    checked = Checked()
    for file in list(stored_files(store.folder)):
        if file.temporary:
            continue
        try:
            unpack(file.path.read_bytes(), file.path.stem)
        except FileNotFoundError:
            continue  # made room for another
        except (OSError, ValueError) as error:
            checked.damaged.append((file.path, str(error)))
            checked.removed += _remove(file) if remove else 0
        else:
            checked.views += 1
    return checked


def _onnx_files(root: Path) -> Iterator[StoredFile]:
    """Yield the ONNX files of networks that are there; files of others are passed over."""
    for path in root.glob(f"{ONNX_FOLDER}/*/*"):
        if _ONNX_NAME.fullmatch(path.parent.name):
            with suppress(OSError):
                stat = path.stat()
                yield StoredFile(path, stat.st_size, stat.st_mtime)


def _model_of(files: list[StoredFile]) -> str:
    """Return the name of the network that files are of, as the first says that can be read."""
    names = (read_metadata(file.path).get("model") for file in files)
    return next(filter(None, names), "unknown")


def _remove(file: StoredFile) -> int:
    try:
        file.path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{file.path} cannot be removed ({error.strerror or error}); close the programs that "
            "use it, or remove it with more rights"
        ) from error
    return 1


def _remove_empty(folder: Path) -> None:
    for place, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(place)
