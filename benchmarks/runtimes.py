"""Time of a view and of an interaction by torch and by ONNX Runtime.

Both take turns, round by round in one process, and each round gives a ratio: other programs
disturb neighbours alike, so that the median of the ratios says more than milliseconds. Above 1,
ONNX Runtime is the faster. The processor's time is disturbed least, but counts it as work when one
of two threads waits for the other; time on the wall counts it when another program has the core.
torch is kept to as many threads as ONNX Runtime; the program itself gives both one with a network
as small as pvpu-nano.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
from measured import machine, save

from napari_pvpu.features.device_trial import Trial, compare
from napari_pvpu.features.devices import keep_memory
from napari_pvpu.features.onnx_files import kept_runner
from napari_pvpu.features.runners import TorchRunner
from napari_pvpu.model_files import load_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.features.runners import Runner

CLOCKS = {"CPU": time.process_time, "wall": time.perf_counter}
QUESTIONS = {
    "interaction, first click": 0,
    "interaction, second click, which reads twice": 1,
    "interaction, third prompt, a scribble": 3,
}


def main() -> None:
    """Measure, then write docs/performance/runtimes.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    where = machine()
    del where["torch threads"]  # a column says them
    keep_memory()
    with torch.inference_mode():
        rows = [
            row
            for threads in options.threads
            for row in measure(options.model, threads, options.rounds)
        ]
    for row in rows:
        print(row)
    where["load average after"] = machine()["load average before"]
    title = f"torch and ONNX Runtime in turns: {options.model} on cpu"
    command = ".venv/bin/python benchmarks/runtimes.py   # pip install napari-pvpu[onnx]"
    save("runtimes", title, command, rows, machine=where)


def measure(model: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Return the lines of the table for a number of threads."""
    torch.set_num_threads(threads)
    network = load_network(model)
    runners: dict[str, Runner] = {
        "torch": TorchRunner(network, torch.device("cpu")),
        "onnx": kept_runner(network, threads),
    }
    trial = Trial(network.config.view_size)
    found = compare(*(trial.ask(runner) for runner in runners.values()))
    features = runners["torch"].encode(trial.view)
    parts: dict[str, Callable[[Runner], Any]] = {
        "view encoded": lambda runner: runner.encode(trial.view)
    }
    for name, number in QUESTIONS.items():
        prompts, before = trial.questions[number]
        parts[name] = lambda runner, p=prompts, b=before: runner.decode(features, p, b)
    return [
        line(name, threads, in_turns(part, runners, rounds), found.difference)
        for name, part in parts.items()
    ]


def in_turns(
    part: Callable[[Runner], Any], runners: dict[str, Runner], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of the same work by each clock and runner; two more rounds warm up."""
    times: dict[str, dict[str, list[float]]] = {
        clock: {name: [] for name in runners} for clock in CLOCKS
    }
    for number in range(rounds + 2):
        for name, runner in runners.items():
            before = {clock: now() for clock, now in CLOCKS.items()}
            part(runner)
            for clock, now in CLOCKS.items() if number >= 2 else ():
                times[clock][name].append(1e3 * (now() - before[clock]))
    return times


def line(
    what: str, threads: int, times: dict[str, dict[str, list[float]]], difference: float
) -> dict[str, Any]:
    """One line of the table."""
    row: dict[str, Any] = {"what": what, "threads": threads}
    for name, told in (("torch", "torch"), ("onnx", "ONNX Runtime")):
        row[f"{told}, median CPU ms"] = round(statistics.median(times["CPU"][name]), 2)
    for clock, each in times.items():
        ratios = sorted(a / b for a, b in zip(each["torch"], each["onnx"], strict=True))
        quarter = len(ratios) // 4
        row[f"torch / ONNX Runtime, {clock} (middle half of rounds)"] = (
            f"{statistics.median(ratios):.2f} ({ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f})"
        )
    return row | {"n": len(ratios), "largest difference of a logit": f"{difference:.1g}"}


if __name__ == "__main__":
    main()
