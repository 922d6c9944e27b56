"""Images of a series, read in the background: the one that is wanted, and the next one ahead."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.engine import Look, image_of
from napari_pvpu.napari_side.series_images import layer_of
from napari_pvpu.series_work import read_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image

    from napari_pvpu.napari_side.encoding_ahead import EncodingAhead
    from napari_pvpu.napari_side.engine import Engine
    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.series_entries import Entry
    from napari_pvpu.source import ImageSource

    Done = Callable[[Image], None]
    Failed = Callable[[Exception], None]

__all__ = ["LARGEST", "SeriesReader"]

LARGEST = 2**30
"""Bytes of a file beyond which it is not read ahead: memory is the user's first."""


class SeriesReader:
    """Reads one image at a time, and remembers the one read ahead.

    Parameters
    ----------
    worker : Worker
        Reads.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._entry: Entry | None = None
        """The image read ahead, or being read."""
        self._layer: Image | None = None
        self._wanted: tuple[Done, Failed] | None = None
        """Who waits for the image being read ahead."""
        self._bad: Entry | None = None
        """An image that could not be read ahead."""
        self._ahead: EncodingAhead | None = None

    def get(self, entry: Entry, done: Done, failed: Failed) -> None:
        """Have an image read, and handed over as a layer.

        Parameters
        ----------
        entry : Entry
            The image.
        done : callable
            Called with the layer; at once if it has been read ahead.
        failed : callable
            Called with the error.
        """
        if self._entry is not None and entry.path == self._entry.path and entry.path.exists():
            if self._layer is None:
                self._wanted = done, failed
                return
            layer, self._entry, self._layer = self._layer, None, None
            done(layer)
            return
        self.forget()
        self._read("read", entry, done, failed)

    def want(self, entry: Entry | None, engine: Engine, ahead: EncodingAhead) -> None:
        """Read an image ahead and encode its views, unless that is done already.

        Parameters
        ----------
        entry : Entry or None
            The image that is likely to come next; None for none.
        engine : Engine
            Will open it.
        ahead : EncodingAhead
            Encodes.
        """
        if entry is None or any(
            known is not None and entry.path == known.path for known in (self._entry, self._bad)
        ):
            return
        self.forget()
        if entry.path.is_file() and entry.path.stat().st_size > LARGEST:
            return
        self._entry, self._ahead = entry, ahead
        self._read(
            "read ahead", entry, partial(self._on_ahead, entry, engine),
            partial(self._on_not_ahead, entry),
        )  # fmt: skip

    def forget(self) -> None:
        """Let go of what was read ahead."""
        self._entry = self._layer = self._wanted = self._bad = None
        if self._ahead is not None:
            self._ahead.forget_next()

    def _read(self, key: str, entry: Entry, done: Done, failed: Failed) -> None:
        def on_read(found: Any) -> None:
            try:
                layer = layer_of(entry, found)
            except PvpuError as error:
                failed(error)
            else:
                done(layer)

        self._worker.submit(key, partial(read_entry, entry), on_read, failed)

    def _on_ahead(self, entry: Entry, engine: Engine, layer: Image) -> None:
        if self._entry is not entry:
            return  # not wanted any more
        if self._wanted is not None:
            (done, _), self._wanted, self._entry = self._wanted, None, None
            done(layer)
            return
        self._layer = layer
        try:
            settings = Look().settings(layer)
        except PvpuError:
            return  # is told when the user comes to it
        work = partial(engine.prepare, image_of(layer), settings)
        self._worker.submit("look ahead", work, partial(self._on_looked, entry), _untold)

    def _on_not_ahead(self, entry: Entry, error: Exception) -> None:
        if self._entry is not entry:
            return
        wanted, self._wanted, self._entry = self._wanted, None, None
        if wanted is None:
            self._bad = entry  # to be told when the user comes to it
        else:
            wanted[1](error)

    def _on_looked(self, entry: Entry, source: ImageSource) -> None:
        if self._entry is entry and self._ahead is not None:
            self._ahead.offer_next(source)


def _untold(error: Exception) -> None:
    """Leave what is wrong with an image to be told when the user comes to it."""
