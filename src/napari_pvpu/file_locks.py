"""Files that a program is at, told to other programs by a lock that goes with it.

The number of a process tells less: after the computer was started anew, the number of a program
that was killed belongs to another one.
"""

from __future__ import annotations

import errno
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["is_held", "take_hold"]

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


def take_hold(file: IO[bytes]) -> bool:
    """Lock an open file for as long as it is open; tell whether nobody else has it.

    True also where files cannot be locked, as on some network drives.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


def is_held(path: str | os.PathLike[str]) -> bool | None:
    """Tell whether a program, this one included, has a file locked; None if that cannot be told.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    """
    if fcntl is None:
        return None
    with open(path, "rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return True if error.errno in _TAKEN else None
    return False
