"""Labels of images too large for an array: written and read back without making one."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr

from napari_pvpu import sparse_labels
from napari_pvpu.errors import ExportError
from napari_pvpu.export import (
    ObjectDetails,
    export_labels,
    measure,
    read_coco,
    read_geojson,
    read_imagej_rois,
    read_ome_zarr,
    read_tiff,
    sparse_files,
)
from napari_pvpu.sparse_labels import SparseLabels

SHAPE = (2, 1500, 1300)
READ = {
    "a.tif": read_tiff,
    "a.ome.zarr": read_ome_zarr,
    "a.zip": lambda path: read_imagej_rois(path, SHAPE),
    "a.json": read_coco,
    "a.geojson": lambda path: read_geojson(path, SHAPE),
}


def labels():
    """Return the same objects as tiles and as an array; one has a hole, one lies in two planes."""
    sparse, dense = SparseLabels(SHAPE), np.zeros(SHAPE, np.uint16)
    for each in (sparse, dense):
        each[0, 1000:1100, 1020:1030] = 3
        each[0, 1040:1050, 1023:1027] = 0
        each[1, 1005:1011, 250:260] = 3
        each[1, 1490:, 1290:] = 900
    return sparse, dense


@pytest.mark.parametrize("name", READ)
def test_tiles_read_back_as_the_same_pixels(name, tmp_path):
    sparse, dense = labels()
    about = {"scale": 0.5, "units": "um", "objects": {900: ObjectDetails(score=0.75)}}
    export_labels(tmp_path / name, sparse, axes="ZYX", **about)
    found = READ[name](tmp_path / name)
    assert np.array_equal(found.labels, dense)
    if name in ("a.tif", "a.ome.zarr"):
        assert (found.axes, found.scale[-2:], found.units[-1]) == ("ZYX", (0.5, 0.5), "micrometer")
    if name in ("a.ome.zarr", "a.json"):
        assert found.objects[900].score == 0.75


@pytest.mark.parametrize("name", ["a.tif", "a.ome.zarr"])
def test_large_labels_are_read_as_tiles(name, tmp_path, monkeypatch):
    sparse, dense = labels()
    export_labels(tmp_path / name, sparse, axes="ZYX", scale=0.5, units="um")
    monkeypatch.setattr(sparse_files, "MOST_READ_WHOLE", 1_000_000)
    found = READ[name](tmp_path / name)
    assert isinstance(found.labels, SparseLabels)
    assert found.labels.nbytes < dense.nbytes
    assert np.array_equal(found.labels[...], dense)
    assert (found.axes, found.scale[-2:]) == ("ZYX", (0.5, 0.5))


def test_large_labels_of_other_programs_are_read_as_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_files, "MOST_READ_WHOLE", 1_000_000)
    dense = np.zeros((1500, 1300), np.int32)
    dense[1400:, 3:9] = 70_000
    tifffile.imwrite(tmp_path / "a.tif", dense, compression="zlib", tile=(256, 256))
    found = read_tiff(tmp_path / "a.tif").labels
    assert (type(found), found.dtype) == (SparseLabels, np.uint32)
    assert np.array_equal(found[...], dense)
    dense[0, 0] = -3
    tifffile.imwrite(tmp_path / "b.tif", dense)
    with pytest.raises(ExportError, match="-3"):
        read_tiff(tmp_path / "b.tif")


def test_objects_are_measured_as_in_an_array():
    sparse, dense = labels()
    image = np.random.default_rng(0).integers(0, 999, (2, *SHAPE), np.uint16)
    about = {"axes": "ZYX", "scale": (2, 0.5, 0.25), "units": "um", "channel_axis": 0}
    one, two = measure(sparse, image, **about), measure(dense, image, **about)
    assert list(one) == list(two)
    for name, column in one.items():
        assert column == pytest.approx(two[name], nan_ok=True), name


@pytest.mark.parametrize("name", READ)
def test_a_huge_image_is_written_without_an_array_of_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_labels, "MOST_DENSE", 2**21)  # a larger array would raise
    huge = SparseLabels((20_000, 30_000))
    huge[19_990:20_000, 5:25] = 7
    export_labels(tmp_path / name, huge)
    if name == "a.tif":
        with tifffile.TiffFile(tmp_path / name) as file:
            page = file.pages[0]
            assert file.is_bigtiff
            assert (page.shape, page.tile) == ((20_000, 30_000), (1024, 1024))
            last = page.decode(
                file.filehandle.read_segments(
                    page.dataoffsets[-30:-29], page.databytecounts[-30:-29]
                ).__next__()[0],
                len(page.dataoffsets) - 30,
            )[0]
            assert int((np.asarray(last) == 7).sum()) == 200
    elif name == "a.ome.zarr":
        group = zarr.open_group(str(tmp_path / name / "labels" / "labels"))
        assert group["0"].shape == (20_000, 30_000)
        assert group["0"].nchunks_initialized == 1
        assert (group["0"][19_985:, :30] == 7).sum() == 200
        assert max(group["5"].shape) <= 1024
        assert group["5"][-2:, :2].max() == 7
    else:
        assert (tmp_path / name).stat().st_size < 5000


def test_a_series_of_a_terabyte_is_no_tiff(tmp_path):
    huge = SparseLabels((200, 100, 8_000, 8_000))
    huge[150, 40, 5, 5] = 1
    with pytest.raises(ExportError, match=r"too large for TIFF.*OME-Zarr"):
        export_labels(tmp_path / "a.tif", huge)
    assert not list(tmp_path.iterdir())
    export_labels(tmp_path / "a.ome.zarr", huge)
    found = zarr.open_group(str(tmp_path / "a.ome.zarr" / "labels" / "labels"))["0"]
    assert (found.nchunks_initialized, int(found[150, 40, 5, 5])) == (1, 1)
