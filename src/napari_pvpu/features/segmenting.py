"""Segmenting many images by prompts from a file, on the same workers as encoding ahead."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import PvpuError
from napari_pvpu.features.embedding import connect, on_cluster, on_this_machine, workers_of
from napari_pvpu.features.image_files import open_image
from napari_pvpu.features.precompute import Job
from napari_pvpu.prompts import prompt_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_pvpu.prompt_files import PromptedObject, PromptFile
    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.session import Session

__all__ = ["SegmentReport", "SegmentSettings", "Segmented", "segment_images", "segment_one"]

_NOTES = ".napari-pvpu"
"""Folder beside the labels with a note for each image: what they were made from."""


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """How images are segmented.

    Attributes
    ----------
    prompts : PromptFile
        Of all images.
    out : str
        Folder for the labels.
    names : dict of str to str
        Name of the file of labels for each image, by its path.
    format_name : str
        A key of `napari_pvpu.export.FORMATS`.
    model, device, runtime : str
        See `Segmenter`.
    store : str or None
        Folder of the feature store; None for the usual one.
    em : bool
        EM value propagation.
    threshold : float
        On the probability.
    axes : str or None
        Of the images; by default as the files say.
    threads : int
        Of each process.
    """

    prompts: PromptFile
    out: str
    names: dict[str, str]
    format_name: str = "tiff"
    model: str = "pvpu-nano"
    device: str = "auto"
    runtime: str = "torch"
    store: str | None = None
    em: bool = False
    threshold: float = 0.5
    axes: str | None = None
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Segmented:
    """What became of an image.

    Attributes
    ----------
    image : str
        Path.
    labels : str or None
        The file that was written, or was there already.
    objects : int
        How many it holds.
    found : bool
        Whether it was there already, made from the same prompts.
    problems : tuple of str
        Objects that could not be made, and why.
    seconds : float
        Of one process.
    error : str or None
        Why the image was given up.
    runtime : str or None
        What computed, see `Segmenter.runtime`.
    """

    image: str
    labels: str | None = None
    objects: int = 0
    found: bool = False
    problems: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    runtime: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """What became of all images, and of the file of prompts.

    Attributes
    ----------
    images : tuple of Segmented
        In the order in which they were given.
    problems : tuple of str
        Of the file of prompts, with lines.
    seconds : float
        From beginning to end.
    workers : int
        Processes that shared the work.
    """

    images: tuple[Segmented, ...]
    problems: tuple[str, ...]
    seconds: float
    workers: int

    @property
    def failed(self) -> tuple[Segmented, ...]:
        """Images that were given up."""
        return tuple(image for image in self.images if image.error is not None)

    @property
    def complete(self) -> bool:
        """Whether every prompt has been used."""
        return not (self.failed or self.problems or any(each.problems for each in self.images))

    def summary(self) -> str:
        """Return one sentence."""
        made = sum(image.objects for image in self.images)
        found = sum(image.found for image in self.images)
        faults = len(self.problems) + sum(len(image.problems) for image in self.images)
        return (
            f"{len(self.images) - len(self.failed)} of {len(self.images)} images: {made} objects "
            f"({found} images were done already), {faults} problems, in {self.seconds:.1f} s with "
            f"{self.workers} worker{'s' * (self.workers != 1)}."
        )

    def to_json(self) -> str:
        """Return the report for programs."""
        return json.dumps(asdict(self) | {"failed": len(self.failed)}, indent=1) + "\n"

    def to_markdown(self) -> str:
        """Return the report for people: the sum, a table, and what went wrong."""
        lines = [f"# Images segmented by prompts\n\n{self.summary()}\n"]
        lines += ["| image | labels | objects | seconds | |", "|---|---|---:|---:|---|"]
        for image in self.images:
            state = "failed" if image.error else "done already" if image.found else "ok"
            cells = (image.image, image.labels or "", image.objects, f"{image.seconds:.1f}", state)
            lines.append(f"| {' | '.join(_cell(str(each)) for each in cells)} |")
        if self.problems:
            lines += ["\n## Prompts that could not be used\n"]
            lines += [f"- {_cell(each)}" for each in self.problems]
        faults = [
            f"- `{_cell(image.image)}`: {_cell(each)}"
            for image in self.images
            for each in (*image.problems, *filter(None, [image.error]))
        ]
        return "\n".join([*lines, *(["\n## Images\n"] if faults else []), *faults]) + "\n"


def segment_images(
    images: Sequence[str | Path],
    settings: SegmentSettings,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Callable[[Segmented], None] = lambda _: None,
) -> SegmentReport:
    """Segment images by prompts; what was done already from the same prompts is passed over.

    Parameters
    ----------
    images : sequence of path
        See `open_image`. One that fails does not stop the others.
    settings : SegmentSettings
        Prompts and model.
    workers : int
        Processes on this machine.
    scheduler : str, optional
        Address of a dask cluster that does the work instead.
    progress : callable, optional
        Called with each image that is done.

    Raises
    ------
    PvpuError
        If the model or the device cannot be used, or there is no cluster at the address.
    """
    start = time.perf_counter()
    names = list(dict.fromkeys(map(str, images)))
    jobs = [Job(name) for name in names]
    if scheduler is None:
        work = on_this_machine(jobs, settings, workers, segment_one, _given_up)
    else:
        client = connect(scheduler)
        workers = workers_of(client)
        work = on_cluster(jobs, settings, client, segment_one, _given_up)
    done: dict[str, Segmented] = {}
    for each in work:
        done[each.image] = each
        progress(each)
    problems = [
        *settings.prompts.problems,
        *(
            f"there is no image {name!r} among those given"
            for name in settings.prompts.unknown_images(names)
        ),
    ]
    ordered = tuple(done[name] for name in names)
    return SegmentReport(ordered, tuple(problems), time.perf_counter() - start, workers)


def segment_one(job: Job, settings: SegmentSettings) -> Segmented:
    """Segment an image and write its labels; never raises for a bad image.

    Raises
    ------
    PvpuError
        If the model or the device cannot be used, for any image.
    """
    objects = settings.prompts.for_image(job.image)
    start = time.perf_counter()
    if not objects:
        return Segmented(job.image, problems=("the file holds no prompt for it",))
    out = Path(settings.out, settings.names[job.image])
    note = out.parent / _NOTES / f"{out.name}.json"
    try:
        made_from = _digest(job.image, objects, settings)
        known = _known(note)
        if known.get("made from") == made_from and out.exists():
            problems = tuple(known["problems"])
            return Segmented(job.image, str(out), int(known["objects"]), True, problems)
    except (OSError, ValueError, KeyError, TypeError):  # an unreadable note is none
        made_from = ""
    segmenter = _SEGMENTERS.get(settings)
    try:
        session = segmenter.open(open_image(job.image, settings.axes))
        problems = tuple(_segment(session, objects, settings))
        if not session.objects:
            return Segmented(
                job.image, problems=problems, seconds=time.perf_counter() - start,
                error="none of its objects could be made",
            )  # fmt: skip
        _write(session, out, settings)
        note.parent.mkdir(exist_ok=True)
        count = len(session.objects)
        noted = {"made from": made_from, "objects": count, "problems": problems}
        note.write_text(json.dumps(noted) + "\n", "utf-8")
    except PvpuError as error:
        return _given_up(job, str(error), time.perf_counter() - start)
    except Exception as error:  # readers of many formats raise anything for a damaged file
        told = f"{type(error).__name__}: {error}"
        return _given_up(job, told, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    return Segmented(
        job.image, str(out), count, False, problems, seconds, runtime=segmenter.runtime
    )


def _segment(
    session: Session, objects: Sequence[PromptedObject], settings: SegmentSettings
) -> list[str]:
    """Make the objects; return a sentence for each that could not be made."""
    session.value_propagation = settings.em
    session.threshold = settings.threshold
    problems, made = [], []
    for number, wanted in enumerate(objects, start=1):
        try:
            session.plane = wanted.plane or (0,) * len(session.plane_shape)
            for prompt in wanted.prompts:
                session.add(prompt)
            made.append((session.accept(), wanted.label))
        except PvpuError as error:
            if session.prompts:
                session.reset()
            problems.append(f"object {wanted.name or f'number {number}'}: {error}")
    _number(session, made)
    return problems


def _number(session: Session, made: Sequence[tuple[int, int | None]]) -> None:
    """Give objects the labels that the file says, as far as no two want the same."""
    wanted: dict[int, int] = {}
    for object_id, label in made:
        if label is not None and label not in wanted:
            wanted[label] = object_id
    moving = {old: new for new, old in wanted.items() if old != new}
    # Out of the way first, whoever has a number that another is to get.
    for old in sorted(set(session.objects) & set(moving.values())):
        spare = max((*session.objects, *moving.values())) + 1
        session.relabel(old, spare)
        if old in moving:
            moving[spare] = moving.pop(old)
    for old, new in moving.items():
        session.relabel(old, new)


def _write(session: Session, out: Path, settings: SegmentSettings) -> None:
    from napari_pvpu.export import ObjectDetails, export_labels

    objects = {
        object_id: ObjectDetails(score=record.score, prompts=len(record.prompts) or None)
        for object_id, record in session.objects.items()
    }
    axes = session.source.plane_axes + "YX"
    export_labels(
        out, session.labels, format_name=settings.format_name, axes=axes, objects=objects,
        name=out.name,
    )  # fmt: skip


def _digest(image: str, objects: Sequence[PromptedObject], settings: SegmentSettings) -> str:
    """Return a checksum of all that the labels depend on."""
    told = [
        image, _stamp(Path(image)), settings.model, _weights_sum(settings.model), settings.runtime,
        settings.em, settings.threshold, settings.axes, settings.format_name,
        [
            [each.name, each.plane, [prompt_to_json(prompt) for prompt in each.prompts]]
            for each in objects
        ],
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


def _stamp(path: Path) -> list[int]:
    """Return what changes when a file is written, or any file in a folder, as a zarr array is."""
    files = (Path(at, name) for at, _, names in os.walk(path) for name in names)
    stats = [each.stat() for each in (files if path.is_dir() else (path,))]
    newest = max((each.st_mtime_ns for each in stats), default=0)
    return [len(stats), sum(each.st_size for each in stats), newest]


@lru_cache(maxsize=4)
def _weights_sum(model: str) -> str | None:
    """Return a checksum of a model's file, one that comes with the package included."""
    bundled = resources.files("napari_pvpu").joinpath("weights", f"{model}.safetensors")
    for file in (Path(model), bundled):
        if file.is_file():
            return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    return None


def _known(note: Path) -> dict[str, Any]:
    found = json.loads(note.read_text("utf-8")) if note.is_file() else {}
    return found if isinstance(found, dict) else {}


def _given_up(job: Job, error: str, seconds: float = 0.0) -> Segmented:
    return Segmented(job.image, seconds=seconds, error=error)


class _Segmenters:
    """The network of this process, kept from one image to the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: tuple[tuple[Any, ...], Segmenter] | None = None

    def get(self, settings: SegmentSettings) -> Segmenter:
        """Return what goes with settings, made when they are new."""
        key = (settings.model, settings.device, settings.runtime, settings.store, settings.threads)
        with self._lock:
            if self._made is None or self._made[0] != key:
                self._made = (key, _make_segmenter(settings))
            return self._made[1]


_SEGMENTERS = _Segmenters()


def _make_segmenter(settings: SegmentSettings) -> Segmenter:
    import torch

    from napari_pvpu.segmenter import Segmenter

    torch.set_num_threads(settings.threads)
    return Segmenter(
        settings.model, settings.device, store=settings.store or True, runtime=settings.runtime
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
