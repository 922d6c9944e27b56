"""Which curves are drawn, and how they look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from napari_pvpu.evaluation import curves

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")


def of_sets(names: str, *ious: float) -> dict[str, Any]:
    """Results on the sets ``a``, ``b``, ..., each of two objects with the same curve."""
    objects = [{"image": "x", "label": label, "iou": list(ious)} for label in (1, 2)]
    settings = {"max_interactions": len(ious)}
    return {name: {"settings": settings, "objects": objects} for name in names}


KINDS = {"click": of_sets("ab", 0.5, 0.7, 0.8), "box": of_sets("ab", 0.7, 0.8, 0.85)}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Draw, and return the lines by their labels."""
    drawn: list[Any] = []
    monkeypatch.setattr(curves, "_save", lambda figure, path: drawn.append(figure))

    def draw(**more: Any) -> dict[str, Any]:
        curves.draw_macro_curves(KINDS, tmp_path / "x.svg", **more)
        figure = drawn.pop()
        (legend,) = figure.legends
        found = {line.get_label(): line for line in figure.axes[0].lines}
        assert sorted(text.get_text() for text in legend.get_texts()) == sorted(found)
        return found

    return draw


def test_em_is_dashed_in_the_colour_of_its_kind(lines: Any) -> None:
    found = lines(em={"click": of_sets("ab", 0.5, 0.75)})
    assert list(found) == ["clicks", "box first", "clicks, EM on"]
    on, off = found["clicks, EM on"], found["clicks"]
    assert (on.get_linestyle(), off.get_linestyle()) == ("--", "-")
    assert on.get_color() == off.get_color()
    # Curves that lie on each other are told apart by their marks.
    assert on.get_markerfacecolor() == "white"
    assert on.get_ydata() == pytest.approx([0.5, 0.75])


def test_classical_methods_are_grey_and_named(lines: Any) -> None:
    found = lines(baselines={"otsu": of_sets("ab", 0.2, 0.3), "flood": of_sets("ab", 0.1)})
    grey = {name: line for name, line in found.items() if line.get_color() == "#888888"}
    assert list(grey) == ["otsu", "flood"]
    assert len({line.get_marker() for line in grey.values()}) == 2
    assert grey["otsu"].get_ydata() == pytest.approx([0.2, 0.3])


def test_means_over_other_sets_are_not_drawn(lines: Any) -> None:
    more = of_sets("ab", 0.3) | of_sets("c", 0.9)
    found = lines(
        em={"box": of_sets("a", 0.5), "scribble": of_sets("ab", 0.5)},
        baselines={"otsu": of_sets("b", 0.2), "flood": more},
    )
    assert set(found) == {"clicks", "box first", "flood"}
    assert found["flood"].get_ydata() == pytest.approx([0.3])
