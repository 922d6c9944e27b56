"""A viewer with napari's asynchronous slicing."""

from __future__ import annotations

from typing import Any

from napari import Viewer
from napari.settings import get_settings


class AsyncViewer(Viewer):
    """A viewer that slices in a thread."""

    def __init__(self, **options: Any) -> None:
        # Here, since the fixture that makes viewers sets all settings back just before.
        get_settings().experimental.async_ = True
        super().__init__(**options)
