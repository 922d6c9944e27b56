"""The command ``napari-pvpu embed``: encode views of images ahead, for sessions to come."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from napari_pvpu.cli_parsing import Device, Model, repeat_flag
from napari_pvpu.errors import PvpuError
from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    from napari_pvpu.features.embedding import EmbedReport
    from napari_pvpu.features.precompute import Embedded
    from napari_pvpu.features.store import FeatureStore

__all__ = ["ManyScalesAndSizes", "embed"]

FORESEEN_AFTER = 20
"""Images after which it can be told how much room all of them will take."""


class ManyScalesAndSizes(TyperCommand):
    """Takes several numbers after one flag, as well as the flag repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = {"--scales", "--object-sizes", "--channels"}
        return super().parse_args(ctx, repeat_flag(args, flags, _is_number))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def embed(
    images: Annotated[
        list[Path],
        typer.Argument(help="TIFF, PNG, JPEG, WebP, NPY, OME-Zarr, or folders of such."),
    ],
    scales: Annotated[
        list[float] | None,
        typer.Option(help="Pixels of the image per pixel of the model, to the next half-octave."),
    ] = None,
    object_sizes: Annotated[
        list[float] | None, typer.Option(help="Lengths of objects in pixels, for views of such.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a dask cluster, to work there instead."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder; by default NAPARI_PVPU_CACHE, or the platform's.")
    ] = None,
    model: Model = "pvpu-nano",
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(help="float32, bf16, float16; sessions on a CPU find float32 only.")
    ] = "float32",
    axes: Annotated[
        str | None, typer.Option(help="Of the images, such as TYX. By default as the files say.")
    ] = None,
    channels: Annotated[
        list[int] | None, typer.Option(help="To use, from 0; by default all.")
    ] = None,
    report: Annotated[
        list[Path] | None, typer.Option(help="Write a report: .md or .json; may be repeated.")
    ] = None,
) -> None:
    """Encode views of images ahead, so that opening them later needs no encoder.

    Without --scales and --object-sizes: the views that a first click anywhere leads to, and the
    coarser ones. What is in the store already is passed over, so the same command goes on where
    it was stopped. Ends with 1 if an image failed.
    """
    reports = list(report or ())
    for path in reports:
        if path.suffix.lower() not in (".md", ".json"):
            raise PvpuError(f"a report cannot be written as {path.name!r}; use .md or .json")
    if scheduler is not None and workers != 1:
        raise PvpuError("--workers is for this machine and --scheduler for a cluster; give one")
    wait_passively()  # torch is imported below
    from napari_pvpu.features.embedding import embed_images
    from napari_pvpu.features.image_files import find_images
    from napari_pvpu.features.precompute import EmbedSettings
    from napari_pvpu.features.store import FeatureStore

    kept = FeatureStore(store)
    settings = EmbedSettings(
        model=_known_anywhere(model),
        device=device,
        precision=precision,
        store=str(kept.folder.resolve()),
        scales=tuple(scales or ()),
        object_lengths=tuple(object_sizes or ()),
        axes=axes,
        channels=tuple(channels) if channels else None,
        since=time.time(),
        threads=max(1, (os.cpu_count() or 1) // workers),
    )
    paths = [path.resolve() for path in find_images(images)]
    done = embed_images(
        paths, settings, workers=workers, scheduler=scheduler, progress=_Telling(kept, len(paths))
    )
    for path in reports:
        _write(path, done)
    typer.echo(done.summary())
    if done.failed:
        raise typer.Exit(1)


class _Telling:
    """Tells of images that fail, and early of a store that will not hold all that is encoded.

    Parameters
    ----------
    store : FeatureStore
        Where views go.
    images : int
        How many there are.
    """

    def __init__(self, store: FeatureStore, images: int) -> None:
        self._store, self._images = store, images
        self._done: set[str] = set()
        self._views = 0

    def __call__(self, part: Embedded) -> None:
        """Take note of what has become of an image, or a part of one."""
        if part.error is not None:
            typer.echo(f"{part.image}: {' '.join(part.error.split())}", err=True)
            return
        known = len(self._done)
        self._done.add(part.image)
        self._views += part.encoded + part.found
        if known < len(self._done) == FORESEEN_AFTER < self._images:
            self._foresee()

    def _foresee(self) -> None:
        from napari_pvpu.features.store_care import look_into

        found = look_into(self._store)
        if not found.views:
            return
        needed = self._views / len(self._done) * self._images * found.size / found.views
        if needed > found.limit:
            gigabytes = math.ceil(needed / 1e9)
            typer.echo(
                f"All {self._images} images will take about {needed / 1e9:.1f} GB, and the store "
                f"in {self._store.folder} holds {found.limit / 1e9:g} GB. In another terminal "
                f"'napari-pvpu cache limit {gigabytes} --store {self._store.folder}' allows it "
                "more while this goes on.",
                err=True,
            )


def _known_anywhere(model: str) -> str:
    """Return a model's file as an absolute path: workers may run in another folder."""
    return os.path.abspath(model) if os.path.isfile(model) else model


def _write(path: Path, report: EmbedReport) -> None:
    text = report.to_json() if path.suffix.lower() == ".json" else report.to_markdown()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PvpuError(f"{path} cannot be written ({error.strerror or error})") from error
