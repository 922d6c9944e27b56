"""A series without a screen: states, names, the file they are kept in, and work on its images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import FloodPredictor
from napari_pvpu import Click, Series, SeriesError
from napari_pvpu.checked_lines import from_line, to_line
from napari_pvpu.errors import DatasetError
from napari_pvpu.export import read_tiff
from napari_pvpu.series import RESULTS
from napari_pvpu.series_entries import State, label_stems
from napari_pvpu.series_file import NAME, SeriesFile
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from pictures import CENTERS, DISKS, IMAGE, VOLUME

if TYPE_CHECKING:
    from pathlib import Path

GREY = CENTERS["grey"]


class Segmenter(FloodPredictor):
    """Opens sessions as the real one does."""

    model_name = "flood"
    weights_id = "none"

    def open(self, image, axes=None):
        return Session(ImageSource(image, axes=axes), self)


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(64)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three images of different values, named so that their order is a question."""
    for number in (1, 2, 10):
        tifffile.imwrite(tmp_path / f"img{number}.tif", IMAGE + np.uint8(number))
    return tmp_path


def names(entries) -> list[str]:
    return [entry.name for entry in entries]


def annotate(series, name, segmenter):
    """Accept one object, and save it."""
    with series.work(name, segmenter) as session:
        session.add(Click(GREY))
        session.accept()
    return series[name]


def shows_the_disk(labels, label=1) -> bool:
    """Whether an object is the grey disk, but for pixels of its rim."""
    found, wanted = np.asarray(labels) == label, DISKS["grey"]
    return (found & wanted).sum() > 0.9 * (found | wanted).sum()


# What is in it


def test_images_of_a_folder_come_in_their_natural_order(folder) -> None:
    series = Series.open(folder)
    assert names(series.entries) == ["img1.tif", "img2.tif", "img10.tif"]
    assert {entry.state for entry in series.entries} == {State.UNTOUCHED}
    assert str(series.progress) == "0 of 3 done"
    assert series.current is None
    assert series["img2.tif"].labels == folder / RESULTS / "img2.tif"


def test_a_list_keeps_its_order_and_needs_no_common_folder(folder, tmp_path) -> None:
    (tmp_path / "other").mkdir()
    tifffile.imwrite(tmp_path / "other" / "img1.tif", IMAGE)
    series = Series.open([folder / "img2.tif", tmp_path / "other" / "img1.tif"], tmp_path / "out")
    assert names(series.entries) == ["img2.tif", "other/img1.tif"]
    assert series["other/img1.tif"].labels == tmp_path / "out" / "other" / "img1.tif"
    again = Series.open(tmp_path / "out")
    assert names(again.entries) == names(series.entries)


def test_the_results_folder_tells_where_the_images_are(folder) -> None:
    Series.open(folder).mark("img2.tif", "done")
    moved = folder.rename(folder.with_name("moved"))
    series = Series.open(moved / RESULTS)
    assert names(series.entries) == ["img1.tif", "img2.tif", "img10.tif"]
    assert series["img2.tif"].state is State.DONE
    assert series["img1.tif"].path.is_file()


@pytest.mark.parametrize(
    ("given_names", "expected"),
    [
        pytest.param(["a.tif", "b.png"], ["a", "b"], id="plain"),
        pytest.param(["a.tif", "a.png"], ["a.tif", "a.png"], id="alike"),
        pytest.param(["a.ome.tif", "b.ome.zarr"], ["a", "b"], id="two suffixes"),
        pytest.param(["x/a.tif", "y/a.tif"], ["x/a", "y/a"], id="folders"),
        pytest.param(["a.b.tif"], ["a.b"], id="dots"),
    ],
)
def test_labels_are_named_as_their_images(given_names, expected) -> None:
    assert list(label_stems(given_names).values()) == expected


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        pytest.param([], SeriesError, "at least one", id="none"),
        pytest.param("", DatasetError, "no image in", id="empty folder"),
    ],
)
def test_nothing_to_annotate_is_told(tmp_path, images, error, words) -> None:
    with pytest.raises(error, match=words):
        Series.open(tmp_path if images == "" else images)


def test_unknown_names_states_and_formats_are_told(folder) -> None:
    series = Series.open(folder)
    with pytest.raises(SeriesError, match=r"no image 'img3\.tif'"):
        series.mark("img3.tif", "done")
    with pytest.raises(SeriesError, match="choose from untouched, begun, done, skipped"):
        series.mark("img1.tif", "finished")
    with pytest.raises(SeriesError, match="use one of tiff"):
        series.format_name = "docx"


# Going through


def test_the_next_unfinished_one_is_looked_for_around_the_end(folder) -> None:
    series = Series.open(folder)
    series.mark("img2.tif", "skipped")
    assert series.next_unfinished("img1.tif").name == "img10.tif"
    assert series.next_unfinished("img10.tif").name == "img1.tif"
    assert names(series.unfinished()) == ["img1.tif", "img10.tif"]
    series.mark("img1.tif", "done")
    assert series.next_unfinished("img10.tif") is None
    assert str(series.progress) == "1 of 3 done, 1 skipped"
    assert series.neighbour("img1.tif", 1).name == "img2.tif"
    assert series.neighbour("img1.tif", -1) is None


def test_states_current_image_and_format_are_there_when_opened_again(folder) -> None:
    series = Series.open(folder)
    series.mark("img1.tif", "done")
    series.mark("img2.tif", "skipped")
    series.mark("img1.tif", "begun")
    series.take_up("img10.tif")
    series.format_name = "geojson"
    again = Series.open(folder)
    assert [entry.state.value for entry in again.entries] == ["begun", "skipped", "untouched"]
    assert again.current.name == "img10.tif"
    assert again.format_name == "geojson"
    assert again.labels_path("img1.tif").name == "img1.geojson"
    assert again["img1.tif"].labels.name == "img1.tif", "where they are now"


def test_images_that_come_and_go(folder) -> None:
    Series.open(folder).mark("img2.tif", "done")
    (folder / "img1.tif").unlink()
    (folder / "img2.tif").unlink()
    tifffile.imwrite(folder / "img3.tif", IMAGE)
    series = Series.open(folder)
    assert names(series.entries) == ["img3.tif", "img10.tif", "img2.tif"]
    gone = series["img2.tif"]
    assert gone.state is State.DONE
    assert "put it back" in gone.trouble
    assert str(series.progress) == "1 of 3 done, 1 cannot be opened"


# The file


@settings(max_examples=30)
@given(cut=st.integers(0, 400))
def test_a_file_cut_anywhere_is_read_as_far_as_it_goes(tmp_path_factory, cut) -> None:
    file = SeriesFile(tmp_path_factory.mktemp("cut"))
    for number in range(3):
        file.note_image(f"{number}.tif", {"state": "done", "objects": number})
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[: len(whole) - cut] if cut < len(whole) else whole)
    left = [from_line(line) for line in file.path.read_bytes().split(b"\n")]
    if left[0] is None:
        return  # not even the header; told, see below
    assert list(file.read().images) == [each["image"] for each in left[1:] if each]
    assert file.read().damaged == 0
    file.note_image("new.tif", {"state": "skipped"})
    assert file.read().images["new.tif"] == {"state": "skipped"}, "after a torn line, too"


def test_a_damaged_line_costs_one_state_and_is_counted(folder) -> None:
    series = Series.open(folder)
    series.mark("img1.tif", "begun")
    series.mark("img1.tif", "done")
    series.mark("img2.tif", "done")
    path = folder / RESULTS / NAME
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-2] = lines[-2].replace(b"done", b"dove")
    path.write_bytes(b"".join(lines))
    again = Series.open(folder)
    assert again.damaged == 1
    assert again["img1.tif"].state is State.BEGUN
    assert again["img2.tif"].state is State.DONE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"hello\n", "no file of a series", id="foreign"),
        pytest.param(
            to_line({"format": "napari-pvpu series", "version": 7}), "version 7", id="newer"
        ),
    ],
)
def test_a_foreign_file_is_told_and_left_alone(folder, content, words) -> None:
    path = folder / RESULTS / NAME
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SeriesError, match=words):
        Series.open(folder)
    assert path.read_bytes() == content


def test_results_that_cannot_be_written_are_told_at_once(folder, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SeriesError, match="choose another folder"):
        Series.open(folder, tmp_path / "file")


def test_what_cannot_be_written_down_has_not_changed(folder) -> None:
    series = Series.open(folder)
    (folder / RESULTS / NAME).unlink()
    (folder / RESULTS).rmdir()
    (folder / RESULTS).write_text("")
    with pytest.raises(SeriesError):
        series.mark("img1.tif", "done")
    assert series["img1.tif"].state is State.UNTOUCHED


# Work


def test_work_saves_labels_and_goes_on_with_prompts_and_history(folder, segmenter) -> None:
    series = Series.open(folder)
    entry = annotate(series, "img1.tif", segmenter)
    assert (entry.state, entry.objects) == (State.BEGUN, 1)
    assert shows_the_disk(read_tiff(entry.labels).labels)
    again = Series.open(folder)
    assert again.current.name == "img1.tif"
    with again.work("img1.tif", segmenter) as session:
        assert session.history[-1] == "Accept object 1"
        session.open_object(1)
        assert Click(GREY) in session.prompts
        session.undo()
        session.add(Click(CENTERS["bright"]))
        session.accept()
    assert again["img1.tif"].objects == 2
    assert set(np.unique(read_tiff(entry.labels).labels)) == {0, 1, 2}


def test_work_is_saved_when_the_script_fails(folder, segmenter) -> None:
    series = Series.open(folder)

    def fail() -> None:
        with series.work("img1.tif", segmenter) as session:
            session.add(Click(GREY))
            session.accept()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert Series.open(folder)["img1.tif"].objects == 1


def test_looking_alone_writes_no_labels(folder, segmenter) -> None:
    series = Series.open(folder)
    with series.work("img1.tif", segmenter):
        pass
    assert series["img1.tif"].state is State.UNTOUCHED
    assert not series["img1.tif"].labels.exists()


def test_equal_images_under_two_names_have_sessions_of_their_own(folder, segmenter) -> None:
    tifffile.imwrite(folder / "twin.tif", IMAGE + np.uint8(1))
    series = Series.open(folder)
    annotate(series, "img1.tif", segmenter)
    with series.work("twin.tif", segmenter) as session:
        assert not session.objects


def test_a_volume_with_its_scale(tmp_path, segmenter) -> None:
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        VOLUME,
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"},
    )
    series = Series.open(tmp_path)
    with series.work("a.ome.tif", segmenter) as session:
        session.plane = (1,)
        session.add(Click((IMAGE.shape[0] - 1 - GREY[0], IMAGE.shape[1] - 1 - GREY[1])))
        session.accept()
    saved = read_tiff(series["a.ome.tif"].labels)
    assert (saved.axes, saved.scale[2], saved.units[2]) == ("ZYX", 0.5, "micrometer")
    assert shows_the_disk(saved.labels[1, ::-1, ::-1])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"II*\0 and no more", "mend the file, or skip", id="damaged"),
        pytest.param(None, "put it back", id="missing"),
    ],
)
def test_one_bad_image_is_told_and_hinders_no_other(folder, segmenter, content, words) -> None:
    series = Series.open(folder)
    if content is None:
        (folder / "img2.tif").unlink()
    else:
        (folder / "img2.tif").write_bytes(content)
    with pytest.raises(SeriesError, match=words), series.work("img2.tif", segmenter):
        pass
    assert words in series["img2.tif"].trouble
    assert series.next_unfinished("img1.tif").name == "img10.tif"
    assert annotate(series, "img10.tif", segmenter).objects == 1


def test_other_pixels_of_the_same_shape_keep_objects_and_a_copy(folder, segmenter) -> None:
    series = Series.open(folder)
    annotate(series, "img1.tif", segmenter)
    tifffile.imwrite(folder / "img1.tif", IMAGE // 2)
    with series.work("img1.tif", segmenter) as session:
        assert list(session.objects) == [1]
        assert not session.history
        session.delete(1)
    [aside] = (folder / RESULTS).glob("before-*")
    assert shows_the_disk(read_tiff(aside).labels)
    assert not read_tiff(series["img1.tif"].labels).labels.any()


def test_an_image_of_another_shape_begins_anew_with_a_copy(folder, segmenter) -> None:
    series = Series.open(folder)
    annotate(series, "img1.tif", segmenter)
    tifffile.imwrite(folder / "img1.tif", IMAGE[:100])
    with series.work("img1.tif", segmenter) as session:
        assert not session.objects
        session.add(Click(CENTERS["bright"]))
        session.accept()
    assert len(list((folder / RESULTS).glob("before-*"))) == 1
    assert read_tiff(series["img1.tif"].labels).labels.shape == IMAGE[:100].shape


def test_labels_changed_by_another_program_are_gone_on_with(folder, segmenter) -> None:
    series = Series.open(folder)
    labels = annotate(series, "img1.tif", segmenter).labels
    tifffile.imwrite(labels, np.where(DISKS["faint"], 7, 0).astype(np.uint16))
    with Series.open(folder).work("img1.tif", segmenter) as session:
        assert list(session.objects) == [7]


def test_labels_written_a_moment_before_a_crash_do_not_count_as_changed(folder, segmenter) -> None:
    series = Series.open(folder)
    entry = annotate(series, "img1.tif", segmenter)
    series.update("img1.tif", saved=None)  # as it stands while labels are being written
    tifffile.imwrite(entry.labels, np.zeros(IMAGE.shape, np.uint16))
    with Series.open(folder).work("img1.tif", segmenter) as session:
        assert session.history[-1] == "Accept object 1"


def test_with_another_model_objects_are_there_and_the_old_session_stays(folder, segmenter) -> None:
    series = Series.open(folder)
    annotate(series, "img1.tif", segmenter)
    other = Segmenter(64)
    other.weights_id = "others"
    with series.work("img1.tif", other) as session:
        assert list(session.objects) == [1]
        assert not session.history
    with series.work("img1.tif", segmenter) as session:
        assert session.objects


@pytest.mark.parametrize("format_name", ["ome-zarr", "imagej", "coco", "geojson"])
def test_every_format_can_be_gone_on_with_by_another_model(folder, segmenter, format_name) -> None:
    series = Series.open(folder, format_name=format_name)
    annotate(series, "img1.tif", segmenter)
    other = Segmenter(64)
    other.model_name = "other"
    with Series.open(folder).work("img1.tif", other) as session:
        assert shows_the_disk(session.labels)


def test_the_file_is_plain_to_read(folder, segmenter) -> None:
    series = Series.open(folder)
    annotate(series, "img1.tif", segmenter)
    last = (folder / RESULTS / NAME).read_bytes().splitlines()[-1]
    told = json.loads(last.partition(b" ")[2])
    assert (told["image"], told["state"], told["objects"]) == ("img1.tif", "begun", 1)
    assert told["labels"] == "img1.tif"
