"""ImageJ ROIs: a zip that the ROI Manager opens, an object in a plane being a ROI.

As ImageJ's own *Create Selection* makes them: an object of one part without holes is a traced ROI,
whose points are pixel corners; any other is a composite, a path of all rings by the even-odd
rule. See ij/io/RoiEncoder.java, ij/gui/ShapeRoi.java and ij/plugin/filter/ThresholdToSelection.java
in ImageJ's sources.
"""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import library, read_error, replaced_file
from napari_pvpu.export.label_image import (
    LabelImage,
    ObjectDetails,
    as_label_image,
    objects_in_plane,
)
from napari_pvpu.export.outlines import outlines, paint

if TYPE_CHECKING:
    from napari_pvpu.export.label_image import About, Labels
    from napari_pvpu.export.outlines import Outline

__all__ = ["read_imagej_rois", "write_imagej_rois"]

# Corners are 16-bit numbers, and those that are negative by that count down to -5000 are taken as
# such (RoiDecoder.getShort); beyond, and for more points than 16 bits count, ImageJ writes
# composites, whose corners are floats.
_LARGEST_CORNER = 60_535
_MOST_POINTS = 65_535
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_imagej_rois(
    path: str | os.PathLike[str], labels: Labels | LabelImage, **about: Unpack[About]
) -> None:
    """Write objects as a zip of ImageJ ROIs.

    ROIs are named after their labels, with the plane where there are several: ``7``, or
    ``7-t002-z005`` counted from 1 as ImageJ does. Label and score are among their properties.

    Parameters
    ----------
    path : path
        Of the file, ``.zip``.
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background.
    **about
        See `as_label_image`.

    Raises
    ------
    ExportError
        When the labels do not fit, roifile is missing, or the file cannot be written.
    """
    roifile = library("roifile", "ImageJ ROIs")
    image = as_label_image(labels, **about)
    with replaced_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for index, plane in image.planes():
            for label, mask, origin in objects_in_plane(plane):
                name = "-".join([str(label), *_counted_from_1(image, index)])
                roi = _roi(roifile, outlines(mask, origin))
                roi.name = name
                roi.props = _properties(label, image.details(label))
                _place(roi, image, index)
                entry = zipfile.ZipInfo(f"{name}.roi", _LONG_AGO)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, roi.tobytes())


def _counted_from_1(image: LabelImage, index: tuple[int, ...]) -> list[str]:
    return [f"{axis}{at + 1:03}" for axis, at in image.position(index).items()]


def _properties(label: int, details: ObjectDetails) -> str:
    score = "" if details.score is None else f"score: {details.score!r}\n"
    return f"label: {label}\n{score}"


def _roi(roifile: Any, parts: list[Outline]) -> Any:
    """Make a traced ROI or, where that cannot hold it, a composite."""
    rings = [ring[:, ::-1] for part in parts for ring in part.rings]
    corners = np.concatenate(rings)
    roi = roifile.ImagejRoi()
    roi.left, roi.top = (int(value) for value in corners.min(axis=0))
    roi.right, roi.bottom = (int(value) for value in corners.max(axis=0))
    if len(rings) == 1 and len(corners) <= _MOST_POINTS and corners.max() <= _LARGEST_CORNER:
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.integer_coordinates = (corners - (roi.left, roi.top)).astype(np.int32)
        roi.n_coordinates = len(corners)
        return roi
    segments: list[Any] = []
    for ring in rings:
        kind = np.where(np.arange(len(ring)) == 0, _MOVE, _LINE)
        segments += [np.column_stack([kind, ring]).ravel(), [_CLOSE]]
    roi.roitype = roifile.ROI_TYPE.RECT  # with a path of its own: a composite
    roi.multi_coordinates = np.concatenate(segments).astype(np.float32)
    roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _place(roi: Any, image: LabelImage, index: tuple[int, ...]) -> None:
    """Tell the plane: of a stack by its number, of a hyperstack by slice and frame."""
    if len(index) == 1:
        roi.position = index[0] + 1
    elif index:
        roi.t_position, roi.z_position = index[0] + 1, index[1] + 1


def read_imagej_rois(
    path: str | os.PathLike[str], shape: tuple[int, ...], **about: Unpack[About]
) -> LabelImage:
    """Read ImageJ ROIs that have an area as labels.

    A pixel belongs to a ROI when its centre is inside. Where ROIs overlap, the last one counts.
    Labels are taken from the ROI's property, else from a name that is a number; the rest
    get numbers that are free.

    Parameters
    ----------
    path : path
        A zip of ROIs, or a single ``.roi``.
    shape : tuple of int
        Of the labels to make, up to (T, Z, Y, X). A ROI without a position is drawn into all
        planes.
    **about
        See `as_label_image`.

    Returns
    -------
    LabelImage
        uint16, or uint32 if a label needs it.

    Raises
    ------
    ExportError
        When the file cannot be read, or holds a ROI that is no area, or an oval.
    """
    roifile = library("roifile", "ImageJ ROIs")
    try:
        rois = _rois(roifile, path)
    except (OSError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise read_error(path, error) from error
    given = [_label_of(roi) for roi in rois]
    free = max((label for label in given if label), default=0)
    image = as_label_image(np.zeros(shape, np.uint32), **about)
    objects: dict[int, ObjectDetails] = {}
    for roi, number in zip(rois, given, strict=True):
        label = number
        if label is None:
            label = free = free + 1
        rings = _rings(roifile, roi, path)
        for index in _planes_of(roi, image):
            paint(image.labels[index], rings, label)
        score = roi.properties.get("score")
        if isinstance(score, (int, float)):
            objects[label] = ObjectDetails(score=float(score))
    return replace(image, labels=image.compact(), objects=objects | dict(image.objects))


def _rois(roifile: Any, path: str | os.PathLike[str]) -> list[Any]:
    with open(path, "rb") as file:
        zipped = zipfile.is_zipfile(file)
        if not zipped:
            file.seek(0)
            return [roifile.ImagejRoi.frombytes(file.read())]
    with zipfile.ZipFile(path) as archive:
        return [
            roifile.ImagejRoi.frombytes(archive.read(name))
            for name in archive.namelist()
            if name.lower().endswith(".roi")
        ]


def _label_of(roi: Any) -> int | None:
    label = roi.properties.get("label")
    if not isinstance(label, int):
        # ImageJ's own names, such as 0034-0120, tell a place and not a label.
        named = re.fullmatch(r"(\d{1,9})(-[tz]\d+)*", roi.name)
        label = int(named[1]) if named else None
    return label or None


def _rings(roifile: Any, roi: Any, path: str | os.PathLike[str]) -> list[Any]:
    kinds = roifile.ROI_TYPE
    areas = (kinds.POLYGON, kinds.FREEHAND, kinds.TRACED, kinds.RECT)
    if roi.roitype not in areas or roi.subtype != roifile.ROI_SUBTYPE.UNDEFINED:
        raise ExportError(
            f"{os.fspath(path)}: the ROI {roi.name!r} is of type {roi.roitype.name}, not made of "
            "straight edges; in ImageJ, run Edit > Selection > Create Mask and Create Selection"
        )
    if roi.subpixelrect and not roi.composite:
        top, left, height, width = roi.yd, roi.xd, roi.heightd, roi.widthd
        right, bottom = left + width, top + height
        return [np.array([(top, left), (top, right), (bottom, right), (bottom, left)])]
    try:
        return [ring[:, ::-1] for ring in roi.coordinates(multi=True)]
    except NotImplementedError as error:
        raise ExportError(f"{os.fspath(path)}: the ROI {roi.name!r} has curves: {error}") from error


def _planes_of(roi: Any, image: LabelImage) -> list[tuple[int, ...]]:
    """List the planes that a ROI is drawn in."""
    if not image.plane_axes:
        return [()]
    wanted = {"T": roi.t_position, "Z": roi.z_position}
    if not any(wanted.values()) and roi.position:
        if roi.position > int(np.prod(image.plane_shape)):
            return []
        index = np.unravel_index(roi.position - 1, image.plane_shape)
        return [tuple(int(at) for at in index)]
    every = np.ndindex(*image.plane_shape)
    return [
        index
        for index in every
        if all(
            wanted[axis] in (0, at + 1) for axis, at in zip(image.plane_axes, index, strict=True)
        )
    ]
