"""Tracks as GEFF, the exchange format for graphs of objects over time, version 1.

The layout is a Zarr group of arrays: ids and properties of nodes, one for each object in each
frame, and pairs of ids for edges. Programs read it by the package ``geff``; it is written here
with zarr alone, which the export extra has anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from napari_pvpu.export.atomic import library, replaced_folder
from napari_pvpu.export.tracks import Tracks, find_tracks

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from napari_pvpu.export.label_image import About, LabelImage, Labels

__all__ = ["write_geff"]

_VERSION = "1.0"
_TIME_UNITS = {"second", "minute", "hour", "day", "millisecond", "microsecond", "nanosecond"}
_SPACE_UNITS = {"micrometer", "nanometer", "millimeter", "centimeter", "meter", "angstrom", "inch"}


def write_geff(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage | Tracks,
    parents: Mapping[int, int] | None = None,
    **about: Unpack[About],
) -> None:
    """Write tracks as GEFF.

    Parameters
    ----------
    path : path
        Of the folder, by custom ``NAME.geff``; what was there is replaced.
    labels : array of integers, (T, Y, X) or (T, Z, Y, X), LabelImage or Tracks
        The same label in every frame of an object.
    parents : dict of int to int, optional
        The parent of each object that came of a division.
    **about
        See `as_label_image`. Positions are written in pixels times scale, with the units.

    Raises
    ------
    ExportError
        When there is no time axis, zarr is missing, or the folder cannot be written.

    Notes
    -----
    Nodes have the properties ``t``, (``z``,) ``y``, ``x``, ``label``, ``tracklet`` and ``size``
    in pixels. Edges go from an object to itself in the next frame, from a parent to its
    daughters, and over gaps.
    """
    zarr = library("zarr", "tracks in GEFF")
    tracks = labels if isinstance(labels, Tracks) else find_tracks(labels, parents, **about)
    nodes = _nodes(tracks)
    with replaced_folder(path) as folder:
        _write(zarr, folder, nodes, _edges(tracks), _metadata(tracks, nodes))


def _nodes(tracks: Tracks) -> dict[str, npt.NDArray[Any]]:
    image, numbers = tracks.image, tracks.numbers()
    sizes = dict(zip(image.axes, image.scale, strict=True))
    letters = [axis for axis in image.axes if axis != "T"]
    columns: dict[str, npt.NDArray[Any]] = {
        "t": np.array([spot.frame * sizes["T"] for spot in tracks.spots], np.float64)
    }
    for number, axis in enumerate(letters):
        places = [spot.center[number] * sizes[axis] for spot in tracks.spots]
        columns[axis.lower()] = np.array(places, np.float64)
    columns["label"] = np.array([spot.label for spot in tracks.spots], np.int64)
    columns["tracklet"] = np.array([numbers[s.frame, s.label] for s in tracks.spots], np.int64)
    columns["size"] = np.array([spot.size for spot in tracks.spots], np.int64)
    return columns


def _edges(tracks: Tracks) -> npt.NDArray[np.uint64]:
    ids = {(spot.frame, spot.label): number for number, spot in enumerate(tracks.spots)}
    by_number = {track.number: track for track in tracks.tracks}
    edges = []
    for track in tracks.tracks:
        parent = by_number.get(track.parent)
        if parent is not None:
            edges.append((ids[parent.last, parent.label], ids[track.first, track.label]))
        for frame in range(track.first, track.last):
            edges.append((ids[frame, track.label], ids[frame + 1, track.label]))
    return np.array(sorted(edges), np.uint64).reshape(-1, 2)


def _metadata(tracks: Tracks, nodes: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    image = tracks.image
    axes = []
    for axis, unit in zip(image.axes, image.units, strict=True):
        values, time = nodes[axis.lower()], axis == "T"
        known = unit if unit in (_TIME_UNITS if time else _SPACE_UNITS) else None
        axes.append(
            {
                "name": axis.lower(),
                "type": "time" if time else "space",
                "unit": known or ("frame" if time else "pixel"),
                "min": float(values.min(initial=np.inf)) if len(values) else None,
                "max": float(values.max(initial=-np.inf)) if len(values) else None,
            }
        )
    properties = {
        name: {"identifier": name, "dtype": str(values.dtype), "varlength": False}
        for name, values in nodes.items()
    }
    return {
        "geff_version": _VERSION,
        "directed": True,
        "axes": axes,
        "node_props_metadata": properties,
        "edge_props_metadata": {},
        "track_node_props": {"tracklet": "tracklet"},
        "extra": {"written_by": "napari-pvpu"},
    }


def _write(
    zarr: Any,
    folder: Path,
    nodes: Mapping[str, npt.NDArray[Any]],
    edges: npt.NDArray[np.uint64],
    metadata: dict[str, Any],
) -> None:
    group = zarr.open_group(str(folder), mode="w", zarr_format=2)
    count = len(nodes["t"])
    arrays: dict[str, npt.NDArray[Any]] = {
        "nodes/ids": np.arange(count, dtype=np.uint64),
        "edges/ids": edges,
    }
    arrays |= {f"nodes/props/{name}/values": values for name, values in nodes.items()}
    group.require_group("edges/props")
    for name, values in arrays.items():
        # zarr wants no chunk of length zero.
        chunks = tuple(max(length, 1) for length in values.shape)
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks)
        if values.size:
            array[...] = values
    group.attrs["geff"] = metadata
