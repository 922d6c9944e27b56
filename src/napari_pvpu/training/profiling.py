"""Where the time of a training step goes."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from napari_pvpu.training.simulate import SimulatedUser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_pvpu.training.trainer import Trainer

__all__ = ["ProfileReport", "Timeline", "profile_steps", "read_trace"]

PARTS = (
    "scenes",
    "views",
    "augment",
    "objects",
    "encode",
    "user",
    "decode",
    "rounds",
    "backward",
    "update",
)
"""Parts of a step. ``"rounds"`` is what is left of them without encode, user and decode: losses."""

_INSIDE_ROUNDS = ("encode", "user", "decode")
_TOP = 12
_WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "hipStreamSynchronize")


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a trace of some steps holds. Times are in seconds.

    Attributes
    ----------
    parts : dict of str to float
        Time of the host in each of `PARTS`.
    operations : dict of str to (float, int)
        Time and number of each kernel, or, without a GPU, of each operation without those that it
        calls.
    busy : float
        Time in which at least one kernel ran; 0 without a GPU.
    gaps : tuple of (float, str)
        The longest times between kernels, with the part that the host was in.
    waits : int
        How often the host waited for the device.
    """

    parts: dict[str, float]
    operations: dict[str, tuple[float, int]]
    busy: float
    gaps: tuple[tuple[float, str], ...]
    waits: int


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """How long training steps took and what they spent the time on.

    Attributes
    ----------
    device : str
        Name of the GPU, or ``"cpu"``.
    steps, views : int
        Steps that were profiled, and views of each.
    seconds, plain_seconds : float
        Wall time of a step under the profiler, and of as many steps before without it.
    kernel_share : float or None
        Share of the wall time, under the profiler, in which kernels ran; None without a GPU.
    timeline : Timeline
        Of all profiled steps.
    """

    device: str
    steps: int
    views: int
    seconds: float
    plain_seconds: float
    kernel_share: float | None
    timeline: Timeline

    @property
    def shares(self) -> dict[str, float]:
        """Share of the host's time in each of `PARTS`; what is missing to 1 lies between them."""
        whole = self.seconds * self.steps
        return {name: self.timeline.parts.get(name, 0.0) / whole for name in PARTS}

    @property
    def text(self) -> str:
        """The report in words and small tables."""
        lines = [
            f"{self.steps} steps of {self.views} views on {self.device}: "
            f"{1e3 * self.seconds:.1f} ms a step ({1e3 * self.plain_seconds:.1f} ms unprofiled, "
            f"{self.views / self.plain_seconds:.1f} views a second)"
        ]
        if self.kernel_share is not None:
            lines.append(
                f"kernels run in {self.kernel_share:.1%} of the wall time; the host waits "
                f"{self.timeline.waits / self.steps:.1f} times a step"
            )
            gaps = ", ".join(f"{1e3 * long:.2f} ms in {part}" for long, part in self.timeline.gaps)
            lines.append(f"longest gaps between kernels: {gaps or 'none'}")
        lines += ["", "time of the host"]
        lines += [f"  {share:6.1%}  {name}" for name, share in self.shares.items() if share]
        lines += ["", "kernels" if self.kernel_share is not None else "operations"]
        whole = self.seconds * self.steps
        ranked = sorted(self.timeline.operations.items(), key=lambda item: -item[1][0])
        for name, (spent, count) in ranked[:_TOP]:
            lines.append(f"  {spent / whole:6.1%}  {count / self.steps:7.1f} x  {name[:80]}")
        return "\n".join(lines)


def profile_steps(
    trainer: Trainer, steps: int = 10, *, warmup: int = 3, trace: str | Path | None = None
) -> ProfileReport:
    """Take training steps and report where their time went.

    The steps are real: the weights move and the run's step counts on.

    Parameters
    ----------
    trainer : Trainer
        Of one process, or one process of several.
    steps : int
        Steps that are timed, once without the profiler and once under it, at least 1.
    warmup : int
        Steps before.
    trace : str or Path, optional
        File for the whole trace, to be looked at in chrome://tracing or Perfetto; gzipped if its
        name ends in ``.gz``.

    Raises
    ------
    ValueError
        If `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; profile at least one")
    _timed(trainer, warmup)
    plain = _timed(trainer, steps) / steps
    cuda = trainer.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with tempfile.TemporaryDirectory() as folder, _labelled(trainer):
        with profile(activities=activities) as profiler:
            spent = _timed(trainer, steps)
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
        if trace is not None:
            _copy(file, Path(trace))
    timeline = read_trace(events)
    return ProfileReport(
        device=torch.cuda.get_device_name(trainer.device) if cuda else trainer.device.type,
        steps=steps,
        views=trainer.config.views,
        seconds=spent / steps,
        plain_seconds=plain,
        kernel_share=timeline.busy / spent if cuda else None,
        timeline=timeline,
    )


def read_trace(events: Iterable[dict[str, Any]]) -> Timeline:
    """Sum up the events of a Chrome trace as torch's profiler writes it.

    Parameters
    ----------
    events : iterable of dict
        ``traceEvents`` of the file; times in microseconds.
    """
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("ph") == "X":
            by_kind[event.get("cat", "")].append(event)
    marks = [e for e in by_kind["user_annotation"] if e["name"] in PARTS]
    parts: dict[str, float] = defaultdict(float)
    for mark in marks:
        parts[mark["name"]] += mark["dur"] / 1e6
    if "rounds" in parts:
        parts["rounds"] -= sum(parts.get(name, 0.0) for name in _INSIDE_ROUNDS)
    kernels = by_kind["kernel"]
    intervals = _merged([(e["ts"], e["ts"] + e["dur"]) for e in kernels])
    return Timeline(
        parts=dict(parts),
        operations=_summed((e["name"], e["dur"]) for e in kernels)
        if kernels
        else _summed(_own_times(by_kind["cpu_op"])),
        busy=sum(stop - start for start, stop in intervals) / 1e6,
        gaps=_gaps(intervals, marks),
        waits=sum(e["name"] in _WAITS for e in by_kind["cuda_runtime"]),
    )


def _timed(trainer: Trainer, steps: int) -> float:
    """Take steps and return their wall time, the device's part included."""
    _finish(trainer.device)
    start = time.perf_counter()
    for _ in range(steps):
        trainer.train_step()
    _finish(trainer.device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _labelled(trainer: Trainer) -> Iterator[None]:
    """Mark, for a while, what the rounds spend their time on."""
    with ExitStack() as stack:
        for owner, name, label in (
            (trainer.net, "encode", "encode"),
            (trainer.net, "decode", "decode"),
            (SimulatedUser, "answer", "user"),
        ):
            stack.enter_context(_marked(owner, name, label))
        yield


@contextmanager
def _marked(owner: Any, name: str, label: str) -> Iterator[None]:
    function = getattr(owner, name)
    own = vars(owner).get(name)

    def marked(*args: Any, **kwargs: Any) -> Any:
        with record_function(label):
            return function(*args, **kwargs)

    setattr(owner, name, marked)
    try:
        yield
    finally:
        delattr(owner, name) if own is None else setattr(owner, name, own)


def _copy(file: Path, target: Path) -> None:
    import gzip

    content = file.read_bytes()
    target.write_bytes(gzip.compress(content, 6) if target.suffix == ".gz" else content)


def _merged(intervals: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join intervals that overlap or touch, in order."""
    out: list[tuple[float, float]] = []
    for start, stop in sorted(intervals):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out


def _gaps(
    intervals: Sequence[tuple[float, float]], marks: Sequence[dict[str, Any]]
) -> tuple[tuple[float, str], ...]:
    """Return the five longest times between intervals, and where the host was meanwhile."""
    between = [
        (later[0] - sooner[1], (later[0] + sooner[1]) / 2) for sooner, later in pairwise(intervals)
    ]
    found = []
    for length, middle in sorted(between, reverse=True)[:5]:
        around = [m for m in marks if m["ts"] <= middle <= m["ts"] + m["dur"]]
        # Parts lie within each other: the shortest says most.
        name = min(around, key=lambda m: m["dur"])["name"] if around else "between parts"
        found.append((length / 1e6, name))
    return tuple(found)


def _own_times(operations: Iterable[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """Yield each operation's name and time without that of the operations it calls."""
    threads: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for operation in operations:
        threads[operation["tid"]].append(operation)
    for mine in threads.values():
        stack: list[list[Any]] = []  # name, end, time of its own
        for event in sorted(mine, key=lambda e: (e["ts"], -e["dur"])):
            while stack and stack[-1][1] <= event["ts"]:
                name, _, own = stack.pop()
                yield name, own
            if stack:
                stack[-1][2] -= event["dur"]
            stack.append([event["name"], event["ts"] + event["dur"], event["dur"]])
        yield from ((name, own) for name, _, own in stack)


def _summed(times: Iterable[tuple[str, float]]) -> dict[str, tuple[float, int]]:
    out: dict[str, tuple[float, int]] = {}
    for name, spent in times:
        total, count = out.get(name, (0.0, 0))
        out[name] = (total + spent / 1e6, count + 1)
    return out
