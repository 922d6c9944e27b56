"""Python of the guide that is written for napari's console, run in a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Labels

from documentation import blocks, name_of, pages, run_python
from napari_pvpu import attach, samples

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.gui

for_a_viewer = [
    page
    for page in pages()
    if any(block.language == "python" and "viewer" in block.text for block in blocks(page))
]


@pytest.mark.parametrize("page", for_a_viewer, ids=name_of)
def test_console_blocks_run(
    page: Path, make_napari_viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    viewer = make_napari_viewer(show=True)
    coins = samples.load("coins")
    viewer.add_image(coins.image, name="coins")
    viewer.add_layer(Labels(np.array(coins.truth), name="cellpose"))
    controller = attach(viewer)
    assert controller.wait()
    names = {"viewer": viewer}
    for block in blocks(page):
        if block.language == "python" and "viewer" in block.text:
            run_python(block.text, names)
            assert controller.wait()
    assert controller.session.labels.any()
    controller.close()
