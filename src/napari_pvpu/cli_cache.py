"""The commands ``napari-pvpu cache``: look at the feature store, empty and check it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_pvpu.errors import StoreError

if TYPE_CHECKING:
    from napari_pvpu.features.store import FeatureStore

__all__ = ["cache"]

cache = typer.Typer(
    name="cache",
    no_args_is_help=True,
    help="Look at the features kept on the disk; clear and check them.",
)

Folder = Annotated[
    Path | None,
    typer.Option("--store", help="Folder; by default NAPARI_PVPU_CACHE, or the platform's."),
]
GIGABYTE = 10**9


@cache.command()
def info(store: Folder = None) -> None:
    """Tell where the store is, how large it is and whose views it holds."""
    from napari_pvpu.features.store_care import look_into

    found = look_into(_store(store))
    typer.echo(f"folder    {found.folder}")
    share = f", {100 * found.size / found.limit:.0f} %" if found.limit else ""
    typer.echo(f"size      {_size(found.size)} of {_size(found.limit)}{share}")
    typer.echo(f"views     {found.views}")
    for holding in found.holdings:
        typer.echo(f"          {holding.model}: {holding.views}, {_size(holding.size)}")
    if found.used is not None:
        first, last = (datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M") for at in found.used)
        typer.echo(f"last used {first} to {last}")


@cache.command()
def clear(
    store: Folder = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Only what was not used for so long.")
    ] = None,
) -> None:
    """Remove kept features; programs that are running may go on."""
    from napari_pvpu.features.store_care import clear_store

    removed, size = clear_store(_store(store), older_than)
    typer.echo(f"{removed} files removed, {_size(size)}")


@cache.command()
def verify(
    store: Folder = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove damaged files.")] = False,
) -> None:
    """Read every file and tell which are damaged; ends with 1 if some are, and stay."""
    from napari_pvpu.features.store_care import check_store

    checked = check_store(_store(store), remove)
    for path, problem in checked.damaged:
        typer.echo(f"{path}: {problem}", err=True)
    removed = f", {checked.removed} removed" if remove else ""
    typer.echo(f"{checked.views} files in order, {len(checked.damaged)} damaged{removed}")
    if len(checked.damaged) > checked.removed:
        raise typer.Exit(1)


@cache.command()
def limit(
    gigabytes: Annotated[float, typer.Argument(help="That the store may grow to, in GB.")],
    store: Folder = None,
) -> None:
    """Set how large the store may grow; those used longest ago make room for new ones."""
    if not 0 <= gigabytes < 1e9:
        raise StoreError(f"a limit of {gigabytes} GB makes no sense; give 0 or more")
    chosen = _store(store)
    chosen.limit = round(gigabytes * GIGABYTE)
    typer.echo(f"{chosen.folder}: up to {_size(chosen.limit)}")


def _store(folder: Path | None) -> FeatureStore:
    from napari_pvpu.features.store import FeatureStore

    return FeatureStore(folder)


def _size(size: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
