"""Encoding ahead: the views, the files, the workers and the report."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from napari_pvpu import cli_embed
from napari_pvpu.cli import app
from napari_pvpu.errors import ClusterError, ConfigError, DatasetError, ImageError
from napari_pvpu.features import image_files
from napari_pvpu.features.embedding import (
    EmbedReport,
    embed_images,
    jobs_for,
    on_cluster,
)
from napari_pvpu.features.image_files import find_images, open_image, read_image_file
from napari_pvpu.features.precompute import (
    Embedded,
    EmbedSettings,
    Job,
    embed_part,
    extents_for,
    grid_views,
)
from napari_pvpu.features.store import FeatureStore
from napari_pvpu.features.store_files import stored_files
from napari_pvpu.prompts import Click
from napari_pvpu.segmenter import Segmenter
from napari_pvpu.view_choice import first_views
from small_presets import made_up_scene

lengths = st.integers(1, 700)


@pytest.fixture
def folder(tmp_path):
    """Three images and a file that is none."""
    images = tmp_path / "images"
    images.mkdir()
    scene = made_up_scene()[0]
    Image.fromarray(scene).save(images / "a.png")
    np.save(images / "b.npy", scene[:80, ::-1])
    tifffile.imwrite(images / "c.tif", np.stack([scene, 255 - scene]), metadata={"axes": "ZYX"})
    (images / "d.png").write_bytes(b"no picture")
    return images


@pytest.fixture
def settings(weights, tmp_path):
    return EmbedSettings(weights, "cpu", store=str(tmp_path / "store"), scales=(1.0,))


@given(rows=lengths, cols=lengths, at=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_every_view_of_a_first_click_is_among_those_of_its_extent(rows, cols, at):
    click = Click((at[0] * (rows - 1), at[1] * (cols - 1)))
    for view in first_views([click], (rows, cols), 64)[:3]:
        if (rows * cols) / view.extent**2 < 100:
            assert view in set(grid_views((rows, cols), view.extent, 64))


def test_the_grid_of_a_small_plane():
    views = list(grid_views((128, 64), 64, 64))
    assert {view.row for view in views} == {0, 16, 32, 48, 64}
    assert {view.col for view in views} == {0}
    assert len(views) == 5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scales": (1.0, 2.0)}, [256, 128]),
        ({"scales": (1.1, 0.9)}, [128]),
        ({"object_lengths": (77.0,)}, [128]),
        ({"object_lengths": (20.0,), "scales": (4.0,)}, [512, 32]),
        ({}, [512, 256, 128, 64]),
    ],
    ids=["scales", "rounded", "object", "both", "click"],
)
def test_extents(changes, expected):
    assert extents_for(EmbedSettings(**changes), (512, 512), 128) == expected


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_are_positive(number):
    with pytest.raises(ConfigError, match="positive numbers"):
        extents_for(EmbedSettings(scales=(number,)), (512, 512), 128)


def test_folders_are_searched(folder, tmp_path):
    names = [path.name for path in find_images([folder, folder / "a.png"])]
    assert names == ["a.png", "b.npy", "c.tif", "d.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="there is no image in"):
        find_images([tmp_path / "empty"])


def test_files_are_opened_with_their_axes(folder):
    assert open_image(folder / "c.tif").plane_shape == (2,)
    assert open_image(folder / "c.tif", axes="TYX").plane_axes == "T"
    assert open_image(folder / "b.npy").shape == (80, 96)
    with pytest.raises(ImageError, match="there is no file"):
        open_image(folder / "e.png")


def test_a_zarr_is_opened_with_all_its_levels(tmp_path):
    zarr = pytest.importorskip("zarr")
    scene = made_up_scene()[0]
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w")
    for name, values in (("0", scene), ("1", scene[::2, ::2])):
        group.create_array(name, data=values)
    datasets = [
        {"path": name, "coordinateTransformations": [{"type": "scale", "scale": [k, k]}]}
        for name, k in (("0", 1.0), ("1", 2.0))
    ]
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    assert find_images([tmp_path]) == [tmp_path / "x.zarr"]
    source = open_image(tmp_path / "x.zarr")
    assert (source.shape, source.axes) == ((96, 96), "YX")
    assert len(source._levels) == 2


def test_a_plain_zarr_array_is_opened_and_one_without_metadata_is_told(tmp_path):
    zarr = pytest.importorskip("zarr")
    scene = made_up_scene()[0]
    names = ("time", "y", "x")
    zarr.create_array(tmp_path / "a.zarr", data=np.stack([scene] * 3), dimension_names=names)
    zarr.create_array(tmp_path / "b.zarr", data=scene, zarr_format=2)
    (tmp_path / "c.zarr" / "c" / "0").mkdir(parents=True)
    found = find_images([tmp_path])
    assert [path.name for path in found] == ["a.zarr", "b.zarr", "c.zarr"]
    assert open_image(found[0]).plane_axes == "T"
    assert open_image(found[1]).shape == (96, 96)
    with pytest.raises(ImageError, match=r"c\.zarr cannot be read as a zarr"):
        open_image(found[2])


@pytest.mark.parametrize("levels", [0, 1], ids=["one level", "pyramid"])
def test_a_large_tiff_is_read_as_it_is_looked_at(tmp_path, monkeypatch, levels):
    zarr = pytest.importorskip("zarr")
    scene = np.tile(made_up_scene()[0], (4, 4))
    path = tmp_path / "large.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(scene, tile=(64, 64), subifds=levels, metadata={"axes": "YX"})
        for _ in range(levels):
            file.write(scene[::2, ::2], tile=(64, 64), subfiletype=1)
    assert isinstance(read_image_file(path).image, np.ndarray), "a small one is read at once"
    monkeypatch.setattr(image_files, "LARGE", 1000)
    found = read_image_file(path)
    arrays = found.image if levels else [found.image]
    assert [array.shape for array in arrays] == [(384, 384), (192, 192)][: levels + 1]
    assert all(isinstance(array, zarr.Array) for array in arrays)
    assert found.axes == "YX"
    np.testing.assert_array_equal(arrays[0][100:110, 30:40], scene[100:110, 30:40])


def test_work_is_shared_out_even_with_fewer_images_than_workers():
    assert jobs_for(["a", "b", "c"], 2) == [Job("a"), Job("b"), Job("c")]
    assert jobs_for(["a"], 3) == [Job("a", part, 3) for part in range(3)]


def test_parts_make_up_the_whole_and_nothing_is_done_twice(folder, settings):
    image = str(folder / "c.tif")
    parts = [embed_part(Job(image, part, 3), settings) for part in range(3)]
    again = embed_part(Job(image), settings)
    assert [part.error for part in (*parts, again)] == [None] * 4
    assert sum(part.encoded for part in parts) == again.found > 0
    assert again.encoded == 0


def test_sessions_find_what_was_encoded_ahead(folder, settings):
    ahead = replace(settings, scales=(0.7, 1.4))
    assert not embed_images([folder / "c.tif"], ahead).failed
    segmenter = Segmenter(settings.model, "cpu", store=settings.store)
    session = segmenter.open(tifffile.imread(folder / "c.tif"), axes="ZYX")
    ran = {}
    for plane, position in (((0,), (26, 26)), ((1,), (67, 27))):
        for view in first_views([Click(position)], (96, 96), segmenter.view_size):
            pixels = session.source.at(plane).read_view(view)
            ran.setdefault(view.extent, []).append(segmenter._encoder.embed(pixels))
    assert {extent for extent, each in ran.items() if not any(each)} == {45, 91}
    assert len(ran) > 3


def test_a_bad_image_stops_no_other(folder, settings):
    told = []
    report = embed_images(find_images([folder]), settings, progress=told.append)
    assert [image.error is None for image in report.images] == [True, True, True, False]
    assert "d.png cannot be read" in report.failed[0].error
    assert len(told) == 4
    assert all(image.encoded > 0 for image in report.images[:3])


def test_a_store_that_is_full_of_this_work_is_told(folder, settings):
    FeatureStore(settings.store).limit = 100_000
    (image,) = embed_images([folder / "c.tif"], settings).images
    assert "is full" in image.error
    assert 0 < sum(file.size for file in stored_files(FeatureStore(settings.store).folder)) <= 1e5


def test_an_unknown_model_stops_everything(folder, settings, tmp_path):
    from napari_pvpu.errors import ModelNotFoundError

    wrong = EmbedSettings(str(tmp_path / "none"), store=settings.store)
    with pytest.raises(ModelNotFoundError):
        embed_images([folder / "a.png"], wrong)


def test_a_cluster_does_the_same(folder, settings):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        client = distributed.Client(cluster, set_as_default=False)
        jobs = jobs_for([str(folder / "a.png"), str(folder / "d.png")], 1)
        done = {part.image: part for part in on_cluster(jobs, settings, client)}
    assert done[str(folder / "a.png")].encoded > 0
    assert "cannot be read" in done[str(folder / "d.png")].error


def test_a_cluster_that_goes_while_jobs_are_handed_over_is_told(folder, settings, monkeypatch):
    distributed = pytest.importorskip("distributed")
    jobs = jobs_for([str(folder / "a.png"), str(folder / "d.png")], 1)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        client = distributed.Client(cluster, set_as_default=False)
        submit = client.submit

        def once(*args, **options):
            monkeypatch.setattr(client, "submit", gone)
            return submit(*args, **options)

        def gone(*args, **options):
            raise OSError("the scheduler went away")

        monkeypatch.setattr(client, "submit", once)
        done = list(on_cluster(jobs, settings, client))
    assert [part.image for part in done] == [job.image for job in jobs]
    assert all("lost (the scheduler went away)" in part.error for part in done)


def test_no_cluster_is_told(folder, settings, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_pvpu.features.embedding._CONNECT_SECONDS", 1)
    with pytest.raises(ClusterError, match="no dask scheduler at tcp:"):
        embed_images([folder / "a.png"], settings, scheduler="tcp://127.0.0.1:9")


def test_reports():
    report = EmbedReport(
        (Embedded("a|b.png", 3, 1, 2.0), Embedded("c.png", error="it\nis | damaged")), 2.5, 2
    )
    text = report.to_markdown()
    assert "1 of 2 images: 3 views encoded and 1 there already, in 2.5 s with 2 workers." in text
    assert "| a\\|b.png | 3 | 1 | 2.0 | ok |" in text
    assert "- `c.png`: it is \\| damaged" in text
    whole = json.loads(report.to_json())
    assert whole["failed"] == 1
    assert whole["images"][0] == {
        "image": "a|b.png", "encoded": 3, "found": 1, "seconds": 2.0, "error": None
    }  # fmt: skip


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_store_that_is_too_small_is_told_of_early(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(cli_embed, "FORESEEN_AFTER", 3)
    (tmp_path / "images").mkdir()
    for number in range(6):
        picture = np.roll(made_up_scene()[0], number, axis=0)
        np.save(tmp_path / "images" / f"{number}.npy", picture)
    words = ("embed", tmp_path / "images", "--model", weights, "--device", "cpu", "--scales", 1)
    done = run(*words, "--store", tmp_path / "large")
    assert done.exit_code == 0
    assert "will take" not in done.output
    size = sum(file.size for file in stored_files(tmp_path / "large"))
    FeatureStore(tmp_path / "small").limit = round(0.8 * size)
    done = run(*words, "--store", tmp_path / "small")
    assert done.exit_code == 1
    assert "All 6 images will take about" in done.output
    assert f"napari-pvpu cache limit 1 --store {tmp_path / 'small'}" in done.output


def test_the_command_line(folder, weights, tmp_path):
    store, report = tmp_path / "store", tmp_path / "report.json"
    words = ("embed", folder, "--store", store, "--model", weights, "--device", "cpu")
    first = run(*words, "--scales", 1, 2, "--report", report)
    assert first.exit_code == 1
    assert "3 of 4 images" in first.output
    assert "d.png cannot be read" in first.output
    assert json.loads(report.read_text())["failed"] == 1
    views = len(list(stored_files(store)))
    (folder / "d.png").unlink()
    again = run(*words, "--scales", 1, 2)
    assert again.exit_code == 0
    assert f"0 views encoded and {views} there already" in again.output

    told = run("cache", "info", "--store", store)
    assert f"views     {views}" in told.output
    assert f"small: {views}" in told.output
    next(iter(stored_files(store))).path.write_bytes(b"damaged")
    assert run("cache", "verify", "--store", store).exit_code == 1
    assert run("cache", "verify", "--store", store, "--remove").exit_code == 0
    assert "up to 5.0 GB" in run("cache", "limit", 5, "--store", store).output
    assert "0 files" in run("cache", "clear", "--store", store, "--older-than", 1).output
    assert f"{views - 1} files" in run("cache", "clear", "--store", store).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--report", "x.txt"), "use .md or .json"),
        (("--workers", "2", "--scheduler", "tcp://x:1"), "give one"),
        (("--scales", "-1"), "positive numbers"),
    ],
    ids=["report", "both", "scale"],
)
def test_wrong_words_are_refused(folder, weights, tmp_path, words, message):
    done = run("embed", folder / "a.png", "--model", weights, "--store", tmp_path, *words)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
