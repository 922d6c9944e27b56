"""How the cost of an interaction grows: with the image, prompts, accepted objects and planes.

Each series is measured from its small end to its large one and back, and the middle of the times
taken at a size counts. A series is called flat where the cost at the large end is at most twice
that at the small one, and linear where doubling the size at most doubles the cost (by the slope
of a line through the larger half, in logarithms). Times are the processor's, of one thread, which
other programs disturb little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from measured import FOLDER, machine, save

from napari_pvpu import Click, Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.session import Session

STEP = 200


class Disks:
    """An image of disks of any shape, made where it is looked at."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.ndim = shape, len(shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows, cols = (
            np.arange(length)[part] for length, part in zip(self.shape, index, strict=True)
        ) if self.ndim == 2 else (
            np.arange(length)[part]
            for length, part in zip(self.shape[-2:], index[-2:], strict=True)
        )  # fmt: skip
        down, across = (each % STEP - STEP // 2 for each in (rows, cols))
        near = np.hypot(down[:, None], across[None]) < 40
        pixels = np.where(near, 180, 60) + (down[:, None] * across[None]) % 23
        kept = index[: self.ndim - 2]
        shape = [
            len(range(length)[part])
            for length, part in zip(self.shape, kept, strict=False)
            if isinstance(part, slice)
        ]
        return np.broadcast_to(pixels.astype(np.uint8), (*shape, *pixels.shape))


def main() -> None:
    """Measure, then write docs/performance/growth.json, growth.png and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="times up and down")
    options = parser.parse_args()
    torch.set_num_threads(1)
    where = machine()
    segmenter = Segmenter("pvpu-nano", device="cpu", store=False)
    series = {
        "image side, pixels": (sides(segmenter), [2**n for n in range(9, 18)]),
        "prompts of an object": (prompts(segmenter), [1, 2, 4, 8, 16, 32, 48]),
        "accepted objects": (objects(segmenter), [1, 10, 100, 1000, 10_000]),
        "planes": (planes(segmenter), [1, 10, 100, 1000]),
    }
    rows, curves = [], {}
    for name, (measure, sizes) in series.items():
        times = up_and_down(measure, sizes, options.repeats)
        curves[name] = times
        rows.append(judged(name, times))
        print(rows[-1])
    draw(curves)
    command = f".venv/bin/python benchmarks/growth.py --repeats {options.repeats}"
    title = "How the cost of an interaction grows"
    save("growth", title, command, rows, machine=where, curves=curves, picture="growth.png")


def up_and_down(
    measure: Callable[[int], float], sizes: list[int], repeats: int
) -> dict[int, float]:
    """Milliseconds at each size."""
    times: dict[int, list[float]] = {size: [] for size in sizes}
    measure(sizes[0])  # warms up
    for _ in range(repeats):
        for size in [*sizes, *reversed(sizes)]:
            times[size].append(measure(size))
    return {size: round(statistics.median(found), 2) for size, found in times.items()}


def clicked(session: Session, place: tuple[float, float]) -> float:
    """Milliseconds of a click on something new, forgotten afterwards."""
    start = time.process_time()
    session.add(Click(place))
    elapsed = 1e3 * (time.process_time() - start)
    session.reset()
    return elapsed


def sides(segmenter: Segmenter) -> Callable[[int], float]:
    """A click in the middle of an image, its views encoded."""
    opened: dict[int, Session] = {}

    def measure(side: int) -> float:
        if side not in opened:
            opened[side] = segmenter.open(Disks((side, side)), limits=(0, 255))
            # As seen on a screen, where the zoom tells how large things are.
            opened[side].canvas_extent = 512
        # Elsewhere each time, so that the views are new.
        center = side // 2 // STEP * STEP + STEP // 2
        return clicked(opened[side], (center, center))

    return measure


def prompts(segmenter: Segmenter) -> Callable[[int], float]:
    """The last of many prompts, on views that are known."""
    image = Disks((512, 512))
    opened: dict[int, tuple[Session, list[Click]]] = {}

    def measure(count: int) -> float:
        if count not in opened:
            session = segmenter.open(image, limits=(0, 255))
            turns = np.linspace(0, 2 * np.pi, 49)[:count]
            clicks = [
                Click((300 + 30 * np.sin(t), 300 + 30 * np.cos(t)), positive=True) for t in turns
            ]
            session.set_prompts(clicks)
            opened[count] = session, clicks
        session, clicks = opened[count]
        session.set_prompts(clicks[:-1] or [Click((300, 300))])
        start = time.process_time()
        session.set_prompts(clicks)
        return 1e3 * (time.process_time() - start)

    return measure


def objects(segmenter: Segmenter) -> Callable[[int], float]:
    """A click and its acceptance, beside many accepted objects."""
    opened: dict[int, Session] = {}

    def measure(count: int) -> float:
        if count not in opened:
            session = segmenter.open(Disks((4600, 4600)), limits=(0, 255))
            session.canvas_extent = 512
            labels = np.zeros((4600, 4600), np.uint16)
            for number in range(count):
                row, col = 40 * (number // 100) + 500, 40 * (number % 100) + 500
                labels[row : row + 20, col : col + 20] = number + 1
            session.adopt(labels)
            opened.clear()  # the labels of one at a time
            opened[count] = session
            clicked(session, (300, 300))
        session = opened[count]
        start = time.process_time()
        session.add(Click((300, 300)))
        session.accept()
        elapsed = 1e3 * (time.process_time() - start)
        session.undo()
        session.reset()
        return elapsed

    return measure


def planes(segmenter: Segmenter) -> Callable[[int], float]:
    """A click on a plane of a stack of many."""
    opened: dict[int, Session] = {}

    def measure(count: int) -> float:
        if count not in opened:
            opened[count] = segmenter.open(Disks((count, 512, 512)), axes="ZYX", limits=(0, 255))
        session = opened[count]
        session.plane = count // 2
        return clicked(session, (300, 300))

    return measure


def judged(name: str, times: dict[int, float]) -> dict[str, Any]:
    """One line of the table."""
    sizes = list(times)
    larger = sizes[len(sizes) // 2 :]
    slope = np.polyfit(np.log(larger), np.log([times[size] for size in larger]), 1)[0]
    ratio = times[sizes[-1]] / times[sizes[0]]
    growth = "flat" if ratio <= 2 else "linear" if slope <= 1 else "more than linear"
    return {
        "along": name, "from": sizes[0], "to": sizes[-1], "CPU ms at first": times[sizes[0]],
        "CPU ms at last": times[sizes[-1]], "slope": round(float(slope), 2), "growth": growth,
    }  # fmt: skip


def draw(curves: dict[str, dict[int, float]]) -> None:
    """Draw all series into one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(12, 3), sharey=True)
    for axis, (name, times) in zip(axes, curves.items(), strict=True):
        axis.loglog(list(times), list(times.values()), "o-", color="#0a6e8a")
        axis.set_xlabel(name)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("CPU ms")
    axes[0].set_ylim(1, 10 ** np.ceil(np.log10(max(max(t.values()) for t in curves.values()))))
    figure.tight_layout()
    figure.savefig(FOLDER / "growth.png", dpi=100)


if __name__ == "__main__":
    main()
