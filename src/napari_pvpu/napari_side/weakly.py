"""Callbacks for what must not keep alive whoever is called: threads, files."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["weakly"]

Told = TypeVar("Told")


def weakly(method: Callable[[Told], None]) -> Callable[[Told], None]:
    """Return a function that calls a bound method as long as its object is there."""
    known = weakref.WeakMethod(method)

    def call(told: Told) -> None:
        found = known()
        if found is not None:
            found(told)

    return call
