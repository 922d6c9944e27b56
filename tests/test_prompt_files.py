"""Prompts from tables, GeoJSON, ImageJ ROIs and earlier sessions, and what is said of bad ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_pvpu.errors import PromptError
from napari_pvpu.journal import Journal
from napari_pvpu.prompt_files import read_prompts
from napari_pvpu.prompts import Box, Click, Polygon, Scribble
from pictures import IMAGE, new_session, volume_session

TABLE = """image,object,kind,polarity,plane,row,col,row2,col2,path
a.png,3,click,,,40,50,,,
a.png,3,click,negative,,10.5,20,,,
a.png,,box,,,1,2,30,40,
b.tif,1,scribble,+,2 4,,,,,1 2; 3 4; 5.5 6
,9,,,,7,8,,,
"""


def written(folder, text, name="prompts.csv"):
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_rows_become_prompts_grouped_by_their_object(tmp_path):
    found = read_prompts(written(tmp_path, TABLE))
    assert found.problems == []
    assert [(each.image, each.name, each.plane, each.label) for each in found.objects] == [
        ("a.png", "3", None, 3),
        ("a.png", "", None, None),
        ("b.tif", "1", (2, 4), 1),
        ("", "9", None, 9),
    ]
    assert [each.prompts for each in found.objects] == [
        [Click((40, 50)), Click((10.5, 20), positive=False)],
        [Box((1, 2), (30, 40))],
        [Scribble(((1, 2), (3, 4), (5.5, 6)))],
        [Click((7, 8))],
    ]
    assert [each.name for each in found.for_image("/data/x/a.png")] == ["3", "", "9"]
    assert [each.name for each in found.for_image("/data/b.tif")] == ["1", "9"]
    assert found.unknown_images(["/data/a.png"]) == ["b.tif"]


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        pytest.param("y,x\n3,4\n", Click((3, 4)), id="y-x"),
        pytest.param("index,axis-0,axis-1\n0,3,4\n", Click((3, 4)), id="napari"),
        pytest.param("row;col;polarity\n3;4;0\n", Click((3, 4), positive=False), id="semicolons"),
        pytest.param("\ufeffRow\tCol\n3\t4\n", Click((3, 4)), id="tabs-and-mark"),
        pytest.param("row,col,row2,col2\n3,4,9,8\n", Box((3, 4), (9, 8)), id="box"),
        pytest.param('path\n"3,4 5,6"\n', Scribble(((3, 4), (5, 6))), id="commas"),
    ],
)
def test_other_tables_are_understood(tmp_path, text, prompt):
    assert [each.prompts for each in read_prompts(written(tmp_path, text)).objects] == [[prompt]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(",,click,,,abc,5,,,", "line 3: column row: 'abc' is no number", id="word"),
        pytest.param(",,click,,,4,,,,", "line 3: column col: is empty", id="empty"),
        pytest.param(",,click,,,nan,5,,,", "line 3: ", id="nan"),
        pytest.param(",,star,,,4,5,,,", "line 3: 'star' is no kind", id="kind"),
        pytest.param(",,click,perhaps,,4,5,,,", "line 3: 'perhaps' is no polarity", id="polarity"),
        pytest.param(",,click,,z,4,5,,,", "line 3: column plane", id="plane"),
        pytest.param(",,box,,,4,5,4,5,", "line 3: ", id="no-area"),
        pytest.param(",,scribble,,,,,,,1 2; x", "line 3: column path: 'x'", id="path"),
        pytest.param(",,click,,,4,5,,,,7,8", "line 3: 12 cells", id="cells"),
    ],
)
def test_bad_rows_are_told_with_their_line_and_the_others_used(tmp_path, row, message):
    head = TABLE.splitlines()[0]
    found = read_prompts(written(tmp_path, f"{head}\n,,,,,1,2,,,\n{row}\n\n,,,,,3,4,,,\n"))
    assert [each.prompts for each in found.objects] == [[Click((1, 2))], [Click((3, 4))]]
    assert len(found.problems) == 1
    assert found.problems[0].startswith(message)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("a.csv", "a,b\n1,2\n", "no column row", id="columns"),
        pytest.param("a.csv", "row,col\nx,y\n", "no prompt that can be used: line 2", id="none"),
        pytest.param("a.geojson", "{", "no GeoJSON", id="json"),
        pytest.param("a.zip", "text", "ImageJ ROIs", id="zip"),
        pytest.param("a.pvpu-session", "text", "no session file", id="session"),
        pytest.param("a.doc", "text", "cannot be read from", id="kind"),
    ],
)
def test_other_files_are_refused(tmp_path, name, text, message):
    with pytest.raises(PromptError, match=message):
        read_prompts(written(tmp_path, text, name))
    with pytest.raises(PromptError, match=r"cannot be read"):
        read_prompts(tmp_path / "gone.csv")


def feature(kind, coordinates, **properties):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def test_shapes_of_geojson_become_prompts(tmp_path):
    features = [
        feature("Point", [50.5, 40.5], name="3"),
        feature("Point", [20.5, 10.5], name="3 neg"),
        feature("MultiPoint", [[1.5, 2.5], [3.5, 4.5]]),
        feature("LineString", [[0.5, 0.5], [9.5, 4.5]], classification={"name": "Negative"}),
        feature("Polygon", [[[0, 0], [10, 0], [10, 5], [0, 5], [0, 0]]], object=7),
        feature("Polygon", [[[0, 0], [10, 0], [5, 5], [0, 0]]], positive=False, image="a.png"),
        feature("Point", ["x"]),
        feature("Circle", [1]),
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    found = read_prompts(written(tmp_path, text, "a.geojson"))
    assert [(each.name, each.prompts) for each in found.objects] == [
        ("3", [Click((40, 50)), Click((10, 20), positive=False)]),
        ("feature 3", [Click((2, 1)), Click((4, 3))]),
        ("", [Scribble(((0, 0), (4, 9)), positive=False)]),
        ("7", [Box((-0.5, -0.5), (4.5, 9.5))]),
        ("", [Polygon(((-0.5, -0.5), (-0.5, 9.5), (4.5, 4.5)), positive=False)]),
    ]
    assert found.objects[-1].image == "a.png"
    assert [each[:10] for each in found.problems] == ["feature 7:", "feature 8:"]


def test_rois_of_imagej_become_prompts(tmp_path):
    from roifile import ROI_TYPE, ImagejRoi, roiwrite

    def roi(name, points, kind):
        made = ImagejRoi.frompoints(np.array(points, np.int32))
        made.roitype, made.name = kind, name
        return made

    rect = ImagejRoi(roitype=ROI_TYPE.RECT, top=5, left=10, bottom=9, right=30, name="4")
    rois = [
        roi("3-1", [[50, 40]], ROI_TYPE.POINT),
        roi("3-2", [[20, 10], [21, 11]], ROI_TYPE.POINT),
        roi("3-neg", [[0, 0], [9, 4]], ROI_TYPE.POLYLINE),
        rect,
        roi("0034-0120", [[0, 0], [10, 0], [5, 5]], ROI_TYPE.POLYGON),
    ]
    roiwrite(tmp_path / "rois.zip", rois)
    found = read_prompts(tmp_path / "rois.zip")
    assert found.problems == []
    assert [(each.name, each.prompts) for each in found.objects] == [
        ("3", [Click((40, 50)), Click((10, 20)), Click((11, 21)),
               Scribble(((0, 0), (4, 9)), positive=False)]),
        ("4", [Box((4.5, 9.5), (8.5, 29.5))]),
        ("", [Polygon(((-0.5, -0.5), (-0.5, 9.5), (4.5, 4.5)))]),
    ]  # fmt: skip


def test_prompts_of_a_session_are_those_of_the_objects_it_ended_with(tmp_path):
    session = new_session()
    journal = Journal.create(tmp_path / "s.pvpu-session", session, IMAGE)
    session.add(Click((35, 40)))
    session.threshold = 0.6
    session.threshold = 0.4
    session.undo()
    session.accept()  # 1
    session.add(Click((90, 110)))
    session.add(Click((5, 5), positive=False))
    session.undo()
    session.accept()  # 2
    session.add(Click((30, 130)))
    session.accept()  # 3
    session.delete(3)
    session.undo()
    session.delete(1)
    session.relabel(2, 8)
    session.join()
    session.undo()
    session.redo()
    session.add(Click((60, 60)))
    journal.close()
    found = read_prompts(journal.path)
    assert [(each.name, each.prompts) for each in found.objects] == [
        ("3", [Click((30, 130))]),
        ("8", [Click((90, 110))]),
    ]
    wanted = {object_id: list(record.prompts) for object_id, record in session.objects.items()}
    assert {int(each.name): each.prompts for each in found.objects} == wanted


def test_prompts_of_a_session_know_their_planes(tmp_path):
    session = volume_session()
    journal = Journal.create(tmp_path / "s.pvpu-session", session, np.stack([IMAGE] * 3))
    session.plane = 2
    session.add(Click((35, 40)))
    session.accept()
    journal.close()
    assert [each.plane for each in read_prompts(journal.path).objects] == [(2,)]
