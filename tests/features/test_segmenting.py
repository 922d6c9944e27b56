"""Segmenting many images by prompts: what is written, passed over, told, and survived."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_pvpu.cli import app
from napari_pvpu.export import FORMATS, read_label_image
from napari_pvpu.features import segmenting
from napari_pvpu.segmenter import Segmenter
from small_presets import made_up_scene


@pytest.fixture
def folder(tmp_path):
    """Three images, one of them a stack, and a file that is none."""
    images = tmp_path / "images"
    images.mkdir()
    scene = made_up_scene()[0]
    Image.fromarray(scene).save(images / "a.png")
    Image.fromarray(np.ascontiguousarray(scene[::-1])).save(images / "b.png")
    tifffile.imwrite(
        images / "stack.tif",
        np.stack([scene] * 3),
        photometric="minisblack",
        metadata={"axes": "ZYX"},
    )
    (images / "broken.tif").write_bytes(b"no image")
    return images


@pytest.fixture
def run(weights, folder, tmp_path):
    """Run the command on the folder with a table of these lines."""

    def run(table, *options):
        path = tmp_path / "prompts.csv"
        path.write_text(table, "utf-8")
        words = ["segment", str(folder), "--prompts", str(path), "--out", str(tmp_path / "out")]
        words += ["--model", weights, "--device", "cpu", "--store", str(tmp_path / "store")]
        words += ["--report", str(tmp_path / "report.json"), *options]
        result = CliRunner().invoke(app, words)
        report = None
        if (tmp_path / "report.json").exists():
            report = json.loads((tmp_path / "report.json").read_text())
        return result, report

    return run


TABLE = """image,object,polarity,plane,row,col
a.png,5,,,30,30
a.png,5,negative,,60,60
a.png,2,,,70,20
b,1,,,30,30
stack.tif,1,,2,30,30
"""


def test_prompts_become_labels_of_each_image_and_faults_are_told(run, tmp_path):
    table = TABLE + "a.png,7,,,oops,3\nmissing.png,1,,,3,3\na.png,9,,,9999,3\n"
    result, report = run(table, "--report", str(tmp_path / "report.md"))
    assert result.exit_code == 1
    assert set(np.unique(tifffile.imread(tmp_path / "out" / "a.labels.tif"))) == {0, 2, 5}
    stack = tifffile.imread(tmp_path / "out" / "stack.labels.tif")
    assert stack.shape[0] == 3
    assert stack[2, 30, 30] == 1
    assert not stack[:2].any()
    by_name = {each["image"].rsplit("/", 1)[1]: each for each in report["images"]}
    assert [by_name[n]["objects"] for n in ("a.png", "b.png", "stack.tif")] == [2, 1, 1]
    assert "no prompt" in by_name["broken.tif"]["problems"][0]
    assert by_name["a.png"]["problems"][0].startswith("object 9: ")
    assert report["problems"] == [
        "line 7: column row: 'oops' is no number",
        "there is no image 'missing.png' among those given",
    ]
    assert "line 7" in result.output
    assert "line 7" in (tmp_path / "report.md").read_text()


def test_labels_are_those_of_a_session(run, tmp_path, weights, folder):
    run(TABLE)
    from napari_pvpu import Click

    session = Segmenter(weights, device="cpu", store=tmp_path / "other").open(
        np.asarray(Image.open(folder / "a.png"))
    )
    session.add(Click((30, 30)))
    session.add(Click((60, 60), positive=False))
    session.accept()
    session.add(Click((70, 20)))
    session.accept()
    labels = tifffile.imread(tmp_path / "out" / "a.labels.tif")
    assert np.array_equal(labels == 5, session.labels == 1)
    assert np.array_equal(labels == 2, session.labels == 2)


def test_it_goes_on_where_it_was_stopped_and_sees_changes(run, tmp_path, monkeypatch):
    run(TABLE)
    before = (tmp_path / "out" / "a.labels.tif").stat().st_mtime_ns
    (tmp_path / "out" / "b.labels.tif").unlink()
    _, report = run(TABLE + "stack.tif,2,,0,30,30\n")
    found = {each["image"].rsplit("/", 1)[1]: each["found"] for each in report["images"]}
    assert found == {"a.png": True, "b.png": False, "broken.tif": False, "stack.tif": False}
    assert (tmp_path / "out" / "a.labels.tif").stat().st_mtime_ns == before
    assert tifffile.imread(tmp_path / "out" / "stack.labels.tif").max() == 2


def test_what_labels_depend_on_is_noticed_in_folders_and_weights(tmp_path, monkeypatch):
    store = tmp_path / "image.zarr"
    (store / "c" / "0").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    before = segmenting._stamp(store)
    (store / "c" / "0" / "0").write_bytes(b"chunk")
    assert segmenting._stamp(store) != before
    model = tmp_path / "w.safetensors"
    model.write_bytes(b"one")
    one = segmenting._weights_sum(str(model))
    segmenting._weights_sum.cache_clear()
    model.write_bytes(b"two")
    assert segmenting._weights_sum(str(model)) != one
    assert segmenting._weights_sum("pvpu-nano") is not None
    assert segmenting._weights_sum("no such model") is None


def test_one_broken_image_does_not_stop_the_rest(run):
    result, report = run("row,col\n30,30\n")  # without a name: for every image
    assert result.exit_code == 1
    assert report["failed"] == 1
    assert [each["objects"] for each in report["images"]] == [1, 1, 0, 1]
    assert "broken.tif" in result.output


def test_an_image_of_which_no_object_could_be_made_tells_why(run, tmp_path):
    result, report = run("image,row,col\na.png,9999,3\n")
    told = report["images"][0]
    assert told["error"] == "none of its objects could be made"
    assert "outside" in told["problems"][0]
    assert "outside" in result.output
    assert not list((tmp_path / "out").glob("a*"))


@pytest.mark.parametrize("name", [each for each in FORMATS if each in ("ome-zarr", "geojson")])
def test_labels_are_written_in_other_formats(run, tmp_path, name):
    result, _ = run("image,row,col\na.png,30,30\nb.png,30,30\n", "--format", name)
    suffix = {"ome-zarr": ".ome.zarr", "geojson": ".geojson"}[name]
    assert (tmp_path / "out" / f"a{suffix}").exists(), result.output
    if name == "ome-zarr":
        assert read_label_image(tmp_path / "out" / f"a{suffix}").labels[30, 30] == 1


def test_several_workers_write_the_same(run, tmp_path):
    run(TABLE)
    one = tifffile.imread(tmp_path / "out" / "a.labels.tif")
    (tmp_path / "out" / "a.labels.tif").unlink()
    (tmp_path / "out" / "b.labels.tif").unlink()
    _, report = run(TABLE, "--workers", "2")
    assert report["workers"] == 2
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.labels.tif"), one)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--click", "3,4"], "prompts come from --prompts, or", id="both"),
        pytest.param(["--format", "doc"], "there is no format", id="format"),
        pytest.param(["--workers", "2", "--scheduler", "tcp://a:1"], "give one", id="workers"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, options, message):
    result, _ = run(TABLE, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_a_cluster_makes_the_same_labels_tells_the_same_faults_and_goes_on(run, tmp_path):
    distributed = pytest.importorskip("distributed")
    table = TABLE + "a.png,9,,,9999,3\n"
    _, here = run(table)
    wanted = {p.name: tifffile.imread(p) for p in (tmp_path / "out").glob("*.tif")}
    (tmp_path / "out").rename(tmp_path / "made here")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None,
        protocol="tcp://", host="127.0.0.1",
    ) as cluster:  # fmt: skip
        result, there = run(table, "--scheduler", cluster.scheduler_address)
        _, again = run(table, "--scheduler", cluster.scheduler_address)
    assert result.exit_code == 1
    assert there["workers"] == 2
    made = {p.name: tifffile.imread(p) for p in (tmp_path / "out").glob("*.tif")}
    assert set(made) == {"a.labels.tif", "b.labels.tif", "stack.labels.tif"}
    assert all(np.array_equal(made[name], wanted[name]) for name in wanted)
    for name in ("image", "objects", "problems", "error"):
        assert [each[name] for each in there["images"]] == [each[name] for each in here["images"]]
    assert [each["found"] for each in again["images"]] == [True, True, False, True]


def test_no_cluster_is_told_before_anything_is_written(run, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_pvpu.features.embedding._CONNECT_SECONDS", 1)
    result, report = run(TABLE, "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 2
    assert "no dask scheduler at tcp://127.0.0.1:9" in " ".join(result.output.split())
    assert report is None
    assert not list((tmp_path / "out").glob("*.tif"))


def test_an_image_whose_views_are_in_the_store_never_needs_the_encoder(
    weights, folder, tmp_path, monkeypatch
):
    """A weak laptop opens what a workstation has encoded ahead, at the scales that it looks at."""
    from napari_pvpu import Box, Click
    from napari_pvpu.source import ImageSource

    def annotate(segmenter):
        session = segmenter.open(np.asarray(Image.open(image)))
        masks = []
        for row, col in ((10, 10), (40, 45)):
            session.add(Box((row, col), (row + 40, col + 40)))
            session.add(Click((row + 20, col + 20)))
            masks.append(session.mask)
            session.reset()
        return masks

    image, store, scales = folder / "a.png", str(tmp_path / "store"), set()
    read_view = ImageSource.read_view

    def noting(source, view):
        scales.add(view.extent / view.size)
        return read_view(source, view)

    with monkeypatch.context() as patch:
        patch.setattr(ImageSource, "read_view", noting)
        wanted = annotate(Segmenter(weights, device="cpu", store=tmp_path / "other"))
    words = ["embed", str(image), "--model", weights, "--device", "cpu", "--store", store]
    done = CliRunner().invoke(app, [*words, "--scales", *map(str, sorted(scales))])
    assert done.exit_code == 0, done.output

    def broken(*_):
        raise AssertionError("the encoder ran")

    segmenter = Segmenter(weights, device="cpu", store=store)
    monkeypatch.setattr(segmenter._encoder._runner, "encode", broken)
    masks = annotate(segmenter)
    assert np.array_equal(masks, wanted)
    assert wanted[0].any()
    other = np.asarray(Image.open(folder / "b.png"))
    with pytest.raises(AssertionError, match="the encoder ran"):
        segmenter.open(other).add(Box((10, 10), (50, 50)))
