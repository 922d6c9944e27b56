"""The parts of the demo that need no screen; `make demo` itself plays the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_pvpu import samples
from napari_pvpu.demo import recording as recordings
from napari_pvpu.demo import report
from napari_pvpu.demo.recording import DrawnPrompt, RecordedObject, Recording
from napari_pvpu.demo.report import ObjectResult, PictureResult
from napari_pvpu.errors import DatasetError
from napari_pvpu.prompts import Box, Click, PriorMask, Scribble, prompt_to_json

if TYPE_CHECKING:
    from pathlib import Path

MASK = prompt_to_json(PriorMask(np.ones((2, 3), bool)))
RECORDED = recordings.load_all()
PROMPTS = [
    pytest.param(recording, one, prompt, id=f"{recording.name}-{one.name}-{index}")
    for recording in RECORDED
    for one in recording.objects
    for index, prompt in enumerate(one.prompts)
]


def pixels(prompt: DrawnPrompt) -> tuple[np.ndarray, np.ndarray]:
    points = [prompt.position] if isinstance(prompt, Click) else prompt.path
    rows, cols = np.round(np.array(points)).astype(int).T
    return rows, cols


def test_three_pictures_one_per_kind_of_prompt() -> None:
    first = [{type(one.prompts[0]) for one in recording.objects} for recording in RECORDED]
    assert first == [{Click}, {Box}, {Scribble}]
    assert len({recording.sample for recording in RECORDED}) == 3


def test_scribbles_are_corrected_by_negative_ones() -> None:
    scribbles = [prompt for one in RECORDED[2].objects for prompt in one.prompts]
    assert any(isinstance(p, Scribble) and not p.positive for p in scribbles)


@pytest.mark.parametrize(("recording", "one", "prompt"), PROMPTS)
def test_recorded_prompt_tells_the_truth(
    recording: Recording, one: RecordedObject, prompt: DrawnPrompt
) -> None:
    truth = samples.load(recording.sample).truth == one.truth
    if isinstance(prompt, Box):
        rows, cols = np.nonzero(truth)
        drawn = np.array([prompt.start, prompt.stop])
        exact = np.array([[rows.min(), cols.min()], [rows.max(), cols.max()]])
        assert prompt.positive
        assert np.abs(drawn - exact).max() <= 6
    else:
        assert set(truth[pixels(prompt)]) == {prompt.positive}


def test_recording_survives_json() -> None:
    for recording in RECORDED:
        assert recordings.parse(json.loads(json.dumps(recording.to_json()))) == recording


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": []}, "has no objects"),
        ({"objects": [{"name": "hole", "prompts": []}]}, "no prompts for hole"),
        ({"objects": [{"name": "x", "prompts": [{"type": "lasso"}]}]}, "unknown prompt type"),
        ({"objects": [{"name": "x", "prompts": [MASK]}]}, "no prior masks"),
        ({"objects": [{"prompts": []}]}, "'name'"),
        ({"objects": 3}, "not iterable"),
    ],
    ids=["no objects", "no prompts", "bad prompt", "prior mask", "no name", "not a list"],
)
def test_damaged_recording_is_refused(change: dict[str, object], message: str) -> None:
    good = {"name": "n", "sample": "coins", "title": "t", "objects": []}
    with pytest.raises(DatasetError, match=message):
        recordings.parse(good | change)


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ([Click((1, 2))], "1 click"),
        ([Box((0, 0), (4, 4)), Click((1, 2), positive=False)], "1 box, 1 negative click"),
        ([Box((0, 0), (4, 4)), Box((0, 0), (5, 4))], "2 boxes"),
        (
            [Scribble([(0, 0), (1, 1)]), Click((5, 5)), Scribble([(0, 0), (2, 1)])],
            "2 scribbles, 1 click",
        ),
    ],
)
def test_prompts_in_words(prompts: list[DrawnPrompt], words: str) -> None:
    assert recordings.describe(prompts) == words


def played(*ious: float | None) -> PictureResult:
    objects = tuple(
        RecordedObject(f"thing {i}", (Click((i, i)), Click((i + 1, i), positive=False)), i)
        for i, _ in enumerate(ious, start=1)
    )
    results = tuple(
        ObjectResult(one, i, () if iou is None else (iou / 2, iou), iou, (140.0, 31.4))
        for i, (one, iou) in enumerate(zip(objects, ious, strict=True), start=1)
    )
    labels = np.array([[0, 1, 1], [2, 2, 0]], np.uint16)
    return PictureResult(Recording("pic", "coins", "Things", objects), "drawn", labels, results)


def test_only_known_objects_below_the_target_fail() -> None:
    assert report.failures([played(0.8, None, 0.95)]) == []
    [sentence] = report.failures([played(0.9, 0.79)])
    assert sentence == "pic: thing 2 reached IoU 0.790, below 0.8"


def test_report_has_a_row_per_object_and_the_sums() -> None:
    text = report.markdown([played(0.91, None)], "pvpu-nano", "cpu")
    assert "| thing 1 | 1 click, 1 negative click | 0.910 | 140, 31 |" in text
    assert "| thing 2 | 1 click, 1 negative click | unknown | 140, 31 |" in text
    assert "4 interactions, median 86 ms" in text
    assert "1 objects with known truth: IoU 0.910 to 0.910" in text
    assert "Too low" not in text
    assert "Too low: pic: thing 1" in report.markdown([played(0.5)], "pvpu-nano", "cpu")


def test_saved_files_hold_labels_and_a_playable_session(tmp_path: Path) -> None:
    result = played(0.9, None)
    report.save(result, tmp_path)
    labels = tifffile.imread(tmp_path / "pic.labels.tif")
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, result.labels)
    session = json.loads((tmp_path / "pic.session.json").read_text("utf-8"))
    assert recordings.parse(session) == result.recording
    assert [one["iou"] for one in session["objects"]] == [0.9, None]
    assert [one["iou_after_each"] for one in session["objects"]] == [[0.45, 0.9], []]
    assert [one["label"] for one in session["objects"]] == [1, 2]
