"""A huge image against a small one, features on the disk, and two workers against one.

The huge image is a zarr of 100,000 x 100,000 pixels in 9604 compressed chunks, all of them there
(links to one file, so that the disk need not hold ten gigabytes). Each measurement runs in a
process of its own, whose network is loaded and has answered once; the files may be in the system's
memory. Times of masks and views are the processor's, of one thread of torch, which other programs
disturb little; those of the workers are the clock's, and mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measured import machine, save, summary

SIDE, CHUNK = 100_000, 1024

FIRST_MASK = """
import json, os, resource, sys, time
import numpy as np, torch, zarr
torch.set_num_threads(1)
from napari_pvpu import Click, Segmenter
def status(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1]) / 1024
kind, path = sys.argv[1:]
segmenter = Segmenter("pvpu-nano", device="cpu", store=False)
warm = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
warm_session = segmenter.open(warm)
warm_session.add(Click((150, 150)))
one = np.load(path + ".npy")
zarr.open_array(path, mode="r")[:8, :8]  # imports what reads it
before = status("VmRSS")
start = time.process_time()
if kind == "zarr":
    image, place = zarr.open_array(path, mode="r"), (60_100, 70_100)
else:
    image, place = one, (200, 200)
session = segmenter.open(image)
opened = time.process_time()
session.add(Click(place))
first = time.process_time()
session.accept()
again = []
for number in range(5):
    at = time.process_time()
    session.add(Click((place[0] + 200 * (number % 2), place[1] + 50 * number)))
    again.append(1e3 * (time.process_time() - at))
    session.reset()
print(json.dumps({"open": 1e3 * (opened - start), "mask": 1e3 * (first - start),
                  "next": again, "memory": status("VmHWM") - before,
                  "views": len(again)}))
"""


def main() -> None:
    """Measure, then write docs/performance/huge.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000, help="for the workers; 0 for none")
    options = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *image_rows(Path(folder), options.repeats),
            *feature_rows(Path(folder)),
            *(worker_rows(Path(folder), options.images) if options.images else []),
        ]
    for row in rows:
        print(row)
    command = f".venv/bin/python benchmarks/huge.py --images {options.images}"
    save("huge", "Images of any size, and features kept", command, rows, machine=where)


def image_rows(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """The first mask on a huge zarr and on a small array, in turns."""
    path = folder / "huge.zarr"
    make_zarr(path)
    found: dict[str, list[dict[str, Any]]] = {"zarr": [], "numpy": []}
    for _ in range(repeats):
        for kind, values in found.items():
            values.append(json.loads(python(FIRST_MASK, kind, str(path))))
    huge, small = ([each["mask"] for each in found[kind]] for kind in ("zarr", "numpy"))
    ratio = statistics.median(huge) / statistics.median(small)
    best = min(huge) / min(small)
    opened = [each["open"] for each in found["zarr"]]
    added = statistics.median(each["memory"] for each in found["zarr"])
    base = statistics.median(each["memory"] for each in found["numpy"])
    later = [
        statistics.median([ms for each in found[kind] for ms in each["next"]])
        for kind in ("zarr", "numpy")
    ]
    return [
        row("first mask on a cold 512 x 512 array", small, "CPU ms"),
        row("first mask on a cold 100,000 x 100,000 zarr", huge, "CPU ms"),
        row("  of which opened (limits found)", opened, "CPU ms"),
        one("  against the small one", ratio, "times", 1.5, f"best {best:.2f}"),
        one("a later click there, against the small one", later[0] / later[1], "times", None),
        one("memory added by it (the small one)", added, "MiB", 200, f"small {base:.0f}"),
    ]


def make_zarr(path: Path) -> None:
    """Write a zarr of disks and noise, one chunk of which stands for all."""
    import zarr

    rows, cols = np.mgrid[:CHUNK, :CHUNK] % 128 - 64
    tile = np.where(np.hypot(rows, cols) < 30, 170, 60)
    tile = tile + np.random.default_rng(0).normal(0, 12, tile.shape)
    tile = tile.clip(0, 255).astype(np.uint8)
    array = zarr.create_array(str(path), shape=(SIDE, SIDE), chunks=(CHUNK, CHUNK), dtype="uint8")
    array[:CHUNK, :CHUNK] = tile
    first = path / "c" / "0" / "0"
    count = -(-SIDE // CHUNK)
    for row in range(count):
        (path / "c" / str(row)).mkdir(exist_ok=True)
        for col in range(count):
            if (row, col) != (0, 0):
                os.link(first, path / "c" / str(row) / str(col))
    np.save(f"{path}.npy", tile[:512, :512])


def feature_rows(folder: Path) -> list[dict[str, Any]]:
    """Size of a view's features on the disk, and the time to have them back."""
    from napari_pvpu import Segmenter

    store = folder / "features"
    rng = np.random.default_rng(0)
    first = Segmenter("pvpu-nano", device="cpu", store=store)
    size = first.view_size
    views = rng.random((30, 3, size, size), np.float32)
    encode = timed(lambda view: first.encode(view), views)
    files = [path.stat().st_size for path in store.rglob("*.safetensors")]
    second = Segmenter("pvpu-nano", device="cpu", store=store, cache_views=1)
    back = timed(lambda view: second.encode(view), views)
    return [
        one("features of one view on the disk", statistics.median(files) / 1e3, "kB", 400),
        row("  encoded and kept", encode[5:], "CPU ms"),
        row("  read back", back[5:], "CPU ms", 2),
    ]


def timed(work: Any, values: Any) -> list[float]:
    """Milliseconds of a function for each of some values."""
    times = []
    for value in values:
        start = time.process_time()
        work(value)
        times.append(1e3 * (time.process_time() - start))
    return times


def worker_rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """The time to encode many images ahead, with one process and with two."""
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        np.save(images / f"{number:04}.npy", rng.integers(0, 255, (256, 256), np.uint8))
    seconds = {}
    for workers in (1, 2):
        report, store = folder / f"{workers}.json", str(folder / f"store{workers}")
        program = [sys.executable, "-m", "napari_pvpu"]
        # 1,000 images take 3.2 GB, more than a store holds by default.
        for command in (
            ["cache", "limit", "8"],
            ["embed", str(images), "--workers", str(workers), "--device", "cpu",
             "--object-sizes", "100", "--report", str(report)],
        ):  # fmt: skip
            subprocess.run([*program, *command, "--store", store], check=True, capture_output=True)
        seconds[workers] = json.loads(report.read_text())["seconds"]
    ratio = seconds[1] / seconds[2]
    return [
        one(f"embed {count} images, 1 worker", seconds[1], "s", None),
        one(f"embed {count} images, 2 workers", seconds[2], "s", None),
        one("  times as fast", ratio, "times", 1.8),
    ]


def python(program: str, *words: str) -> str:
    """Output of a program in a fresh interpreter."""
    command = [sys.executable, "-W", "ignore", "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def row(what: str, values: list[float], unit: str, target: float | None = None) -> dict[str, Any]:
    """One line of the table, of several values."""
    timing = summary(values)
    return {
        "what": what, "median": timing["median"], "best": round(min(values), 2),
        "n": timing["n"], "unit": unit, "target": target, "note": None,
    }  # fmt: skip


def one(
    what: str, value: float, unit: str, target: float | None, note: str | None = None
) -> dict[str, Any]:
    """One line of the table, of one value."""
    return {
        "what": what, "median": round(value, 2), "best": None, "n": 1, "unit": unit,
        "target": target, "note": note,
    }  # fmt: skip


if __name__ == "__main__":
    main()
