"""Torch's libraries, loaded without stopping the rest of the program.

Python holds its lock while it loads the library of a module. Those of torch have hundreds of
megabytes: every window would stand still meanwhile, for a fifth of a second, or for seconds when
they come from a slow disk. What is in memory already costs an import nothing, so they are loaded
here first, by the system's own function, called as any other of a library: without the lock.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

__all__ = ["load_libraries", "load_libraries_ahead"]

NAMES = {"linux": "libtorch.so", "darwin": "libtorch.dylib"}
"""The library that needs all large ones, and none of Python's. Elsewhere, on Windows, torch itself
loads them without the lock."""


def load_libraries_ahead() -> threading.Thread | None:
    """Do as `load_libraries` in a thread, beside whatever the caller does until torch is needed.

    Returns
    -------
    threading.Thread or None
        Ends within a second, and is waited for if the program ends before; None if torch is there.
    """
    if "torch" in sys.modules:
        return None
    thread = threading.Thread(target=load_libraries, name="libraries of torch")
    thread.start()
    return thread


def load_libraries() -> bool:
    """Load the libraries of torch, for a thread that is about to import it.

    Returns
    -------
    bool
        False if that could not be done or was not to be done. It is no error: then the import of
        torch loads them, or tells what is wrong.
    """
    name = NAMES.get(sys.platform)
    if name is None or "torch" in sys.modules:
        return False
    found = find_spec("torch")
    if found is None or found.origin is None:
        return False
    path = Path(found.origin).with_name("lib") / name
    load = getattr(ctypes.CDLL(None), "dlopen", None)
    if load is None or not path.exists():
        return False
    load.argtypes, load.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    return load(os.fsencode(path), os.RTLD_NOW | os.RTLD_LOCAL) is not None
