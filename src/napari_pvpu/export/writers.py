"""napari's *Save Layers* for Labels: what the manifest names as writers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.formats import FORMATS
from napari_pvpu.export.label_image import LabelImage, ObjectDetails, as_label_image
from napari_pvpu.export.table import write_table
from napari_pvpu.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Layer = tuple[Any, dict[str, Any], str]

__all__ = [
    "from_layer",
    "save_coco",
    "save_coco_rle",
    "save_geojson",
    "save_imagej_rois",
    "save_ome_zarr",
    "save_table",
    "save_tiff",
]

# Columns of a layer's features that go with the objects, as they are called by us and others.
_CATEGORIES = ("category", "class", "label_name")
_MANY_COLOURS = 10_000
# Formats that keep colours.
_COLOURED = ("ome-zarr", "geojson")


def save_tiff(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as TIFF."""
    return _save("tiff", path, data, meta)


def save_ome_zarr(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as OME-Zarr labels."""
    return _save("ome-zarr", path, data, meta)


def save_imagej_rois(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as a zip of ImageJ ROIs."""
    return _save("imagej", path, data, meta)


def save_coco(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as COCO JSON."""
    return _save("coco", path, data, meta)


def save_coco_rle(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as COCO JSON with run lengths, in which objects may have holes."""
    return _save("coco-rle", path, data, meta)


def save_geojson(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a Labels layer as GeoJSON for QuPath."""
    return _save("geojson", path, data, meta)


def save_table(path: str, layers: list[Layer]) -> list[str]:
    """Save measurements of a Labels layer, with intensities of the images saved with it.

    Parameters
    ----------
    path : str
        Of the CSV.
    layers : list of (data, meta, type)
        One of labels, and any number of images of the same shape.

    Returns
    -------
    list of str
        The path.
    """
    data, meta = next(layer[:2] for layer in layers if layer[2] == "labels")
    labels = from_layer(data, meta)
    channels: list[Any] = []
    names: list[str] = []
    for values, described, kind in layers:
        if kind != "image":
            continue
        pixels = np.asarray(values[0] if described.get("multiscale") else values)
        name = str(described.get("name", len(names)))
        rgb = bool(described.get("rgb"))
        if pixels.shape[: pixels.ndim - rgb] != (*labels.plane_shape, *labels.shape):
            raise ExportError(
                f"the image {name!r} of shape {pixels.shape} does not go with labels of shape "
                f"{(*labels.plane_shape, *labels.shape)}; select images of that shape"
            )
        if rgb:
            channels += [pixels[..., number] for number in range(3)]
            names += [f"{name} {colour}" for colour in ("red", "green", "blue")]
        else:
            channels.append(pixels)
            names.append(name)
    image = np.stack(channels, axis=-1) if channels else None
    write_table(path, labels, image, channel_axis=-1 if channels else None, channel_names=names)
    return [path]


def _save(name: str, path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    FORMATS[name].write(path, from_layer(data, meta, colours=name in _COLOURED))
    return [path]


def from_layer(data: Any, meta: Mapping[str, Any], *, colours: bool = False) -> LabelImage:
    """Take labels and their description from a layer of napari.

    Parameters
    ----------
    data : array, or levels of a multiscale layer
        The layer's; the largest level counts.
    meta : mapping
        The layer's attributes, as ``layer.as_layer_data_tuple()`` gives them. Axes are those of
        ``axis_labels`` if these are letters such as t, z, y, x; scores, numbers of prompts and
        classes are read from ``features`` with a column ``index``.
    colours : bool
        Whether to ask for the colour that each label is shown in, which takes a look at all pixels.

    Returns
    -------
    LabelImage

    Raises
    ------
    ExportError
        When the labels do not fit.
    """
    labels = data[0] if meta.get("multiscale") else data
    letters = "".join(str(label) for label in meta.get("axis_labels") or ()).upper()
    known = re.fullmatch("T?Z?YX", letters) and len(letters) == labels.ndim
    units = meta.get("units")
    image = as_label_image(
        labels,
        axes=letters if known else None,
        scale=meta.get("scale"),
        units=units if units is None or isinstance(units, str) else [str(each) for each in units],
        name=str(meta.get("name", "")),
    )
    objects = _from_features(meta.get("features"))
    shown = _colours(image, meta.get("colormap")) if colours else {}
    details = {
        label: ObjectDetails(*objects.get(label, (None, None, None)), shown.get(label))
        for label in sorted(shown.keys() | objects.keys())
    }
    return as_label_image(image, objects=details)


def _from_features(features: Any) -> dict[int, tuple[Any, Any, Any]]:
    if features is None or "index" not in features:
        return {}
    count = len(features["index"])
    categories = next((features[name] for name in _CATEGORIES if name in features), [None] * count)
    columns = [
        [None] * count if column is None else [_known(value) for value in column]
        for column in (features.get("score"), features.get("prompts"), categories)
    ]
    return {
        int(label): (
            None if score is None else float(score),
            None if prompts is None else int(prompts),
            None if category is None else str(category),
        )
        for label, score, prompts, category in zip(features["index"], *columns, strict=True)
        if label > 0
    }


def _known(value: Any) -> Any:
    """Return None for what a table has where it has nothing."""
    missing = value is None or value == "" or value != value  # NaN equals nothing
    return None if missing else value


def _colours(image: LabelImage, colormap: Any) -> dict[int, tuple[int, int, int]]:
    """Ask a layer's colormap which colours its labels are shown in."""
    if not hasattr(colormap, "map"):
        return {}
    labels: Sequence[int]
    if isinstance(image.labels, SparseLabels):
        labels = list(image.labels.counts())
    else:
        labels = np.unique(np.asarray(image.labels)).tolist()
    if len(labels) > _MANY_COLOURS:
        return {}
    shown = np.atleast_2d(colormap.map(np.array(labels)))
    return {
        label: (round(255 * float(r)), round(255 * float(g)), round(255 * float(b)))
        for label, (r, g, b, _) in zip(labels, shown, strict=True)
        if label
    }
