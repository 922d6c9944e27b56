"""GeoJSON as QuPath writes and reads it.

A FeatureCollection with a feature for each object in each plane; see PathObjectTypeAdapters.java,
ROITypeAdapters.java and GsonTools.java in QuPath's sources. Coordinates are pixels of the full
image, x before y, pixel corners being integers; QuPath keeps them so. Of a class it wants both
name and colour, of a plane channel (-1 for all), slice and frame, counted from 0.
"""

from __future__ import annotations

import colorsys
import json
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import read_error, replaced_file
from napari_pvpu.export.label_image import (
    LabelImage,
    ObjectDetails,
    as_label_image,
    objects_in_plane,
)
from napari_pvpu.export.outlines import closed_xy, outlines, paint

if TYPE_CHECKING:
    import os

    from napari_pvpu.export.label_image import About, Labels
    from napari_pvpu.export.outlines import Outline

__all__ = ["read_geojson", "write_geojson"]

_NAMESPACE = uuid.UUID("7a3ef0c2-6f0b-5d0e-9b0a-3b8f6d1e2c54")
_LABEL, _SCORE, _PROMPTS = "Label", "Score", "Prompts"


def write_geojson(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage,
    *,
    object_type: Literal["annotation", "detection"] = "annotation",
    **about: Unpack[About],
) -> None:
    """Write objects as GeoJSON for QuPath (*File > Import objects from file*).

    Parameters
    ----------
    path : path
        Of the file, ``.geojson``.
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background.
    object_type : {"annotation", "detection"}
        What the objects are to QuPath: annotations can be edited there, detections are many.
    **about
        See `as_label_image`. Ids depend on `name`, label and plane only, so that they are the same
        when the same objects are written again.

    Raises
    ------
    ExportError
        When something does not fit, or the file cannot be written.
    """
    if object_type not in ("annotation", "detection"):
        raise ExportError(f"object type {object_type!r} is neither 'annotation' nor 'detection'")
    image = as_label_image(labels, **about)
    features = []
    for index, plane in image.planes():
        for label, mask, origin in objects_in_plane(plane):
            geometry = _geometry(outlines(mask, origin))
            if image.plane_axes:
                geometry["plane"] = {"c": -1, "z": 0, "t": 0} | image.position(index)
            features.append(
                {
                    "type": "Feature",
                    "id": str(uuid.uuid5(_NAMESPACE, f"{image.name}/{label}/{index}")),
                    "geometry": geometry,
                    "properties": _properties(object_type, label, image.details(label)),
                }
            )
    document = {"type": "FeatureCollection", "features": features}
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(document, separators=(",", ":")), "utf-8")


def _geometry(parts: list[Outline]) -> dict[str, Any]:
    polygons = [[closed_xy(ring) for ring in part.rings] for part in parts]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _properties(object_type: str, label: int, details: ObjectDetails) -> dict[str, Any]:
    measurements: dict[str, float] = {_LABEL: label}
    if details.score is not None:
        measurements[_SCORE] = details.score
    if details.prompts is not None:
        measurements[_PROMPTS] = details.prompts
    properties: dict[str, Any] = {"objectType": object_type, "name": str(label)}
    if details.colour is not None:
        properties["color"] = list(details.colour)
    if details.category is not None:
        colour = _colour_of(details.category)
        properties["classification"] = {"name": details.category, "color": colour}
    return properties | {"measurements": measurements}


def _colour_of(category: str) -> list[int]:
    """Choose a colour for a class, always the same."""
    hue = uuid.uuid5(_NAMESPACE, category).int % 360 / 360
    return [round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, 0.9)]


def read_geojson(
    path: str | os.PathLike[str], shape: tuple[int, ...], **about: Unpack[About]
) -> LabelImage:
    """Read polygons of GeoJSON as labels.

    A pixel belongs to a polygon when its centre is inside. Where polygons overlap, the last one
    counts. Labels are taken from the measurement "Label", else from a name that is a number; the
    rest get numbers that are free.

    Parameters
    ----------
    path : path
        Of the file: a FeatureCollection, a list of features, or one feature.
    shape : tuple of int
        Of the labels to make, up to (T, Z, Y, X). Features without a plane lie in the first one,
        as in QuPath.
    **about
        See `as_label_image`.

    Returns
    -------
    LabelImage
        uint16, or uint32 if a label needs it.

    Raises
    ------
    ExportError
        When the file cannot be read, or holds something that has no area.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
        features = document if isinstance(document, list) else document.get("features", [document])
        given = [_label_of(feature.get("properties") or {}) for feature in features]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise read_error(path, f"it is no GeoJSON ({error!r})") from error
    free = max((label for label in given if label), default=0)
    image = as_label_image(np.zeros(shape, np.uint32), **about)
    objects: dict[int, ObjectDetails] = {}
    for feature, number in zip(features, given, strict=True):
        label = number
        if label is None:
            label = free = free + 1
        try:
            plane = image.labels[_index_of(feature["geometry"], image)]
            for polygon in _polygons(feature["geometry"]):
                paint(plane, [np.asarray(ring, float)[:, 1::-1] for ring in polygon], label)
            details = _details_of(feature.get("properties") or {})
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise read_error(
                path, f"the feature of label {label} does not fit ({error})"
            ) from error
        if details != ObjectDetails():
            objects[label] = details
    return replace(image, labels=image.compact(), objects=objects | dict(image.objects))


def _label_of(properties: dict[str, Any]) -> int | None:
    measured = _measurements(properties).get(_LABEL)
    if measured is not None and float(measured).is_integer() and measured > 0:
        return int(measured)
    name = str(properties.get("name", ""))
    return int(name) or None if re.fullmatch(r"\d{1,9}", name) else None


def _measurements(properties: dict[str, Any]) -> dict[str, Any]:
    found = properties.get("measurements") or {}
    if isinstance(found, list):  # before QuPath 0.4
        return {entry["name"]: entry["value"] for entry in found}
    return dict(found)


def _details_of(properties: dict[str, Any]) -> ObjectDetails:
    measured = _measurements(properties)
    classification = properties.get("classification") or {}
    if isinstance(classification, str):
        classification = {"name": classification}
    colour = properties.get("color")
    return ObjectDetails(
        score=measured.get(_SCORE),
        prompts=None if _PROMPTS not in measured else int(measured[_PROMPTS]),
        category=classification.get("name"),
        colour=tuple(colour) if isinstance(colour, list) and len(colour) == 3 else None,
    )


def _index_of(geometry: dict[str, Any], image: LabelImage) -> tuple[int, ...]:
    plane = geometry.get("plane", {})
    return tuple(int(plane.get(axis, 0)) for axis in image.plane_axes.lower())


def _polygons(geometry: dict[str, Any]) -> list[Any]:
    kind = geometry["type"]
    if kind == "Polygon":
        return [geometry["coordinates"]]
    if kind == "MultiPolygon":
        return list(geometry["coordinates"])
    if kind == "GeometryCollection":
        return [part for inner in geometry["geometries"] for part in _polygons(inner)]
    raise ValueError(f"a {kind} has no area")
