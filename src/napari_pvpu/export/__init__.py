"""Labels in the formats of other programs, and back, with the very same pixels.

Every ``write_X(path, labels, ...)`` takes an array of labels, or a `LabelImage`, and writes a whole
file or none; every ``read_X(path, ...)`` gives a `LabelImage`. Libraries that a format needs beyond
the base install come with ``pip install napari-pvpu[export]``.
"""

from __future__ import annotations

from napari_pvpu.export.coco import read_coco, write_coco
from napari_pvpu.export.formats import FORMATS, Format, export_labels, format_of
from napari_pvpu.export.geojson import read_geojson, write_geojson
from napari_pvpu.export.imagej_rois import read_imagej_rois, write_imagej_rois
from napari_pvpu.export.label_image import LabelImage, ObjectDetails, as_label_image
from napari_pvpu.export.ome_zarr import read_ome_zarr, write_ome_zarr
from napari_pvpu.export.reading import read_label_image
from napari_pvpu.export.table import as_features, measure, read_table, write_table
from napari_pvpu.export.tiff import read_tiff, write_tiff

__all__ = [
    "FORMATS",
    "Format",
    "LabelImage",
    "ObjectDetails",
    "as_features",
    "as_label_image",
    "export_labels",
    "format_of",
    "measure",
    "read_coco",
    "read_geojson",
    "read_imagej_rois",
    "read_label_image",
    "read_ome_zarr",
    "read_table",
    "read_tiff",
    "write_coco",
    "write_geojson",
    "write_imagej_rois",
    "write_ome_zarr",
    "write_table",
    "write_tiff",
]
