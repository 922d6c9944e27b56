from __future__ import annotations

import argparse
from dataclasses import asdict

import pytest

from napari_pvpu.evaluation.options import (
    OPTIONS,
    add_options,
    changed_options,
    settings_values,
)
from napari_pvpu.evaluation.robot import PROMPT_MODES
from napari_pvpu.evaluation.settings import PROTOCOLS, EvaluationSettings
from napari_pvpu.evaluation.zoom_in import ZOOM_KINDS


def test_defaults_are_those_of_the_settings() -> None:
    assert EvaluationSettings(**settings_values({})) == EvaluationSettings()


def test_every_setting_has_an_option() -> None:
    # How far IoU is followed is decided by the parts of a report, not by a flag.
    assert {option.name for option in OPTIONS} == set(asdict(EvaluationSettings())) - {"iou_to"}


def test_choices_are_those_of_the_evaluation() -> None:
    choices = {option.name: option.choices for option in OPTIONS if option.choices}
    assert choices == {"prompts": PROMPT_MODES, "protocol": PROTOCOLS, "zoom_in": ZOOM_KINDS}


@pytest.mark.parametrize(
    ("protocol", "flip", "zoom_in", "expected"),
    [
        ("session", None, None, (False, "none")),
        ("session", True, None, (True, "none")),
        ("ritm", None, None, (True, "simpleclick")),
        ("ritm", False, "none", (False, "none")),
        ("ritm", None, "ritm", (True, "ritm")),
    ],
    ids=["session", "session-flip", "ritm", "ritm-bare", "ritm-zoom"],
)
def test_the_papers_settings_unless_others_are_said(protocol, flip, zoom_in, expected) -> None:
    made = settings_values({"protocol": protocol, "flip": flip, "zoom_in": zoom_in})
    assert (made["flip"], made["zoom_in"]) == expected


def test_changed_options_are_named_as_they_are_typed() -> None:
    values = {"em": True, "targets": [0.8, 0.85, 0.9], "zoom_in": "ritm", "limit": 3}
    assert changed_options(values, {"em", "targets", "zoom_in"}) == ["--em", "--zoom-in"]


def parsed(*words: str) -> dict:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return vars(parser.parse_args(words))


def test_argparse_reads_what_typer_does() -> None:
    values = parsed(
        *["--targets", "0.5", "0.75", "--limit", "4", "--em", "--no-flip", "--iou-analysis"],
        *["--prompts", "mixed", "--zoom-in", "none", "--jitter", "1.5"],
    )
    assert values["targets"] == [0.5, 0.75]
    assert values["limit"] == 4
    assert (values["em"], values["flip"], values["iou_analysis"]) == (True, False, True)
    assert (values["prompts"], values["zoom_in"], values["jitter"]) == ("mixed", "none", 1.5)
    assert values["min_area"] == 1
    assert values["view_size"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--limit", "0"], "argument --limit: 0 is less than 1"),
        (["--limit", "many"], "argument --limit: invalid int value: 'many'"),
        (["--prompts", "kick"], "invalid choice: 'kick'"),
        (["--jitter", "-1"], "argument --jitter"),
    ],
    ids=["too-small", "no-number", "no-choice", "negative"],
)
def test_argparse_says_what_is_wrong(words, message, capsys) -> None:
    with pytest.raises(SystemExit):
        parsed(*words)
    assert message in capsys.readouterr().err
