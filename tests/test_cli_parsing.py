from __future__ import annotations

import pytest

from napari_pvpu.cli_parsing import (
    numbers,
    point,
    repeat_flag,
    with_polarity,
)
from napari_pvpu.errors import PromptError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-t 1 2 x", "-t 1 -t 2 x"),
        ("x -t 1", "x -t 1"),
        ("-t 1 2 -u 3", "-t 1 -t 2 -u 3"),
        ("-t 1 -t 2 3", "-t 1 -t 2 -t 3"),
        ("-t a 2", "-t a -t 2"),
        ("-t 1 -- 2", "-t 1 -- 2"),
        ("-u 1 2", "-u 1 2"),
        ("-t", "-t"),
    ],
    ids=["ends-at-word", "one", "ends-at-option", "again", "bad-first", "dashes", "other", "bare"],
)
def test_repeat_flag(words: str, expected: str) -> None:
    assert repeat_flag(words.split(), {"-t"}, str.isdigit) == expected.split()


def test_numbers() -> None:
    assert numbers("1,2.5, -3,4e1", 4) == (1.0, 2.5, -3.0, 40.0)
    assert point("7,8") == (7.0, 8.0)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "1;2"])
def test_words_that_are_no_point(text: str) -> None:
    with pytest.raises(PromptError, match="is not 2 numbers with commas between"):
        point(text)


def test_positive_prompts_come_first() -> None:
    assert with_polarity(["a"], ["b", "c"]) == [("a", True), ("b", False), ("c", False)]
    assert with_polarity(None, None) == []
