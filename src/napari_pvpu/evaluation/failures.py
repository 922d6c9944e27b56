"""The objects that went worst: which they are, and pictures of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_pvpu.evaluation import metrics
from napari_pvpu.evaluation.benchmark_layouts import open_dataset
from napari_pvpu.evaluation.case_pictures import draw_case
from napari_pvpu.evaluation.regions import EMPTY_REGION, RegionMask, bounding_rect
from napari_pvpu.evaluation.report import set_name
from napari_pvpu.evaluation.runner import interactions, robot_for
from napari_pvpu.evaluation.suite import Task, make_method_of, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_pvpu.evaluation.dataset import MaskFolder, Sample
    from napari_pvpu.evaluation.methods import Method
    from napari_pvpu.evaluation.settings import EvaluationSettings

    Result: TypeAlias = Mapping[str, Any]

__all__ = ["JUDGED_AT", "WORST", "PictureJob", "draw_worst", "worst_objects"]

JUDGED_AT = 5
"""Interactions after which objects are compared, and shown."""

WORST = 10


def worst_objects(
    result: Result, count: int = WORST, at: int = JUDGED_AT
) -> list[Mapping[str, Any]]:
    """The objects of a result with the lowest IoU after some interactions.

    Parameters
    ----------
    result : mapping
        Of an evaluation.
    count : int
        How many.
    at : int
        After how many interactions.

    Returns
    -------
    list of mapping
        As in the result, the worst first; by image and label where they are as bad.
    """
    return sorted(
        result["objects"],
        key=lambda each: (metrics.iou_at([each["iou"]], at), each["image"], each["label"]),
    )[:count]


@dataclass(frozen=True, slots=True)
class PictureJob:
    """One set whose worst objects are to be drawn.

    Parameters
    ----------
    task : Task
        That was done; its result says which objects.
    out : Path
        Folder for ``<set>/01.webp``, ... and ``<set>.json``.
    """

    task: Task
    out: Path


def draw_worst(job: PictureJob) -> Path:
    """Segment the worst objects of a result once more, and draw them.

    They come out as they did before: nothing depends on which objects are segmented. Pictures of
    the same objects and weights that are there already are kept.

    Parameters
    ----------
    job : PictureJob
        The set and where to write.

    Returns
    -------
    Path
        The JSON file: ``weights``, ``at``, and for each of ``cases`` the ``picture`` (relative to
        the file), ``image``, ``label``, ``area`` and ``iou`` after each interaction.
    """
    result = json.loads(job.task.path.read_text(encoding="utf-8"))
    name = set_name(job.task.folder)
    listed = job.out / f"{name}.json"
    cases = [
        {key: each[key] for key in ("image", "label", "area", "iou")}
        | {"picture": f"{name}/{number:02d}.webp"}
        for number, each in enumerate(worst_objects(result), 1)
    ]
    told = {"weights": result.get("weights"), "at": JUDGED_AT, "cases": cases}
    if _is_drawn(listed, told):
        return listed
    shutil.rmtree(job.out / name, ignore_errors=True)
    (job.out / name).mkdir(parents=True)
    settings = job.task.settings
    folder = open_dataset(job.task.folder, settings.min_area, settings.split, settings.layout)
    method = make_method_of(settings)
    samples: dict[str, int] = {files.stem: index for index, files in enumerate(folder.files)}
    for case in cases:
        index = samples[case["image"]]
        picture = _draw(method, folder, index, case["label"], settings)
        picture.save(job.out / case["picture"], quality=90)
    write_json(listed, told)
    return listed


def _draw(
    method: Method, folder: MaskFolder, index: int, label: int, settings: EvaluationSettings
) -> Any:
    """Let the robot work on one object, and draw what came of it."""
    sample = folder[index]
    (ref,) = [each for each in folder.objects(index) if each.label == label]
    method.open(sample.image)
    robot = robot_for(sample, ref, settings, repeat=0)
    most = min(JUDGED_AT, settings.max_interactions)
    prompts, region = [], EMPTY_REGION
    for prompt, found, _ in islice(interactions(method, robot), most):
        prompts.append(prompt)
        region = found
    return draw_case(sample.image, _object(sample, label), _trimmed(region), prompts)


def _object(sample: Sample, label: int) -> RegionMask:
    return _trimmed(RegionMask(0, 0, sample.labels == label))


def _trimmed(region: RegionMask) -> RegionMask:
    """The same mask over the smallest box."""
    rect = bounding_rect(region.mask)
    if rect is None:
        return EMPTY_REGION
    top, left, bottom, right = rect
    return RegionMask(region.row + top, region.col + left, region.mask[top:bottom, left:right])


def _is_drawn(listed: Path, told: Mapping[str, Any]) -> bool:
    try:
        same = json.loads(listed.read_text(encoding="utf-8")) == told
    except (OSError, ValueError):
        return False
    return same and all((listed.parent / case["picture"]).is_file() for case in told["cases"])
