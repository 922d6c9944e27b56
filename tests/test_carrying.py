"""Masks are carried by the bundled model: where the object is, until it ends, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from fakes import FloodPredictor
from napari_pvpu.carrying import Carried, Carrier, CarryPolicy, PlaneMask, overlap
from napari_pvpu.evaluation.volumes import Volume, draw_volume
from napari_pvpu.journal import Journal, read_journal
from napari_pvpu.plane_walk import WalkPolicy
from napari_pvpu.replay import replay
from napari_pvpu.segmenter import Segmenter
from napari_pvpu.source import ImageSource
from pictures import seen


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter("pvpu-nano", device="cpu", store=False)


@pytest.fixture(scope="module")
def volume() -> Volume:
    return draw_volume("spheres", 3, (20, 96, 96))


@pytest.fixture(scope="module")
def sphere(volume: Volume) -> tuple[int, int]:
    """The object of the most pixels, and the plane in which it has the most."""
    number = int(np.argmax(np.bincount(volume.truth.ravel())[1:])) + 1
    return number, int(np.argmax((volume.truth == number).sum(axis=(1, 2))))


def test_sphere_is_carried_both_ways_and_ends(segmenter, volume, sphere, tmp_path) -> None:
    number, middle = sphere
    truth = volume.truth == number
    session = segmenter.open(volume.image, axes="ZYX")
    journal = Journal.create(tmp_path / "a.pvpu", session, volume.image)
    session.plane = middle
    session.open_mask(truth[middle])
    session.accept()
    session.propagate()
    found = np.asarray(session.labels) == 1
    planes = np.flatnonzero(truth.any(axis=(1, 2)))
    carried = np.flatnonzero(found.any(axis=(1, 2)))
    assert abs(carried[0] - planes[0]) <= 2
    assert abs(carried[-1] - planes[-1]) <= 2
    large = [z for z in planes if truth[z].sum() > 0.3 * truth[middle].sum()]
    assert np.mean([overlap(found[z], truth[z]) for z in large]) > 0.85
    journal.close()
    again = replay(read_journal(tmp_path / "a.pvpu"), volume.image, segmenter)
    assert seen(again) == seen(session)


def test_object_that_is_not_there_is_not_found(segmenter, volume, sphere) -> None:
    number, middle = sphere
    empty = volume.image.copy()
    # The background of another place, where the object would be.
    empty[middle + 1] = np.random.default_rng(0).normal(45, 5, empty.shape[1:]).clip(0, 255)
    known = PlaneMask.tight(0, 0, volume.truth[middle] == number)
    assert known is not None
    there, gone = (
        Carrier(ImageSource(image, axes="ZYX"), segmenter).carry(
            [((middle,), known, 1.0)], (middle + 1,)
        )
        for image in (volume.image, empty)
    )
    assert there.confidence > 0.7
    assert gone.confidence < WalkPolicy().least_of_recent * there.confidence


def test_guards_are_around_the_object_and_not_on_it() -> None:
    image = np.full((2, 60, 60), 20, np.uint8)
    rows, cols = np.mgrid[:60, :60]
    disk = np.hypot(rows - 30, cols - 30) <= 10
    image[:, disk] = 200
    predictor = FloodPredictor(64)
    known = PlaneMask.tight(0, 0, disk)
    assert known is not None
    carrier = Carrier(ImageSource(image, axes="ZYX"), predictor)
    found = carrier.carry([((0,), known, 1.0)], (1,))
    (prompts, fed, _), (again, fed_again, _) = predictor.decoded[-2:]
    assert again == prompts
    assert not fed_again, "the clicks alone"
    assert [prompt.positive for prompt in prompts] == [True, False, False, False, False]
    assert fed
    middle = np.array(prompts[0].position)
    away = [np.hypot(*(np.array(each.position) - middle)) for each in prompts[1:]]
    assert max(away) < 1.2 * min(away), "at one distance all around"
    assert found.mask is not None
    assert overlap(found.mask.over((0, 0, 60, 60)), disk) > 0.9
    alone = Carrier(ImageSource(image, axes="ZYX"), predictor, policy=CarryPolicy(guards=0))
    alone.carry([((0,), known, 1.0)], (1,))
    assert len(predictor.decoded[-1][0]) == 1


@pytest.mark.parametrize(
    ("score", "borne_out", "confidence"), [(0.9, 1.0, 0.9), (0.8, 0.5, 0.4), (0.0, 0.0, 0.0)]
)
def test_confidence_takes_both_the_network_and_em(score, borne_out, confidence) -> None:
    assert Carried(None, score, borne_out).confidence == pytest.approx(confidence)


def test_mask_over_another_box() -> None:
    mask = PlaneMask.tight(10, 20, np.array([[0, 0, 0], [0, 1, 1]], bool))
    assert mask is not None
    assert (mask.box, mask.area) == ((11, 21, 12, 23), 2)
    np.testing.assert_array_equal(mask.over((10, 20, 12, 22)), [[0, 0], [0, 1]])
    assert PlaneMask.tight(0, 0, np.zeros((2, 2), bool)) is None
