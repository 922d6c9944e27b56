"""Run the simulated user on a folder of images with masks, with any method, and sum up.

Each object is segmented on its own, as the first object on its image: a new beginning
(``Session.reset()``), nothing accepted before, so no size is known from a neighbour, and no zoom.
The method gets the whole image and the prompts. Only features of views that an earlier object on
the same image needed too may still be in memory, which saves time and changes no result;
`ms_per_interaction` leaves encoding out for that reason.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_pvpu.errors import DatasetError, PvpuError
from napari_pvpu.evaluation import metrics
from napari_pvpu.evaluation.dataset import MaskFolder, ObjectRef, Sample
from napari_pvpu.evaluation.methods import Method, Step, make_method
from napari_pvpu.evaluation.regions import EMPTY_REGION
from napari_pvpu.evaluation.robot import PromptMode, Robot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["EvaluationSettings", "ObjectResult", "evaluate", "run_object", "summarise"]

IOU_AT = (1, 2, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Everything that decides the numbers, written into the result.

    Parameters
    ----------
    prompts : {"click", "box", "scribble", "mixed"}
        Kind of the first interaction; see `Robot`.
    max_interactions : int
        At most this many for an object.
    targets : tuple of float
        IoUs for NoC and failures.
    method, model : str
        What segments; the model matters for the method "pvpu" only.
    em : bool
        Value propagation on.
    limit, min_area, seed
        As in `MaskFolder.sample_objects`.
    threshold : float
        On the probability; 0.49 is RITM's.
    jitter : float
        Clicks land up to this many pixels off.

    Raises
    ------
    PvpuError
        When a number is out of range.
    """

    prompts: PromptMode = "click"
    max_interactions: int = 20
    targets: tuple[float, ...] = (0.8, 0.85, 0.9)
    method: str = "pvpu"
    model: str = "pvpu-nano"
    device: str = "auto"
    em: bool = False
    limit: int | None = None
    min_area: int = 1
    seed: int = 0
    threshold: float = 0.49
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.max_interactions < 1:
            raise PvpuError(f"max_interactions is {self.max_interactions}; it must be 1 or more")
        if not self.targets or not all(0 < target <= 1 for target in self.targets):
            raise PvpuError(f"targets are {self.targets}; give IoUs above 0 and up to 1")
        if self.limit is not None and self.limit < 1:
            raise PvpuError(f"limit is {self.limit}; it must be 1 or more objects")
        if not 0 < self.threshold < 1:
            raise PvpuError(f"threshold is {self.threshold}; it must be between 0 and 1")

    def make_method(self) -> Method:
        """Build the method named; raises what `methods.make_method` raises."""
        return make_method(
            self.method,
            model=self.model,
            device=self.device,
            em=self.em,
            threshold=self.threshold,
        )

    @property
    def full_run(self) -> int:
        """Interactions made for every object, met targets or not: those that IoU@k asks for."""
        return min(self.max_interactions, max(IOU_AT))


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """The curve of one object and what its interactions cost."""

    image: str
    label: int
    area: int
    ious: tuple[float, ...]
    kinds: tuple[str, ...]
    steps: tuple[Step, ...] = field(repr=False)


def run_object(
    method: Method, sample: Sample, ref: ObjectRef, settings: EvaluationSettings
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

    Returns
    -------
    ObjectResult
    """
    robot = Robot(
        sample.labels == ref.label,
        sample.valid,
        mode=settings.prompts,
        # Depends on the object alone: other objects and limits change nothing for this one.
        seed=(settings.seed, ref.image, ref.label),
        jitter=settings.jitter,
    )
    method.start()
    region = EMPTY_REGION
    ious: list[float] = []
    kinds: list[str] = []
    steps: list[Step] = []
    for count in range(settings.max_interactions):
        if count >= settings.full_run and max(ious) >= max(settings.targets):
            break
        prompt = robot.next_prompt(region)
        if prompt is None:
            break
        region, step = method.add(prompt)
        ious.append(robot.iou(region))
        kinds.append(type(prompt).__name__.lower())
        steps.append(step)
    return ObjectResult(sample.stem, ref.label, ref.area, tuple(ious), tuple(kinds), tuple(steps))


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
        A folder as `MaskFolder` describes it.
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
    folder = MaskFolder(root, settings.min_area)
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
        result = run_object(method, sample, ref, settings)
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
        Written along; give targets and the number of interactions.
    dataset : str
        Where the objects came from.
    n_images : int, optional
        Number of images they came from.

    Returns
    -------
    dict
        ``n_objects``; ``iou_at`` {"1": mean IoU, ..., "10"}, None for more interactions than were
        allowed; ``noc`` and ``failures`` by target; ``worse_share``; ``ms_per_interaction`` and
        ``ms_encode`` {"median", "p95"} without and of encoding alone (over the interactions that
        encoded something; None without any), ``ms_total`` of both together; ``settings``; and
        ``objects``, the curve of each.

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
        "n_objects": len(results),
        "n_images": n_images,
        "iou_at": {str(k): metrics.iou_at(curves, k) if k <= limit else None for k in IOU_AT},
        "noc": {key: metrics.mean_noc(curves, target, limit) for key, target in keys.items()},
        "failures": {
            key: metrics.failure_share(curves, target, limit) for key, target in keys.items()
        },
        "worse_share": metrics.worse_share(curves),
        "ms_per_interaction": _quantiles([step.total_ms - step.encode_ms for step in steps]),
        "ms_encode": _quantiles(encoding),
        "ms_total": _quantiles([step.total_ms for step in steps]),
        "settings": {**asdict(settings), "targets": list(settings.targets), "dataset": dataset},
        "objects": [
            {
                "image": result.image,
                "label": result.label,
                "area": result.area,
                "kinds": list(result.kinds),
                "iou": [round(value, 4) for value in result.ious],
            }
            for result in results
        ],
    }


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"median": None, "p95": None}
    median, high = np.percentile(values, (50, 95))
    return {"median": round(float(median), 3), "p95": round(float(high), 3)}
