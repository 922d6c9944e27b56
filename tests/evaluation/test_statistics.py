from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pvpu.evaluation import metrics, statistics

CURVES = [[0.5, 0.82, 0.79], [0.9], [0.3, 0.2, 0.85, 0.95]]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (statistics.iou_measure(1), (0.5 + 0.9 + 0.3) / 3),
        (statistics.iou_measure(3), (0.79 + 0.9 + 0.85) / 3),
        (statistics.noc_measure(0.8, 4), (2 + 1 + 3) / 3),
        (statistics.noc_measure(0.9, 3), (3 + 1 + 3) / 3),
        (statistics.failure_measure(0.85, 3), 1 / 3),
        (statistics.worse_measure(), 2 / 8),
    ],
    ids=["iou-1", "iou-3", "noc-80", "noc-90", "failed", "worse"],
)
def test_measures_of_one_set(measure, expected) -> None:
    values = statistics.object_values(CURVES, [measure])
    assert statistics.macro_mean([values]) == pytest.approx([expected])


def test_titles() -> None:
    measures = [
        statistics.iou_measure(5),
        statistics.noc_measure(0.85, 20),
        statistics.failure_measure(0.9, 20),
        statistics.worse_measure(),
    ]
    assert [measure.title for measure in measures] == ["IoU@5", "NoC@85", "failed@90", "worse"]


curves = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=6), min_size=1, max_size=5)


@given(curves, st.integers(1, 6))
def test_the_macro_mean_is_that_of_the_metrics(values, k) -> None:
    measures = [statistics.iou_measure(k), statistics.noc_measure(0.7, 6)]
    measures.append(statistics.worse_measure())
    mean = statistics.macro_mean([statistics.object_values(values, measures)])
    assert mean[0] == pytest.approx(metrics.iou_at(values, k))
    assert mean[1] == pytest.approx(metrics.mean_noc(values, 0.7, 6))
    assert mean[2] == pytest.approx(metrics.worse_share(values))


def test_sets_weigh_the_same_whatever_their_size() -> None:
    measures = [statistics.iou_measure(1)]
    large = statistics.object_values([[0.2]] * 30, measures)
    small = statistics.object_values([[0.8]], measures)
    assert statistics.macro_mean([large, small]) == pytest.approx([0.5])


def test_the_bootstrap_gives_the_standard_error_of_the_mean() -> None:
    rng = np.random.default_rng(1)
    sets = [rng.uniform(0, 1, count) for count in (200, 50)]
    measures = [statistics.iou_measure(1)]
    values = [statistics.object_values([[x] for x in each], measures) for each in sets]
    expected = np.sqrt(sum(each.var() / len(each) for each in sets)) / 2
    draws = statistics.bootstrap_macro(values, draws=4000)
    assert draws.shape == (4000, 1)
    assert draws.std() == pytest.approx(expected, rel=0.05)
    assert draws.mean() == pytest.approx(statistics.macro_mean(values)[0], abs=4 * expected / 60)
    low, high = statistics.interval(draws)
    assert (high - low)[0] == pytest.approx(2 * 1.96 * expected, rel=0.08)


def test_pairs_draw_the_same_objects() -> None:
    measures = [statistics.iou_measure(1)]
    one = np.linspace(0, 1, 20)
    first, second = (
        statistics.object_values([[x] for x in way], measures) for way in (one, one * 0.9 + 0.05)
    )
    draws = [statistics.bootstrap_macro([way]) for way in (first, second)]
    # The second is a line over the first, so each draw of it lies on that line.
    assert draws[1] == pytest.approx(draws[0] * 0.9 + 0.05)


def test_no_interactions_are_no_share() -> None:
    values = statistics.object_values([[], []], [statistics.worse_measure()])
    assert statistics.macro_mean([values]) == pytest.approx([0.0])
