"""COCO JSON: a data set of one image, or of one for every plane of a stack.

Polygons run along pixel edges; COCO knows no holes, so that objects with holes are cut into
pieces that have none. Run lengths (RLE) are those of pycocotools. Both give pycocotools, and
whoever fills polygons by pixel centres, the very pixels of the labels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import library, read_error, replaced_file
from napari_pvpu.export.label_image import (
    LabelImage,
    ObjectDetails,
    as_label_image,
    objects_in_plane,
)
from napari_pvpu.export.outlines import paint, without_holes

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from napari_pvpu.export.label_image import About, Labels

    Mask = npt.NDArray[np.bool_]

__all__ = ["read_coco", "write_coco"]

_CATEGORY = "object"


def write_coco(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage,
    *,
    segmentation: Literal["polygons", "rle"] = "polygons",
    **about: Unpack[About],
) -> None:
    """Write objects as COCO JSON.

    Beside COCO's own fields an annotation has ``label`` and, where known, ``score`` and
    ``prompts``; an image has ``plane``, ``scale`` and ``units``. Ids of annotations count on, as
    one label may occur in several planes.

    Parameters
    ----------
    path : path
        Of the file, ``.json``.
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background. `name` is taken as the image's file name.
    segmentation : {"polygons", "rle"}
        How masks are written. Run lengths hold any object in one piece, and need pycocotools.
    **about
        See `as_label_image`. Categories are those of `objects`, else all are "object".

    Raises
    ------
    ExportError
        When something does not fit, pycocotools is missing, or the file cannot be written.
    """
    if segmentation not in ("polygons", "rle"):
        raise ExportError(f"segmentation {segmentation!r} is neither 'polygons' nor 'rle'")
    image = as_label_image(labels, **about)
    coder = library("pycocotools.mask", "run lengths (RLE)") if segmentation == "rle" else None
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (index, plane) in enumerate(image.planes(), start=1):
        images.append(_image_entry(image, image_id, index))
        for label, mask, origin in objects_in_plane(plane):
            masked = _polygons(mask, origin) if coder is None else _rle(mask, origin, image, coder)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "segmentation": masked}
                | _measures(label, mask, origin, image.details(label))
            )
    names = sorted({annotation["category_id"] for annotation in annotations}) or [_CATEGORY]
    for annotation in annotations:
        annotation["category_id"] = names.index(annotation["category_id"]) + 1
    document = {
        "info": {"description": "Labels written by napari-pvpu", "version": "1.0"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(names, start=1)
        ],
    }
    with replaced_file(path) as temporary:
        temporary.write_text(json.dumps(document, separators=(",", ":")), "utf-8")


def _image_entry(image: LabelImage, image_id: int, index: tuple[int, ...]) -> dict[str, Any]:
    rows, columns = image.shape
    entry: dict[str, Any] = {
        "id": image_id,
        "file_name": image.name or "image",
        "width": columns,
        "height": rows,
        "scale": list(image.scale),
        "units": list(image.units),
    }
    if index:
        entry["plane"] = image.position(index)
    return entry


def _measures(
    label: int, mask: Mask, origin: tuple[int, int], details: ObjectDetails
) -> dict[str, Any]:
    (row, col), (height, width) = origin, mask.shape
    measures: dict[str, Any] = {
        "category_id": details.category or _CATEGORY,  # a number once all are known
        "area": int(mask.sum()),
        "bbox": [col, row, width, height],
        "iscrowd": 0,
        "label": label,
    }
    if details.score is not None:
        measures["score"] = details.score
    if details.prompts is not None:
        measures["prompts"] = details.prompts
    return measures


def _polygons(mask: Mask, origin: tuple[int, int]) -> list[list[int]]:
    return [outline.shell[:, ::-1].ravel().tolist() for outline in without_holes(mask, origin)]


def _rle(mask: Mask, origin: tuple[int, int], image: LabelImage, coder: Any) -> dict[str, Any]:
    """Count pixels outside and inside by turns, down the columns of the whole image."""
    rows, columns = image.shape
    col, row = np.nonzero(mask.T)
    place = (col + origin[1]) * rows + row + origin[0]
    first = np.flatnonzero(np.diff(place, prepend=-2) != 1)
    last = np.append(first[1:], len(place)) - 1
    borders = np.column_stack([place[first], place[last] + 1]).ravel()
    counts = np.diff(borders, prepend=0, append=rows * columns)
    if counts[-1] == 0:  # the last pixel is inside
        counts = counts[:-1]
    packed = coder.frPyObjects({"size": [rows, columns], "counts": counts.tolist()}, rows, columns)
    return {"size": [rows, columns], "counts": packed["counts"].decode("ascii")}


def read_coco(
    path: str | os.PathLike[str], shape: tuple[int, ...] | None = None, **about: Unpack[About]
) -> LabelImage:
    """Read COCO JSON as labels.

    Where annotations overlap, the last one counts. Annotations without ``label`` are numbered by
    their ids, or one after another where several images would make these collide.

    Parameters
    ----------
    path : path
        Of the file. Its images are the planes, in their order there, and of one size.
    shape : tuple of int, optional
        Of the labels to make, up to (T, Z, Y, X); by default (Y, X) for one image, (Z, Y, X) for
        several, or as the images' ``plane`` tells.
    **about
        See `as_label_image`.

    Returns
    -------
    LabelImage
        uint16, or uint32 if a label needs it.

    Raises
    ------
    ExportError
        When the file cannot be read, or says something that does not fit together.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
        entries, annotations = document["images"], document["annotations"]
        sizes = {(int(entry["height"]), int(entry["width"])) for entry in entries}
        numbers = {entry["id"]: number for number, entry in enumerate(entries)}
        names = {entry["id"]: entry["name"] for entry in document.get("categories", ())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise read_error(path, f"it is no COCO JSON ({error!r})") from error
    if len(sizes) != 1:
        raise read_error(
            path, f"its images are of {len(sizes)} sizes, so they are no planes of one"
        )
    (size,) = sizes
    defaults = _described(entries)
    plane_shape = defaults.pop("plane_shape")
    shape = (*plane_shape, *size) if shape is None else shape
    if tuple(shape[-2:]) != size or int(np.prod(shape[:-2])) != len(entries):
        raise read_error(path, f"it has {len(entries)} images of {size}, which is not {shape}")
    labels = np.zeros((len(entries), *size), np.uint32)
    objects: dict[int, ObjectDetails] = {}
    try:
        for number, annotation in enumerate(annotations, start=1):
            label = int(annotation.get("label", annotation["id"] if len(entries) == 1 else number))
            _draw(labels[numbers[annotation["image_id"]]], annotation["segmentation"], label)
            score, prompts = annotation.get("score"), annotation.get("prompts")
            category = names.get(annotation.get("category_id"))
            if score is not None or prompts is not None or category not in (None, _CATEGORY):
                objects[label] = ObjectDetails(score, prompts, category)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise read_error(path, f"an annotation does not fit ({error!r})") from error
    labels = as_label_image(labels, axes="ZYX").compact().reshape(shape)
    if len(defaults.get("axes", "")) != labels.ndim:
        defaults = {}
    return as_label_image(labels, **{**defaults, "objects": objects, **about})


def _described(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Find out what our own files say of axes, scale and units."""
    first, last = entries[0], entries[-1]
    plane = last.get("plane", {})
    told: dict[str, Any] = {"name": str(first.get("file_name", ""))}
    plane_shape = tuple(int(at) + 1 for at in plane.values())
    if int(np.prod(plane_shape)) == len(entries):
        told |= {"axes": "".join(plane).upper() + "YX", "plane_shape": plane_shape}
    else:
        told["plane_shape"] = (len(entries),)
    if "scale" in first and "units" in first:
        told |= {"scale": first["scale"], "units": first["units"]}
    return told


def _draw(plane: Labels, segmentation: Any, label: int) -> None:
    """Write the label where a segmentation says."""
    if isinstance(segmentation, list):
        for polygon in segmentation:  # each on its own: COCO means their union
            corners = np.asarray(polygon, float).reshape(-1, 2)[:, ::-1]
            paint(plane, [corners], label)
        return
    counts = segmentation["counts"]
    runs = np.asarray(counts if isinstance(counts, list) else _unpacked(counts), np.int64)
    rows, columns = plane.shape
    if list(segmentation["size"]) != [rows, columns] or runs.sum() != rows * columns:
        raise ValueError(f"run lengths of {segmentation['size']} in an image of {plane.shape}")
    ends = np.cumsum(runs)[1::2]
    inside = runs[1::2]
    place = np.arange(inside.sum()) + np.repeat(ends - np.cumsum(inside), inside)
    plane[place % rows, place // rows] = label


def _unpacked(text: str) -> list[int]:
    """Read the compressed run lengths of pycocotools (rleFrString in its maskApi.c).

    Characters from "0" on hold six bits: five of a number, lowest first, and one that says
    whether more follow; the highest bit of the last is the sign. From the fourth number on, what
    is held is the difference to the number two before.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    return counts
