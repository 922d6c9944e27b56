"""Cut objects out of images with clicks, scribbles and boxes: in napari, in Python, in a shell.

The public names are imported on first use, so that ``import napari_pvpu`` (and with it napari's
plugin discovery) stays light and loads no torch:

>>> from napari_pvpu import Box, Click, Scribble, Segmenter
>>> session = Segmenter("pvpu-nano").open(image)  # doctest: +SKIP
>>> session.add(Click((120, 88)))  # doctest: +SKIP

Coordinates are ``(row, col)`` in data pixels, pixel centres at integers, everywhere.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_pvpu.errors import (
        ConfigError,
        DatasetError,
        DeviceError,
        ExportError,
        ImageError,
        JournalError,
        ModelNotFoundError,
        OverlapError,
        PromptError,
        PvpuError,
        SeriesError,
        SessionError,
        WeightsError,
    )
    from napari_pvpu.journal import Journal
    from napari_pvpu.napari_side import attach
    from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble
    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.series import Series
    from napari_pvpu.session import Session

    __version__: str

__all__ = [
    "Box",
    "Click",
    "ConfigError",
    "DatasetError",
    "DeviceError",
    "ExportError",
    "ImageError",
    "Journal",
    "JournalError",
    "ModelNotFoundError",
    "OverlapError",
    "Polygon",
    "PriorMask",
    "PromptError",
    "PvpuError",
    "Scribble",
    "Segmenter",
    "Series",
    "SeriesError",
    "Session",
    "SessionError",
    "WeightsError",
    "__version__",
    "attach",
]

_HOME = {
    **dict.fromkeys(
        [
            "ConfigError",
            "DatasetError",
            "DeviceError",
            "ExportError",
            "ImageError",
            "JournalError",
            "ModelNotFoundError",
            "OverlapError",
            "PromptError",
            "PvpuError",
            "SeriesError",
            "SessionError",
            "WeightsError",
        ],
        "napari_pvpu.errors",
    ),
    **dict.fromkeys(["Box", "Click", "Polygon", "PriorMask", "Scribble"], "napari_pvpu.prompts"),
    "Journal": "napari_pvpu.journal",
    "Segmenter": "napari_pvpu.segmenter",
    "Series": "napari_pvpu.series",
    "Session": "napari_pvpu.session",
    "attach": "napari_pvpu.napari_side",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-pvpu")
    except PackageNotFoundError:  # a source tree on the path, never installed
        return "0+unknown"
