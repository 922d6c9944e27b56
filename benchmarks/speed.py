"""Time and memory of the engine without a screen.

Encodes views and answers prompts of the sample pictures through the public session, twice: with
EM value propagation off and on. Import times and peak memory come from fresh processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
from measured import contradicting_clicks, machine, save, summary

from napari_pvpu import Box, Click, Segmenter, samples
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

REPEATS = 5
MEMORY = """
import json, resource, sys
def peak():
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 1024 / (1024 if sys.platform == "darwin" else 1)
from napari_pvpu import Click, Segmenter, SessionError, samples
image = samples.load("ihc").image  # 512 x 512 x 3
start = peak()
session = Segmenter("%s", device="cpu", store=False).open(image)
session.value_propagation = True
for row, col in [(400, 320), (150, 410), (250, 70), (400, 100), (60, 60)]:
    session.add(Click((row, col)))
    session.add(Click((row - 20, col - 10)))
    session.add(Click((290, 250), positive=False))
    try:
        session.accept()
    except SessionError:  # nothing left that is not another object's already
        session.reset()
print(json.dumps({"before": start, "after": peak()}))
"""


def main() -> None:
    """Measure, then write docs/performance/speed.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    where = machine()
    segmenter = Segmenter(options.model, device=options.device, store=False)
    rows = [*network_rows(segmenter), *session_rows(segmenter), *process_rows(options.model)]
    for row in rows:
        print(f"{row['what']:58} {row['median']:>9} {row['p95'] or '':>9} {row['unit']}")
    command = ".venv/bin/python benchmarks/speed.py"
    title = f"The engine without a screen: {options.model} on {options.device}"
    save("speed", title, command, rows, machine=where)


def network_rows(segmenter: Segmenter) -> list[dict[str, object]]:
    """One view encoded, one set of prompts decoded."""
    rng = np.random.default_rng(0)
    size = segmenter.view_size
    views = rng.normal(size=(30, 3, size, size)).astype(np.float32)
    prompts = [Click((size / 2, size / 2)), Box((20, 20), (90, 90))]
    encode, decode, propagate = [], [], []
    image = samples.load("coins").image
    known = segmenter.encode(ImageSource(image).read_view(View(100, 100, 128, size)))
    before = rng.random((size, size), np.float32)
    against = contradicting_clicks(segmenter, known, before)
    for view in views:
        start = time.perf_counter()
        features = segmenter.encode(view)
        encode.append(1e3 * (time.perf_counter() - start))
        previous = rng.random((size, size), np.float32)
        off = segmenter.decode(features, prompts, previous, None)
        decode.append(off.decode_ms)
        on = segmenter.decode(known, against, before, segmenter.propagation)
        propagate.append(on.decode_ms + on.em_ms)
    return [
        row("view encoded", encode[5:], target=40),
        row("prompts answered, EM off (decoder)", decode[5:], target=10),
        row("prompts answered, EM on (decoder and EM)", propagate[5:], target=25),
    ]


def session_rows(segmenter: Segmenter) -> list[dict[str, object]]:
    """Whole interactions, reading of the image and drawing of the mask included."""
    rows = []
    for switch in (False, True):
        fresh, known = [], []
        for _ in range(REPEATS):
            for name in samples.NAMES:
                one = interactions(segmenter, name, switch)
                fresh += [timing.total_ms for timing in one if timing.encode_ms > 0]
                known += [timing.total_ms for timing in one if timing.encode_ms == 0]
        state = "on" if switch else "off"
        rows.append(row(f"interaction, views known, EM {state}", known))
        rows.append(row(f"interaction, new views encoded too, EM {state}", fresh))
    return rows


def interactions(segmenter: Segmenter, name: str, switch: bool) -> list:
    """Timings of four clicks on each of four true objects of a sample."""
    sample = samples.load(name)
    rng = np.random.default_rng(1)
    session = segmenter.open(sample.image)
    session.value_propagation = switch
    timings = []
    for label in range(1, min(4, int(sample.truth.max())) + 1):
        inside = np.argwhere(sample.truth == label)
        for place in inside[rng.integers(len(inside), size=4)]:
            session.add(Click(tuple(place)))
            timings.append(session.last_timing)
        session.reset()
    return timings


def process_rows(model: str) -> list[dict[str, object]]:
    """Numbers that need a process of their own."""
    done = json.loads(python(MEMORY % model))
    return [
        row("import napari_pvpu", started("import napari_pvpu")),
        row("napari's plugin discovery (npe2)", started(DISCOVERY)),
        row("import of everything a prediction needs, torch included", started(HEAVY)),
        {
            "what": "peak memory of a session on 512 x 512 x 3, 15 interactions, EM on",
            "median": round(done["after"]), "p95": None, "n": 1, "unit": "MiB", "target": 1200,
        },
    ]  # fmt: skip


DISCOVERY = "import npe2; npe2.PluginManager.instance().discover()"
HEAVY = "import napari_pvpu.segmenter, napari_pvpu.networks.weights"


def started(code: str) -> list[float]:
    """Milliseconds that a few fresh interpreters spend on some code."""
    program = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    return [1e3 * float(python(program)) for _ in range(REPEATS)]


def python(program: str) -> str:
    """Output of a program in a fresh interpreter."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def row(what: str, values: list[float], target: float | None = None) -> dict[str, object]:
    """One line of the table."""
    return {"what": what, **summary(values), "unit": "ms", "target": target}


if __name__ == "__main__":
    main()
