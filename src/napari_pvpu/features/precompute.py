"""Encoding ahead: which views of an image a session may ask for, and putting them into a store."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

from napari_pvpu.errors import ConfigError, PvpuError, StoreError
from napari_pvpu.features.image_files import open_image
from napari_pvpu.prompts import Click
from napari_pvpu.view_choice import ViewPolicy, first_views
from napari_pvpu.view_grid import extent_for, view_around
from napari_pvpu.views import View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.features.encoder import ViewEncoder

__all__ = ["EmbedSettings", "Embedded", "Job", "count_views", "embed_part", "extents_for",
           "grid_views"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class EmbedSettings:
    """What to encode of every image, and with what.

    Attributes
    ----------
    model, device : str
        See `Segmenter`.
    precision : str
        In which the encoder computes; only sessions of the same precision find the features.
    store : str or None
        The store's folder; None for the usual one.
    scales : tuple of float
        Data pixels per model pixel, rounded to half-octaves.
    object_lengths : tuple of float
        Longer sides of objects, data pixels: the views in which a session looks at such.
    axes : str or None
        Of the images; by default as the files say.
    channels : tuple of int or None
        To use; by default all.
    since : float
        Seconds since 1970: what the store holds and was used later makes no room.
    threads : int
        Of each process, for large networks on a CPU.
    """

    model: str = "pvpu-nano"
    device: str = "auto"
    precision: str = "float32"
    store: str | None = None
    scales: tuple[float, ...] = ()
    object_lengths: tuple[float, ...] = ()
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    since: float = 0.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """A part of an image's views: every `parts`-th, beginning with number `part`."""

    image: str
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Embedded:
    """What became of a job.

    Attributes
    ----------
    image : str
        Path.
    encoded, found : int
        Views that the encoder ran on, and that were in the store already.
    seconds : float
        Of one process.
    error : str or None
        Why it was given up.
    """

    image: str
    encoded: int = 0
    found: int = 0
    seconds: float = 0.0
    error: str | None = None


def extents_for(settings: EmbedSettings, shape: tuple[int, int], size: int) -> list[int]:
    """Return the extents of the views to encode, the largest first.

    Without scales and object lengths they are those that a session tries first after a single
    click, and the coarser ones.

    Parameters
    ----------
    settings : EmbedSettings
        With scales, object lengths, or neither.
    shape : (rows, cols)
        Of a plane.
    size : int
        Model pixels per side of a view.

    Raises
    ------
    ConfigError
        If a scale or length is no positive number.
    """
    numbers = (*settings.scales, *settings.object_lengths)
    if not all(0 < number < float("inf") for number in numbers):
        raise ConfigError(f"scales and sizes of objects are positive numbers, not {numbers}")
    policy = ViewPolicy()
    extents = {extent_for(scale * size, 1.0, size) for scale in settings.scales}
    extents |= {extent_for(length, policy.object_fill, size) for length in settings.object_lengths}
    if not extents:
        click = Click(((shape[0] - 1) / 2, (shape[1] - 1) / 2))
        views = first_views([click], shape, size, policy=policy)
        first = views[0].extent
        extents = {view.extent for view in views if view.extent >= first}
    return sorted(extents, reverse=True)


def grid_views(shape: tuple[int, int], extent: int, size: int) -> Iterator[View]:
    """Yield all views of an extent that a click anywhere in a plane may lead to.

    Parameters
    ----------
    shape : (rows, cols)
        Of the plane.
    extent : int
        One of the half-octave extents.
    size : int
        Model pixels per side of a view.
    """
    rows, cols = (_origins(length, extent, size) for length in shape)
    for row, col in product(rows, cols):
        yield View(row, col, extent, size)


def count_views(shape: tuple[int, int], extent: int, size: int) -> int:
    """Return how many views `grid_views` yields."""
    rows, cols = (_origins(length, extent, size) for length in shape)
    return len(rows) * len(cols)


def embed_part(job: Job, settings: EmbedSettings) -> Embedded:
    """Put a part of an image's views into the store; never raises for a bad image.

    To be called in any process; each loads its network once.

    Parameters
    ----------
    job : Job
        The image and the part.
    settings : EmbedSettings
        What to encode and with what.

    Raises
    ------
    PvpuError
        If the model, the device or the settings cannot be used, for any image.
    """
    encoder = _ENCODERS.get(settings)
    start, counts = time.perf_counter(), [0, 0]
    error = None
    try:
        source = open_image(job.image, settings.axes, settings.channels)
        extents = extents_for(settings, source.shape, encoder.view_size)
        everything = (
            (plane, view)
            for plane in product(*map(range, source.plane_shape))
            for extent in extents
            for view in grid_views(source.shape, extent, encoder.view_size)
        )
        for plane, view in islice(everything, job.part, None, job.parts):
            ran = encoder.embed(source.at(plane).read_view(view))
            if ran and encoder.store is not None and encoder.store.trouble is not None:
                raise StoreError(encoder.store.trouble)
            counts[not ran] += 1
    except ConfigError:
        raise
    except PvpuError as problem:
        error = str(problem)
    except Exception as problem:  # readers of many formats raise anything for a damaged file
        error = f"{type(problem).__name__}: {problem}"
    seconds = time.perf_counter() - start
    return Embedded(job.image, counts[0], counts[1], seconds, error)


def _origins(length: int, extent: int, size: int) -> list[int]:
    """Where windows begin along one axis.

    As the centre moves by an eighth of an extent, a window moves by a quarter or not at all.
    """
    step = extent / 8
    count = int((length + extent) / step) + 1
    centers = (min(number * step, length - 1.0) for number in range(count))
    other = (extent, extent)
    views = [view_around((center, 0.0), extent, size, (length, other[1])) for center in centers]
    return sorted({view.row for view in views})


class _Encoders:
    """The network of this process, kept from one job to the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: tuple[EmbedSettings, ViewEncoder] | None = None

    def get(self, settings: EmbedSettings) -> ViewEncoder:
        """Return the encoder that goes with settings, made when they are new."""
        with self._lock:
            if self._made is None or self._made[0] != settings:
                self._made = (settings, _make_encoder(settings))
            return self._made[1]


_ENCODERS = _Encoders()


def _make_encoder(settings: EmbedSettings) -> ViewEncoder:
    import torch

    from napari_pvpu.features.encoder import ViewEncoder
    from napari_pvpu.features.store import FeatureStore

    torch.set_num_threads(settings.threads)
    store = FeatureStore(settings.store, keep_since=settings.since)
    return ViewEncoder(
        settings.model, settings.device, 1, settings.precision, store=store, rounded=True
    )
