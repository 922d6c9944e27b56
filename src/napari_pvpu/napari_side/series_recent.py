"""Series that were worked on last, so that one can go on without looking for their folders."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from napari_pvpu.errors import PvpuError
from napari_pvpu.export.atomic import replaced_file
from napari_pvpu.napari_side import journaling
from napari_pvpu.series_file import NAME

__all__ = ["recent_series", "remember_series"]

MOST = 8
FILE = "recent-series.json"


def recent_series() -> list[Path]:
    """Return the folders of results of the series worked on last that are still there."""
    return [path for path in _read() if (path / NAME).is_file()]


def remember_series(results: Path) -> None:
    """Put a series first; where that cannot be written down, nothing is lost but comfort."""
    paths = [results, *(path for path in _read() if path != results)][:MOST]
    with suppress(PvpuError, OSError), replaced_file(_file()) as temporary:
        temporary.write_text(json.dumps([str(path) for path in paths]), encoding="utf-8")


def _file() -> Path:
    return journaling.sessions_folder().parent / FILE


def _read() -> list[Path]:
    try:
        told = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [Path(each) for each in told if isinstance(each, str)] if isinstance(told, list) else []
