"""The formats of tracks by name and by suffix, and one function that writes any of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

from napari_pvpu.errors import ExportError
from napari_pvpu.export.ctc import write_ctc
from napari_pvpu.export.formats import Format
from napari_pvpu.export.geff import write_geff
from napari_pvpu.export.tracks import Tracks, find_tracks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_pvpu.export.label_image import About, LabelImage, Labels

__all__ = ["TRACK_FORMATS", "export_tracks"]

TRACK_FORMATS = {
    each.name: each
    for each in (
        Format("ctc", "Cell Tracking Challenge (folder)", ("_RES", "_res"), write_ctc),
        Format("geff", "GEFF", (".geff",), write_geff),
    )
}
"""All formats of tracks, by name."""


def export_tracks(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage | Tracks,
    parents: Mapping[int, int] | None = None,
    *,
    format_name: str | None = None,
    **about: Unpack[About],
) -> None:
    """Write tracks in any of the formats.

    Parameters
    ----------
    path : path
        Of the folder to be.
    labels : array of integers, (T, Y, X) or (T, Z, Y, X), LabelImage or Tracks
        The same label in every frame of an object.
    parents : dict of int to int, optional
        The parent of each object that came of a division.
    format_name : str, optional
        A key of `TRACK_FORMATS`; by default told by the name's end, ``_RES`` or ``.geff``.
    **about
        See `as_label_image`.

    Raises
    ------
    ExportError
        When there is no such format, no time axis, or the folder cannot be written.
    """
    name = os.fspath(path)
    if format_name is None:
        told = [each.name for each in TRACK_FORMATS.values() if name.endswith(each.suffixes)]
        if not told:
            raise ExportError(f"{name} tells no format by its name; end it in _RES or .geff")
        format_name = told[0]
    if format_name not in TRACK_FORMATS:
        known = ", ".join(TRACK_FORMATS)
        raise ExportError(f"there is no format {format_name!r} of tracks; use one of {known}")
    tracks = labels if isinstance(labels, Tracks) else find_tracks(labels, parents, **about)
    TRACK_FORMATS[format_name].write(path, tracks)
