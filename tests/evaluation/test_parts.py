from __future__ import annotations

import sys

import pytest

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.command import read_parts
from napari_pvpu.evaluation.parts import PARTS, missing_baselines, variants
from napari_pvpu.evaluation.settings import EvaluationSettings

ASKED = EvaluationSettings(limit=300, min_area=30)


def told(*parts: str) -> list[tuple]:
    """What each variant has of its own."""
    out = []
    for each in variants(ASKED, parts):
        own = each.settings
        assert (own.model, own.min_area, own.seed) == ("pvpu-nano", 30, 0)
        out.append((each.part, own.method, own.prompts, own.em, own.jitter))
    return out


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["boxes"], [("boxes", "pvpu", "box", False, 0)]),
        (["clicks"], [("clicks", "pvpu", "click", False, 0)]),
        (["failures"], [("clicks", "pvpu", "click", False, 0)]),
        (
            ["jitter"],
            [("clicks", "pvpu", "click", False, 0), ("jitter", "pvpu", "click", False, 3)],
        ),
        (
            ["em", "scribbles"],
            [
                ("clicks", "pvpu", "click", False, 0),
                ("scribbles", "pvpu", "scribble", False, 0),
                ("em", "pvpu", "click", True, 0),
                ("em", "pvpu", "scribble", True, 0),
            ],
        ),
        (["timings"], [("timings", "pvpu", "click", False, 0)]),
    ],
    ids=["boxes", "clicks", "failures", "jitter", "em", "timings"],
)
def test_parts_bring_what_they_are_compared_with(parts, expected) -> None:
    assert told(*parts) == expected


def test_all_parts() -> None:
    every = variants(ASKED, PARTS)
    assert [each.part for each in every] == [
        *("clicks", "boxes", "scribbles", "mixed"),
        *["em"] * 4,
        "jitter",
        *["baselines"] * 5,
        "timings",
    ]
    by_part = {each.part: each for each in every}
    most = {part: each.settings.max_interactions for part, each in by_part.items()}
    assert (most["mixed"], most["em"], most["jitter"]) == (20, 10, 20)
    assert (most["baselines"], most["timings"]) == (3, 5)
    assert by_part["jitter"].settings.full_run == 5
    assert [part for part, each in by_part.items() if each.alone] == ["timings"]
    assert by_part["timings"].settings.limit == 8


def test_few_interactions_stay_few() -> None:
    brief = EvaluationSettings(max_interactions=2, limit=1)
    assert {each.settings.max_interactions for each in variants(brief, PARTS)} == {2}
    assert {each.settings.limit for each in variants(brief, PARTS)} == {1}


def test_a_baseline_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert missing_baselines() == ["grabcut"]
    assert "grabcut" not in {each.settings.method for each in variants(ASKED, ["baselines"])}


def test_parts_are_read_in_their_own_order() -> None:
    assert read_parts("em, clicks") == ["clicks", "em"]
    assert read_parts(None) == PARTS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clicks,circles", "there is no part 'circles'; parts are clicks, boxes"),
        (",", "no part is"),
    ],
    ids=["unknown", "none"],
)
def test_parts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(PvpuError, match=message):
        read_parts(text)
