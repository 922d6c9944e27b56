"""An image file that is damaged or goes away while it is worked on in napari."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pvpu import Click, attach

pytestmark = pytest.mark.gui

zarr = pytest.importorskip("zarr")

ONE, TWO = (30.0, 40.0), (60.0, 730.0)


@pytest.fixture
def folder(tmp_path, blobs):
    wide = np.tile(blobs, (1, 6))  # so that what is seen of one end tells nothing of the other
    array = zarr.create_array(
        tmp_path / "image.zarr", shape=wide.shape, chunks=(32, 32), dtype=wide.dtype
    )
    array[:] = wide
    return tmp_path / "image.zarr"


def test_work_goes_on_when_the_image_is_back(make_napari_viewer, folder, notices) -> None:
    viewer = make_napari_viewer(strict_qt="raise")
    viewer.add_image(zarr.open_array(folder, mode="r"), name="far away")
    controller = attach(viewer)
    controller.add(Click(ONE))
    assert controller.accept() == 1
    labels = np.array(viewer.layers["far away objects"].data)
    away = folder.rename(folder.with_name("elsewhere.zarr"))
    controller.add(Click(TWO))
    assert controller.wait()
    assert "image.zarr is not there any more; put it back" in notices()[-1]
    assert controller.workspace.prompts.read() == controller.session.prompts == ()
    np.testing.assert_array_equal(viewer.layers["far away objects"].data, labels)
    away.rename(folder)
    controller.add(Click(TWO))
    assert controller.wait()
    assert controller.session.mask[60, 730]
    controller.overlap = "overwrite"
    assert controller.accept() == 2


def test_damaged_chunk_is_told_and_hinders_no_export(
    make_napari_viewer, folder, notices, tmp_path
) -> None:
    viewer = make_napari_viewer(strict_qt="raise")
    viewer.add_image(zarr.open_array(folder, mode="r"), name="old disk")
    controller = attach(viewer)
    controller.add(Click(ONE))
    assert controller.accept() == 1
    for chunk in (folder / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    controller.add(Click(TWO))
    assert controller.wait()
    assert "cannot be read" in notices()[-1]
    assert controller.session.prompts == ()
    controller.undo()
    controller.redo()
    controller.export(tmp_path / "labels.tif")
    assert controller.wait()
    assert (tmp_path / "labels.tif").exists()
