"""Run the simulated user on a folder of images with masks, with any method, and sum up.

Each object is segmented on its own, as the first object on its image: a new beginning
(``Session.reset()``), nothing accepted before, so no size is known from a neighbour, and no zoom.
The method gets the whole image and the prompts. Only features of views that an earlier object on
the same image needed too may still be in memory, which saves time and changes no result;
`ms_per_interaction` leaves encoding out for that reason. The protocol "ritm" drives a network
without a session, see `protocol`; everything here is the same for both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation import metrics
from napari_pvpu.evaluation.benchmark_layouts import open_dataset
from napari_pvpu.evaluation.regions import EMPTY_REGION
from napari_pvpu.evaluation.robot import Robot
from napari_pvpu.evaluation.settings import IOU_AT, EvaluationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_pvpu.evaluation.dataset import ObjectRef, Sample
    from napari_pvpu.evaluation.methods import Method, Step
    from napari_pvpu.evaluation.regions import RegionMask
    from napari_pvpu.prompts import Box, Click, Scribble

__all__ = [
    "EvaluationSettings",
    "ObjectResult",
    "evaluate",
    "interactions",
    "robot_for",
    "run_object",
    "summarise",
]


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """The curve of one object and what its interactions cost.

    `wall_ms` is all of the time, with scoring and the robot's; `repeat` counts the seeds.
    """

    image: str
    label: int
    area: int
    ious: tuple[float, ...]
    kinds: tuple[str, ...]
    steps: tuple[Step, ...] = field(repr=False)
    wall_ms: float = 0.0
    repeat: int = 0


def run_object(
    method: Method,
    sample: Sample,
    ref: ObjectRef,
    settings: EvaluationSettings,
    repeat: int = 0,
) -> ObjectResult:
    """Let the simulated user segment one object.

    Goes on for as many interactions as IoU@k asks for, then until the highest target is met, at
    most `max_interactions`, and ends when nothing is wrong any more.

    Parameters
    ----------
    method : Method
        With `sample.image` open.
    sample : Sample
        The image and its labels.
    ref : ObjectRef
        Which object.
    settings : EvaluationSettings
        Kind and number of prompts, targets, seed.
    repeat : int
        Added to the seed.

    Returns
    -------
    ObjectResult
    """
    begin = perf_counter()
    robot = robot_for(sample, ref, settings, repeat)
    ious: list[float] = []
    kinds: list[str] = []
    steps: list[Step] = []
    for prompt, region, step in interactions(method, robot):
        ious.append(robot.iou(region))
        kinds.append(type(prompt).__name__.lower())
        steps.append(step)
        count = len(ious)
        if count == settings.max_interactions or (
            count >= settings.full_run and max(ious) >= max(settings.targets)
        ):
            break
    return ObjectResult(
        sample.stem,
        ref.label,
        ref.area,
        tuple(ious),
        tuple(kinds),
        tuple(steps),
        (perf_counter() - begin) * 1e3,
        repeat,
    )


def robot_for(sample: Sample, ref: ObjectRef, settings: EvaluationSettings, repeat: int) -> Robot:
    """The simulated user of one object, who depends on it alone, not on limits or other objects."""
    return Robot(
        sample.labels == ref.label,
        sample.valid,
        mode=settings.prompts,
        seed=(settings.seed + repeat, ref.image, ref.label),
        jitter=settings.jitter,
    )


def interactions(
    method: Method, robot: Robot
) -> Iterator[tuple[Click | Box | Scribble, RegionMask, Step]]:
    """Let a simulated user and a method answer each other on a new object.

    Parameters
    ----------
    method : Method
        With the image open.
    robot : Robot
        Who has not begun yet.

    Yields
    ------
    prompt, region, step
        Without end, unless nothing is wrong any more.
    """
    method.start()
    region = EMPTY_REGION
    while (prompt := robot.next_prompt(region)) is not None:
        region, step = method.add(prompt)
        yield prompt, region, step


def evaluate(
    root: str | Path,
    settings: EvaluationSettings,
    *,
    method: Method | None = None,
    progress: bool = True,
    on_result: Callable[[ObjectResult], None] | None = None,
) -> dict[str, Any]:
    """Evaluate one folder.

    Parameters
    ----------
    root : path
        A folder as `MaskFolder` or a layout of `benchmark_layouts` describes it.
    settings : EvaluationSettings
        What to measure.
    method : Method, optional
        Built from the settings by default; given when several folders share one.
    progress : bool
        Show a progress bar on stderr (if that is a terminal).
    on_result : callable, optional
        Called with each object's result as it is there.

    Returns
    -------
    dict
        As `summarise`; ready for `json.dump`.

    Raises
    ------
    DatasetError
        When the folder is not as documented or holds no object.
    PvpuError
        From `methods.make_method`.
    """
    folder = open_dataset(root, settings.min_area, settings.split, settings.layout)
    objects = folder.sample_objects(settings.limit, settings.seed)
    if method is None:
        method = settings.make_method()
    results = []
    sample: Sample | None = None
    opened = -1
    name = Path(root).name
    for ref in tqdm(objects, desc=f"{name}: {settings.method}", disable=None if progress else True):
        if sample is None or ref.image != opened:
            sample, opened = folder[ref.image], ref.image
            method.open(sample.image)
        for repeat in range(settings.seeds):
            result = run_object(method, sample, ref, settings, repeat)
            results.append(result)
            if on_result is not None:
                on_result(result)
    return summarise(results, settings, dataset=str(root), n_images=len({r.image for r in objects}))


def summarise(
    results: Sequence[ObjectResult],
    settings: EvaluationSettings,
    *,
    dataset: str = "",
    n_images: int | None = None,
) -> dict[str, Any]:
    """Sum up the results of one set.

    Parameters
    ----------
    results : sequence of ObjectResult
        At least one.
    settings : EvaluationSettings
        Written along; give targets, seeds and the number of interactions.
    dataset : str
        Where the objects came from.
    n_images : int, optional
        Number of images they came from.

    Returns
    -------
    dict
        ``n_objects``; ``iou_at`` {"1": mean IoU, ..., "10"}, None for more interactions than
        every object was given; ``noc`` and ``failures`` (share) by target; ``nof`` {"at_limit",
        "never"}, RITM's count of objects with NoC at its limit and the count of those that never
        got there; ``worse_share``; ``ms_per_interaction`` and ``ms_encode`` {"median", "p95"}
        without and of encoding alone (over the interactions that encoded something; None without
        any), ``ms_total`` of both together; ``speed`` from `metrics.speed`; ``iou_curve``, mean
        IoU after each interaction, for an IoU analysis, else None; ``over_seeds`` from
        `_over_seeds` for several seeds, else None; ``settings``; and ``objects``, the curve of
        each.

    Raises
    ------
    DatasetError
        Without results.
    """
    if not results:
        raise DatasetError("there is no result to sum up; evaluate at least one object")
    curves = [result.ious for result in results]
    limit = settings.max_interactions
    steps = [step for result in results for step in result.steps]
    encoding = [step.encode_ms for step in steps if step.encode_ms > 0]
    keys = {f"{target:g}": target for target in settings.targets}
    return {
        "dataset": dataset,
        "n_objects": len(results) // settings.seeds,
        "n_images": n_images,
        "iou_at": {
            str(k): metrics.iou_at(curves, k) if k <= settings.full_run else None for k in IOU_AT
        },
        "noc": {key: metrics.mean_noc(curves, target, limit) for key, target in keys.items()},
        "failures": {
            key: metrics.failure_share(curves, target, limit) for key, target in keys.items()
        },
        "nof": {
            "at_limit": {
                key: metrics.at_limit(curves, target, limit) / settings.seeds
                for key, target in keys.items()
            },
            "never": {
                key: metrics.never(curves, target, limit) / settings.seeds
                for key, target in keys.items()
            },
        },
        "worse_share": metrics.worse_share(curves),
        "ms_per_interaction": _quantiles([step.total_ms - step.encode_ms for step in steps]),
        "ms_encode": _quantiles(encoding),
        "ms_total": _quantiles([step.total_ms for step in steps]),
        "speed": metrics.speed(
            [[(step.encode_ms, step.total_ms) for step in result.steps] for result in results],
            [result.wall_ms for result in results],
        ),
        "iou_curve": (
            [metrics.iou_at(curves, k + 1) for k in range(limit)] if settings.iou_analysis else None
        ),
        "over_seeds": _over_seeds(results, settings) if settings.seeds > 1 else None,
        "settings": {**asdict(settings), "targets": list(settings.targets), "dataset": dataset},
        "objects": [
            {
                "image": result.image,
                "label": result.label,
                "area": result.area,
                "kinds": list(result.kinds),
                "iou": [round(value, 4) for value in result.ious],
                "seed": settings.seed + result.repeat,
            }
            for result in results
        ],
    }


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"median": None, "p95": None}
    median, high = np.percentile(values, (50, 95))
    return {"median": round(float(median), 3), "p95": round(float(high), 3)}


def _over_seeds(
    results: Sequence[ObjectResult], settings: EvaluationSettings
) -> dict[str, dict[str, dict[str, float]]]:
    """Mean, standard deviation and range over seeds of NoC, failures and IoU@k."""
    by_seed: dict[int, list[tuple[float, ...]]] = {}
    for result in results:
        by_seed.setdefault(result.repeat, []).append(result.ious)
    groups, limit = list(by_seed.values()), settings.max_interactions
    targets = {f"{target:g}": target for target in settings.targets}
    return {
        "noc": {
            key: metrics.spread([metrics.mean_noc(group, target, limit) for group in groups])
            for key, target in targets.items()
        },
        "failures": {
            key: metrics.spread([metrics.failure_share(group, target, limit) for group in groups])
            for key, target in targets.items()
        },
        "iou_at": {
            str(k): metrics.spread([metrics.iou_at(group, k) for group in groups])
            for k in IOU_AT
            if k <= settings.full_run
        },
    }
