"""A recorded session is done again without a screen, bit for bit, by the bundled model."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_pvpu import samples
from napari_pvpu.cli import app
from napari_pvpu.errors import JournalError
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.prompts import Box, Click, Scribble
from napari_pvpu.replay import read_recorded_image, replay
from napari_pvpu.segmenter import Segmenter
from pictures import seen

COINS = samples.load("coins").image[20:180, 10:190].copy()


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def annotate(session):
    """Annotate as one does in napari, answers late and all."""
    session.canvas_extent = 150.0
    session.add(Click((33, 37)))
    session.add(Scribble([(15, 5), (15, 70)], False))
    session.accept()
    request = session.request([Box((20, 60), (62, 110))])
    answer = session.compute(request)
    session.threshold = 0.45
    session.commit(answer)
    session.value_propagation = True
    session.add(Click((41, 86)))
    session.accept()
    session.open_object(1)
    session.add(Click((33, 52), False))
    session.smoothing = 1.0
    session.accept()
    session.grow(2, 1)
    session.undo()
    session.add(Click((100, 60)))


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter("pvpu-nano", device="cpu")


@pytest.fixture(scope="module")
def recorded(segmenter, tmp_path_factory):
    """A session, its file and its image's."""
    folder = tmp_path_factory.mktemp("recorded")
    session = segmenter.open(COINS)
    journal = Journal.create(folder / "coins.pvpu", session, COINS)
    annotate(session)
    journal.close()
    Image.fromarray(COINS).save(folder / "coins.png")
    return session, folder


def test_the_command_writes_the_same_labels_bit_for_bit(recorded, tmp_path):
    session, folder = recorded
    out = tmp_path / "deep" / "labels.tif"
    words = ["replay", folder / "coins.pvpu", "--image", folder / "coins.png", "--out", out]
    result = run(*words)
    labels = tifffile.imread(out)
    assert labels.dtype == session.labels.dtype
    assert np.array_equal(labels, session.labels)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert "2 objects from" in result.stdout


def test_a_fresh_model_comes_to_the_same_session(recorded):
    session, folder = recorded
    again = replay(read_journal(folder / "coins.pvpu"), COINS)
    assert seen(again) == seen(session)
    assert again.history == session.history


@pytest.mark.parametrize("damage", ["image", "file"])
def test_what_cannot_be_replayed_is_told_in_one_line(recorded, tmp_path, damage):
    _, folder = recorded
    image, file = folder / "coins.png", folder / "coins.pvpu"
    if damage == "image":
        image = tmp_path / "other.png"
        Image.fromarray(255 - COINS).save(image)
    else:
        file = tmp_path / "broken.pvpu"
        file.write_text("hello\n")
    out = tmp_path / "labels.tif"
    result = run("replay", file, "--image", image, "--out", out, code=2)
    (line,) = result.stderr.splitlines()
    assert ("made on another image" if damage == "image" else "no session file") in line
    assert not out.exists()


def test_other_weights_are_refused(recorded, segmenter):
    _, folder = recorded

    class Other:
        model_name, weights_id, view_size = segmenter.model_name, "0" * 32, segmenter.view_size

    with pytest.raises(JournalError, match="other weights"):
        replay(read_journal(folder / "coins.pvpu"), COINS, Other())


def test_weights_are_told_apart_by_their_numbers(segmenter):
    assert segmenter.weights_id == Segmenter("pvpu-nano", device="cpu").weights_id
    assert len(segmenter.weights_id) == 32


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_pictures_are_found_again_however_they_were_read(tmp_path, mode):
    from napari_pvpu.evaluation import dataset
    from napari_pvpu.export import reading
    from napari_pvpu.fingerprints import fingerprint

    path = tmp_path / "picture.png"
    Image.fromarray(np.stack([COINS, COINS, 255 - COINS], -1)).convert(mode).save(path)
    for read in (dataset.read_image, reading.read_image):
        image = read(path)
        assert np.array_equal(read_recorded_image(path, fingerprint(image)), image)
    with pytest.raises(JournalError, match="another image"):
        read_recorded_image(path, fingerprint(COINS[:9]))


def test_the_script_of_a_session_runs(recorded, tmp_path, monkeypatch):
    session, folder = recorded
    monkeypatch.setattr("sys.argv", ["script.py", str(folder / "coins.png")])
    names = {}
    exec(compile(session.to_python(), "script.py", "exec"), names)
    assert np.array_equal(names["session"].labels, session.labels)
    assert names["session"].history == session.history


def test_a_segmenter_opens_with_labels(segmenter):
    labels = np.zeros(COINS.shape, np.int64)
    labels[5:9, 5:9] = 70_001
    session = segmenter.open(COINS, labels=labels)
    assert np.array_equal(session.labels, labels)
    assert list(session.objects) == [70_001]


@pytest.mark.parametrize("seen_levels", [1, 3])
def test_a_pyramid_is_read_as_the_session_saw_it(segmenter, tmp_path, seen_levels):
    zarr = pytest.importorskip("zarr")
    full = np.kron(COINS, np.ones((8, 8), np.uint8))  # so large that its coarse levels are used
    pyramid = [full, full[::2, ::2], full[::4, ::4] // 2]  # not what one would make of the first
    group = zarr.open_group(str(tmp_path / "coins.zarr"), mode="w")
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = []
    for number, level in enumerate(pyramid):
        array = group.create_array(str(number), shape=level.shape, dtype="u1", chunks=(256, 256))
        array[:] = level
        scale = [{"type": "scale", "scale": [2.0**number] * 2}]
        datasets.append({"path": str(number), "coordinateTransformations": scale})
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    image = pyramid[:seen_levels]
    session = segmenter.open(image)
    journal = Journal.create(tmp_path / "session.pvpu", session, image)
    session.add(Box((200, 200), (336, 376)))
    session.add(Click((264, 296)))
    session.accept()
    journal.close()
    recorded = read_journal(tmp_path / "session.pvpu")
    header = recorded.header
    found = read_recorded_image(tmp_path / "coins.zarr", header["image"], header["levels"])
    assert len(found) == seen_levels if seen_levels > 1 else isinstance(found, list)
    assert all(isinstance(each, zarr.Array) for each in found), "and nothing that is not needed"
    run("replay", tmp_path / "session.pvpu", "--image", tmp_path / "coins.zarr",
        "--out", tmp_path / "labels.tif")  # fmt: skip
    assert np.array_equal(tifffile.imread(tmp_path / "labels.tif"), session.labels)
