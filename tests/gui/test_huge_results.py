"""Accepted objects of images too large for an array, in layers of napari."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from lazy_arrays import ChunkedArray
from napari_pvpu import Click, attach
from napari_pvpu.napari_side.frame import Frame
from napari_pvpu.napari_side.result_layers import Results
from napari_pvpu.sparse_labels import SparseLabels

SIDE = 100_000
BOX = (70_000, 30_000, 70_040, 30_060)


def disks(factor):
    def values(rows, cols):
        down, across = ((each * factor) % 200 - 100 for each in (rows, cols))
        return np.where(np.hypot(down, across) < 24, 220, 30)

    return values


class Level(ChunkedArray):
    """A level of a pyramid; napari makes an array of the smallest one."""

    @property
    def size(self):
        return int(np.prod(self.shape))

    def __array__(self, *args, **kwargs):
        assert self.size < 1e6
        return self[:, :]


def huge_layer():
    """Return an image as a pyramid, of which only what is looked at is made."""
    factors = [2**n for n in range(8)]
    levels = [Level((-(-SIDE // f), -(-SIDE // f)), (512, 512), disks(f), "uint8") for f in factors]
    return Image(levels, name="huge", multiscale=True, contrast_limits=(0, 255))


def write(results, labels, boxes):
    results.update(labels, {number: {plane: box} for number, (plane, box) in boxes.items()})


def test_a_huge_plane_becomes_a_pyramid_that_shows_what_is_written():
    viewer = ViewerModel()
    viewer.add_layer(huge_layer())
    results = Results(Frame(viewer.layers["huge"]))
    viewer.add_layer(results.layer)
    assert results.layer.multiscale
    labels = SparseLabels((SIDE, SIDE))
    labels[BOX[0] : BOX[2], BOX[1] : BOX[3]] = 4
    write(results, labels, {4: ((), BOX)})
    smallest = results.layer.data[-1]
    assert smallest[70_020 // 128, 30_030 // 128] == 4, "seen from far away, too"
    full = results.layer.data[0]
    assert full[70_000:70_040, 30_000:30_060].min() == 4
    assert full.counts() == {4: 2400}
    labels[BOX[0] : BOX[2], BOX[1] : BOX[3]] = 0
    write(results, labels, {})
    assert full.counts() == {}
    assert not smallest.any()
    labels = labels.astype(np.uint32)
    labels[5, 5] = 70_000
    write(results, labels, {70_000: ((), (5, 5, 6, 6))})
    assert results.layer.data[0][5, 5] == 70_000
    assert results.layer.dtype == np.uint32


def test_a_long_series_of_small_planes_can_be_painted_on():
    picture = Image(
        ChunkedArray((9000, 300, 400), (1, 300, 400), lambda t, r, c: t + 0 * r * c, "uint8"),
        contrast_limits=(0, 255),
        name="series",
    )
    viewer = ViewerModel()
    viewer.add_layer(picture)
    results = Results(Frame(picture, "TYX"))
    viewer.add_layer(results.layer)
    assert isinstance(results.layer.data, SparseLabels)
    assert not results.layer.multiscale
    viewer.dims.set_point(0, 8000)
    labels = SparseLabels((9000, 300, 400))
    labels[8000, 10:20, 10:20] = 3
    write(results, labels, {3: ((8000,), (10, 10, 20, 20))})
    assert results.layer.get_value((8000, 15, 15), world=True) == 3
    results.layer.paint((8000, 100, 100), 9)
    assert results.layer.data[8000, 100, 100] == 9
    results.layer.undo()
    assert results.layer.data[8000, 100, 100] == 0
    results.layer.undo()
    assert results.layer.data.counts() == {}, "accepting was one step"


@pytest.mark.gui
def test_a_huge_image_is_annotated_in_napari(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    image = viewer.add_layer(huge_layer())
    controller = attach(viewer)
    assert controller.wait()
    assert controller.trouble is None
    viewer.scene.camera.center = (60_000, 70_000)
    viewer.scene.camera.zoom = 2
    controller.add(Click((60_100, 70_100)))
    assert controller.wait()
    session = controller.session
    object_id = controller.accept()
    layer = viewer.layers["huge objects"]
    assert layer.multiscale
    assert layer.data[0].counts() == session.labels.counts()
    assert layer.data[0].counts()[object_id] > 0
    controller.undo()
    assert controller.wait()
    assert layer.data[0].counts() == {}
    assert image.data[0].pixels < 5e7
