"""ONNX files of networks in the cache folder, made when somebody needs them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_pvpu.errors import ConfigError, ExportError
from napari_pvpu.export.atomic import replaced_folder
from napari_pvpu.features.onnx_runtime import OnnxRunner, onnx_library
from napari_pvpu.features.store import open_store
from napari_pvpu.features.store_files import ONNX_FOLDER
from napari_pvpu.file_locks import take_hold
from napari_pvpu.onnx_export import DESCRIPTION, export_onnx, numbers_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["are_kept", "kept_folder", "kept_name", "kept_runner"]

LOGGER = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 300.0
"""For which another program may be at the files; after that, work done twice does no harm."""


def kept_name(network: PromptableNetwork) -> str:
    """Return the name of a network's files: its weights' id, and another of its config.

    The same weights in another arrangement, of other views say, are another program.
    """
    told = json.dumps(network.config.to_dict() | {"name": ""}, sort_keys=True)
    return f"{numbers_id(network)}-{hashlib.blake2b(told.encode(), digest_size=4).hexdigest()}"


def kept_folder(network: PromptableNetwork) -> Path | None:
    """Return where a network's files are or will be, beside the feature store; None if it is off.

    `store_folder` tells where that is.
    """
    store = open_store(True)
    return None if store is None else store.folder / ONNX_FOLDER / kept_name(network)


def are_kept(folder: Path) -> bool:
    """Tell whether there are files in a folder; whether they are whole shows when they are read."""
    return (folder / DESCRIPTION).is_file()


def kept_runner(network: PromptableNetwork, threads: int) -> OnnxRunner:
    """Return a runner on a network's files, which are made if there are none or they are damaged.

    Where they cannot be kept they are made for this time only.

    Parameters
    ----------
    network : PromptableNetwork
        Of a kind that `export_onnx` takes, on the CPU.
    threads : int
        Of ONNX Runtime.

    Raises
    ------
    ConfigError
        If the network is of another kind, or a package of the extra "onnx" is missing.
    """
    onnx_library()  # without it, nobody should wait for an export first
    folder = kept_folder(network)
    if folder is not None:
        try:
            return _opened(network, folder, threads) or _made(network, folder, threads)
        except (OSError, ExportError) as error:
            LOGGER.warning("ONNX files cannot be kept in %s (%s)", folder, error)
    with tempfile.TemporaryDirectory() as passing:
        export_onnx(network, passing)
        return OnnxRunner(network, passing, threads)


def _opened(network: PromptableNetwork, folder: Path, threads: int) -> OnnxRunner | None:
    if not are_kept(folder):
        return None
    try:
        return OnnxRunner(network, folder, threads)
    except ConfigError as error:
        LOGGER.info("%s is made anew: %s", folder, error)
        return None


def _made(network: PromptableNetwork, folder: Path, threads: int) -> OnnxRunner:
    with _alone(folder.parent):
        # While this one waited, another program may have made what it needs.
        runner = _opened(network, folder, threads)
        if runner is not None:
            return runner
        # A warning, so that whoever sits before a terminal learns what takes so long.
        LOGGER.warning(
            "ONNX files of %r are made, once for these weights; that takes up to half a minute",
            network.config.name,
        )
        with replaced_folder(folder) as new:
            export_onnx(network, new)
    return OnnxRunner(network, folder, threads)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other program writes into a folder: many begin at once, and all need it."""
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + _PATIENCE_SECONDS
    with open(os.path.join(folder, ".lock"), "ab") as file:
        while not take_hold(file) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        yield
