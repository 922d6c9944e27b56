"""The next image of a series, read and looked at before the user comes to it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.engine import Look, image_of
from napari_pvpu.napari_side.series_images import layer_of
from napari_pvpu.series_work import read_entry

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pvpu.napari_side.encoding_ahead import EncodingAhead
    from napari_pvpu.napari_side.engine import Engine
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.series_entries import Entry
    from napari_pvpu.source import ImageSource

__all__ = ["LARGEST", "Prefetch"]

LARGEST = 2**30
"""Bytes of a file beyond which it is not read ahead: memory is the user's first."""


class Prefetch:
    """Reads one image ahead, and has its views encoded.

    Parameters
    ----------
    worker : Worker
        Reads.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._entry: Entry | None = None
        self._layer: Image | None = None
        self._ahead: EncodingAhead | None = None

    @property
    def name(self) -> str | None:
        """Of the image that is read ahead, or was."""
        return self._entry.name if self._entry is not None else None

    def want(self, entry: Entry | None, engine: Engine, ahead: EncodingAhead) -> None:
        """Read an image ahead, unless that is done already; None for none.

        Parameters
        ----------
        entry : Entry or None
            The image that is likely to come next.
        engine : Engine
            Will open it.
        ahead : EncodingAhead
            Encodes its views.
        """
        if entry is None or entry.name == self.name:
            return
        self.forget()
        if entry.path.is_file() and entry.path.stat().st_size > LARGEST:
            return
        self._entry, self._ahead = entry, ahead
        self._worker.submit(
            "prefetch", partial(read_entry, entry), partial(self._on_read, entry, engine), _nothing
        )

    def take(self, name: str) -> Image | None:
        """Hand over the layer of an image that has been read ahead; None if it was not."""
        layer = self._layer if name == self.name and self._is_current() else None
        self._entry = self._layer = None
        return layer

    def forget(self) -> None:
        """Let go of what was read ahead."""
        self._entry = self._layer = None
        if self._ahead is not None:
            self._ahead.forget_next()

    def _is_current(self) -> bool:
        return self._entry is not None and self._entry.path.exists()

    def _on_read(self, entry: Entry, engine: Engine, found: Any) -> None:
        if self._entry is not entry:
            return  # not wanted any more
        try:
            layer = layer_of(entry, found)
            settings = Look().settings(layer)
        except PvpuError:
            return  # to be told when the user comes to it
        self._layer = layer
        work = partial(engine.prepare, image_of(layer), settings)
        self._worker.submit("prefetch", work, partial(self._on_prepared, entry), _nothing)

    def _on_prepared(self, entry: Entry, source: ImageSource) -> None:
        if self._entry is entry and self._ahead is not None:
            self._ahead.offer_next(source)


def _nothing(error: Exception) -> None:
    """Leave what is wrong with an image to be told when the user comes to it."""
