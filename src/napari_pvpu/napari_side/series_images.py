"""Images of a series as layers of napari, and how their sessions are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_pvpu.axes import Layout
from napari_pvpu.errors import ImageError, SeriesError
from napari_pvpu.napari_side import journaling
from napari_pvpu.napari_side.journaling import Opened
from napari_pvpu.series_work import start_work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_pvpu.errors import JournalError
    from napari_pvpu.features.image_files import ImageFile
    from napari_pvpu.napari_side.engine import Engine
    from napari_pvpu.series_entries import Entry
    from napari_pvpu.series_work import Started

__all__ = ["Opening", "layer_of"]


def layer_of(entry: Entry, found: ImageFile) -> Image:
    """Make a layer of an image file, with axes and scale as the file tells them.

    Parameters
    ----------
    entry : Entry
        The image.
    found : ImageFile
        From `read_entry`.

    Raises
    ------
    SeriesError
        If it is no image that napari shows.
    """
    axes = found.axes
    full = found.image[0] if isinstance(found.image, list) else found.image
    rgb = _is_rgb(full, axes)
    options: dict[str, Any] = {"name": entry.name, "rgb": rgb}
    if axes is not None:
        kept = axes[:-1] if rgb else axes
        sizes = [found.sizes.get(axis, (1.0, "pixel")) for axis in kept]
        options |= {
            "axis_labels": [axis.lower() for axis in kept],
            "scale": [size for size, _ in sizes],
            "units": [unit for _, unit in sizes],
        }
    try:
        return Image(found.image, multiscale=isinstance(found.image, list), **options)
    except Exception as error:  # whatever napari and its libraries have against it
        raise SeriesError(
            f"{entry.path} cannot be shown ({error}); mend the file, or skip this image"
        ) from error


def _is_rgb(image: Any, axes: str | None) -> bool:
    """Tell whether the last axis holds colours."""
    if len(image.shape) < 3 or image.shape[-1] not in (3, 4):
        return False
    if axes is None:
        return bool(np.dtype(image.dtype) == np.uint8)
    try:
        channel = Layout(axes).channel
    except ImageError:
        return False
    return channel == len(axes) - 1 and axes[-1] in "SC"


class Opening:
    """Opens the session of an image of a series, in the worker; for `SessionKeeper.opener`.

    The first call goes on with what was left, further ones (with other axes, say) begin anew.

    Parameters
    ----------
    entry : Entry
        The image as it is known now.
    folder : Path
        Of its session files.
    labels : array of int, optional
        Objects that are in no file yet, to begin with.
    """

    def __init__(self, entry: Entry, folder: Path, labels: Any = None) -> None:
        self._entry, self._folder, self._labels = entry, folder, labels
        self.started: Started | None = None
        """What came of the first call."""

    def __call__(
        self,
        engine: Engine,
        image: Any,
        settings: dict[str, Any],
        folder: Path,
        on_trouble: Callable[[JournalError], None],
    ) -> Opened:
        """Do as `journaling.open_kept` does, in the series' folder in place of `folder`."""
        known = settings.get("labels") is not None
        if self.started is not None or self._labels is not None or known:
            labels, self._labels = self._labels, None
            if not known:
                settings = {**settings, "labels": labels}
            opened = journaling.open_kept(engine, image, settings, self._folder, on_trouble)
            return Opened(opened.session, None, opened.trouble)
        started = start_work(
            self._entry, self._folder, image, lambda: engine.open(image, **settings),
            engine.segmenter(), on_trouble,
        )  # fmt: skip
        self.started = started
        return Opened(started.session, None, started.trouble, started.resumed, started.notes)
