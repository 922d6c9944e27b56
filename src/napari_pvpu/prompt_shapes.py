"""Prompts that were drawn in other programs: GeoJSON of QuPath, ROIs of ImageJ.

A point is a click, a line a scribble, a rectangle a box, any other area a polygon around the
object. Both programs put the corner of the first pixel at 0, x before y; here its centre is 0.
"""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import PromptError, PvpuError
from napari_pvpu.prompt_files import PromptFile, polarity
from napari_pvpu.prompts import Box, Click, Polygon, Scribble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Plane

__all__ = ["read_geojson", "read_rois"]

Corners = list[tuple[float, float]]

_NEGATIVE_NAME = re.compile(r"[-_ ]?(neg|negative)$", re.I)
_IMAGEJ_PLACE = re.compile(r"\d{4,}(-\d{4,})+$")


def read_geojson(path: Path) -> PromptFile:
    """Read the features of a GeoJSON file.

    ``properties`` may hold ``object`` (or ``name``), ``positive`` and ``image``; a classification
    named Negative, or a name that ends so, is negative too.

    Raises
    ------
    PromptError
        If it is no GeoJSON.
    """
    try:
        document = json.loads(path.read_text("utf-8-sig"))
        features = document["features"] if isinstance(document, dict) else document
        if isinstance(document, dict) and document.get("type") == "Feature":
            features = [document]
        features = list(features)
    except (ValueError, KeyError, TypeError) as error:
        raise PromptError(f"{path} is no GeoJSON with features ({error!r})") from error
    found = PromptFile()
    for number, feature in enumerate(features, start=1):
        try:
            geometry, properties = feature["geometry"], feature.get("properties") or {}
            name, positive = _named(properties)
            plane = _plane_of(geometry.get("plane"))
            prompts = list(_of_geometry(geometry, positive))
        except PromptError as error:
            found.problems.append(f"feature {number}: {error}")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            found.problems.append(f"feature {number}: it is damaged ({error!r})")
        else:
            # Points of one shape without a name belong together all the same.
            name = name or (f"feature {number}" if len(prompts) > 1 else "")
            for prompt in prompts:
                found.add(prompt, str(properties.get("image", "")), name, plane)
    return found


def _named(properties: dict[str, Any]) -> tuple[str, bool]:
    name = str(properties.get("object", properties.get("name", "")) or "")
    classified = properties.get("classification") or {}
    group = classified if isinstance(classified, str) else str(classified.get("name", ""))
    negative = _NEGATIVE_NAME.search(name)
    if "positive" in properties:
        return name, polarity(str(properties["positive"]))
    return _NEGATIVE_NAME.sub("", name), not (negative or group.lower() in ("negative", "neg"))


def _plane_of(plane: Any) -> Plane | None:
    """Return z, or t and z, if they say anything; QuPath writes zeros for plain images too."""
    if not plane:
        return None
    z, t = int(plane.get("z", 0)), int(plane.get("t", 0))
    if "t" in plane and "z" in plane:
        return (t, z) if t else (z,) if z else None
    return (z,) if "z" in plane else (t,)


def _of_geometry(geometry: dict[str, Any], positive: bool) -> Iterator[Prompt]:
    kind, coordinates = geometry["type"], geometry.get("coordinates", ())
    if kind == "GeometryCollection":
        for inner in geometry["geometries"]:
            yield from _of_geometry(inner, positive)
    elif kind in ("Point", "MultiPoint"):
        points = [coordinates] if kind == "Point" else coordinates
        for point in _corners(points):
            yield Click(point, positive)
    elif kind in ("LineString", "MultiLineString"):
        for line in [coordinates] if kind == "LineString" else coordinates:
            yield Scribble(tuple(_corners(line)), positive)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [coordinates] if kind == "Polygon" else coordinates:
            yield _area(_corners(rings[0]), positive)
    else:
        raise PromptError(f"a {kind} is no prompt; draw points, lines, rectangles or polygons")


def _corners(points: Any) -> Corners:
    return [(float(y) - 0.5, float(x) - 0.5) for x, y, *_ in points]


def _area(corners: Corners, positive: bool) -> Prompt:
    """Return a box if the corners are those of an upright rectangle, else a polygon."""
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners = corners[:-1]
    rows, cols = {row for row, _ in corners}, {col for _, col in corners}
    if len(corners) == 4 and len(rows) == len(cols) == 2:
        return Box((min(rows), min(cols)), (max(rows), max(cols)), positive)
    return Polygon(tuple(corners), positive)


def read_rois(path: Path) -> PromptFile:
    """Read ImageJ ROIs.

    A ROI named by a number belongs to that object, several ROIs of one object being ``3-1``,
    ``3-2`` and so on; one whose name ends with ``neg`` is negative. Other names are objects too,
    but for those that ImageJ gives itself (``0034-0120``), each of which is an object of its own.

    Raises
    ------
    PromptError
        If it holds no ROI.
    ExportError
        If the package roifile is missing.
    """
    from napari_pvpu.export.atomic import library

    roifile = library("roifile", "ImageJ ROIs")
    try:
        rois = roifile.roiread(str(path))
    except (OSError, ValueError, IndexError, KeyError, zipfile.BadZipFile) as error:
        raise PromptError(f"{path} cannot be read as ImageJ ROIs: {error}") from error
    found = PromptFile()
    for roi in rois if isinstance(rois, list) else [rois]:
        name = str(roi.name or "")
        positive = _NEGATIVE_NAME.search(name) is None
        owner = _owner(_NEGATIVE_NAME.sub("", name))
        plane = (
            (roi.t_position - 1, roi.z_position - 1)
            if roi.t_position and roi.z_position
            else (roi.position - 1,) if roi.position > 0 else None
        )  # fmt: skip
        try:
            prompts = list(_of_roi(roifile, roi, positive))
        except (PvpuError, NotImplementedError, ValueError) as error:
            found.problems.append(f"ROI {name!r}: {error}")
            continue
        owner = owner or (f"ROI {name}" if len(prompts) > 1 else "")
        for prompt in prompts:
            found.add(prompt, "", owner, plane)
    return found


def _owner(name: str) -> str:
    if _IMAGEJ_PLACE.match(name):
        return ""
    number = re.match(r"(\d+)([-_ ]\S+)?$", name)
    return number[1] if number else name


def _of_roi(roifile: Any, roi: Any, positive: bool) -> Iterator[Prompt]:
    kinds = roifile.ROI_TYPE
    if roi.roitype == kinds.RECT and not roi.composite:
        top, left, bottom, right = roi.top, roi.left, roi.bottom, roi.right
        yield Box((top - 0.5, left - 0.5), (bottom - 0.5, right - 0.5), positive)
        return
    if roi.roitype == kinds.LINE:
        # Integer ends mean the pixel itself, as for points.
        ends = ((roi.y1, roi.x1), (roi.y2, roi.x2))
        yield Scribble(tuple((float(row), float(col)) for row, col in ends), positive)
        return
    corners = np.asarray(roi.coordinates(), float)[:, ::-1]
    whole = roi.subpixel_coordinates is None
    centres = corners if whole else corners - 0.5
    if roi.roitype == kinds.POINT:
        for row, col in centres.tolist():
            yield Click((row, col), positive)
    elif roi.roitype in (kinds.POLYLINE, kinds.FREELINE):
        yield Scribble(tuple(map(tuple, centres.tolist())), positive)
    elif roi.roitype in (kinds.POLYGON, kinds.FREEHAND, kinds.TRACED):
        yield _area([(row, col) for row, col in (corners - 0.5).tolist()], positive)
    else:
        raise PromptError(f"a ROI of type {roi.roitype.name} is no prompt; draw another kind")
