"""Time of a view and of an interaction, side by side with what others compute.

SAM's encoders (ViT-B; TinyViT-5M, that of MobileSAM) at 1024 x 1024, its prompt encoder and mask
decoder, built from transformers' and timm's own classes with random weights: speed does not depend
on weights. scikit-image's random walker and OpenCV's GrabCut on the crop that our view shows.
Interactions are the third click of an object, with the mask of the second; where it says so, the
second, for which our decoder reads a view with and without the mask before.

All take turns, round by round in one process, each on one thread. What counts is the processor's
time, which other programs disturb far less than the time on the wall. SAM's large products would
share two cores nearly evenly, our small ones would not: the last column but one therefore takes
SAM's time for half, as if both cores helped it and only one helped us.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

# Before numpy: its threads would wait by spinning, which counts as work.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np
import torch
from measured import contradicting_clicks, machine, save, summary

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

if TYPE_CHECKING:
    from collections.abc import Callable

SAM_SIDE = 1024


def main() -> None:
    """Measure, then write docs/performance/rivals.json and docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pvpu-nano")
    parser.add_argument("--rounds", type=int, default=15, help="of what is fast")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of SAM's encoders")
    options = parser.parse_args()
    torch.set_num_threads(1)
    where = machine()
    with torch.inference_mode():
        rows = measure(options.model, options.rounds, options.slow_rounds)
    for row in rows:
        print(row)
    command = ".venv/bin/python benchmarks/rivals.py   # pip install napari-pvpu[benchmarks]"
    title = f"Side by side on one CPU: {options.model} and others"
    save("rivals", title, command, rows, machine=where)


def measure(model: str, rounds: int, slow_rounds: int) -> list[dict[str, object]]:
    """Return the lines of the table."""
    segmenter = Segmenter(model, device="cpu", store=False)
    image = samples.load("coins").image
    size = segmenter.view_size
    view = View(100, 100, 128, size)
    pixels = ImageSource(image).read_view(view)
    features = segmenter.encode(pixels)
    prompts = [
        Click((size / 2, size / 2)),
        Click((5.0, 5.0), positive=False),
        Click((size / 2 + 9, size / 2)),
    ]
    previous = np.random.default_rng(0).random((size, size), np.float32)
    against = contradicting_clicks(segmenter, features, previous)
    crop = np.ascontiguousarray(np.nan_to_num(pixels[0]))
    encode, decode = sam(SAM_SIDE)
    slow = {
        "TinyViT-5M": tiny_vit(SAM_SIDE),
        "SAM ViT-B": encode,
    }
    fast = {
        "off": lambda: segmenter.decode(features, prompts, previous, None),
        "second": lambda: segmenter.decode(features, prompts[:2], previous, None),
        "on": lambda: segmenter.decode(features, against, previous, segmenter.propagation),
        "SAM": lambda: decode(3),
        "SAM, two": lambda: decode(2),
        "walker": lambda: random_walk(crop, against),
        "grabcut": grab_cut(crop, against),
    }
    segmenter.encode(pixels)
    times = {**in_turns(fast, rounds), **in_turns(slow, slow_rounds)}
    times |= in_turns({"one view": lambda: segmenter.encode(pixels)}, rounds)
    return [
        line("encode one view", f"{size} px", times["one view"], None, None, None),
        line("SAM's ViT-B encoder", f"{SAM_SIDE} px", times["SAM ViT-B"], times["one view"], 200,
             "one view", 2),
        line("TinyViT-5M", f"{SAM_SIDE} px", times["TinyViT-5M"], times["one view"], 25,
             "one view", 2),
        line("interaction, EM off", f"{size} px", times["off"], None, None, None),
        line("second click, which reads twice", f"{size} px", times["second"], None, None, None),
        line("SAM's prompt encoder and mask decoder", "256 px", times["SAM"], times["off"], 5,
             "EM off", 2),
        line("SAM's, two clicks", "256 px", times["SAM, two"], times["second"], None,
             "second click", 2),
        line("interaction, EM on", f"{size} px", times["on"], None, None, None),
        line("random walker (scikit-image, cg_j)", f"{size} px", times["walker"], times["on"], 2,
             "EM on"),
        line("GrabCut (OpenCV, 5 iterations)", f"{size} px", times["grabcut"], times["on"], None,
             "EM on"),
    ]  # fmt: skip


def in_turns(parts: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of several functions that are called one after the other, round by round."""
    if rounds > 2:
        for part in parts.values():
            part()  # warms up
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.process_time()
            part()
            times[name].append(1e3 * (time.process_time() - start))
    return times


def line(
    what: str, size: str, times: list[float], ours: list[float] | None, target: float | None,
    against: str | None, cores: int = 1,
) -> dict[str, object]:  # fmt: skip
    """One line of the table."""
    ratio = verdict = None
    if ours is not None:
        times_as_long = statistics.median(times) / statistics.median(ours) / cores
        ratio = f"{times_as_long:.1f} (best rounds {min(times) / min(ours) / cores:.1f})"
        if target is not None:
            verdict = "reached" if times_as_long >= target else "missed"
    timing = summary(times)
    return {
        "what": what, "input": size, "median CPU ms": timing["median"],
        "best CPU ms": round(min(times), 2), "n": timing["n"], "against": against,
        "times as long": ratio, "target": target,
        "state": verdict,
    }  # fmt: skip


def sam(side: int) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    """SAM with a ViT-B: its encoder, and its prompt encoder with the mask decoder."""
    from transformers import SamConfig, SamModel

    model = SamModel(SamConfig()).eval()
    picture = torch.rand(1, 3, side, side)
    embedding = torch.rand(1, 256, side // 16, side // 16)
    points = torch.tensor([[[[500.0, 500.0], [100.0, 80.0], [500.0, 560.0]]]])
    labels = torch.tensor([[[1, 0, 1]]])
    mask = torch.rand(1, 1, side // 4, side // 4)

    def decode(clicks: int) -> Any:
        return model(
            image_embeddings=embedding, input_points=points[:, :, :clicks],
            input_labels=labels[:, :, :clicks], input_masks=mask, multimask_output=False,
        )  # fmt: skip

    return lambda: model.get_image_embeddings(picture), decode


def tiny_vit(side: int) -> Callable[[], Any]:
    """The encoder of MobileSAM, without its neck."""
    import timm

    model = timm.create_model("tiny_vit_5m_224", pretrained=False, num_classes=0).eval()
    picture = torch.rand(1, 3, side, side)
    return lambda: model.forward_features(picture)


def random_walk(crop: np.ndarray, prompts: list[Click]) -> Any:
    """Segment a crop by the same clicks, its border being background, as evaluation does."""
    from skimage.segmentation import random_walker

    return random_walker(crop, markers(crop.shape, prompts), beta=130, mode="cg_j")


def grab_cut(crop: np.ndarray, prompts: list[Click]) -> Callable[[], Any]:
    """Segment a crop by the same clicks."""
    import cv2

    seeds = markers(crop.shape, prompts)
    colours = np.repeat((255 * crop).astype(np.uint8)[..., None], 3, axis=2)

    def cut() -> Any:
        mask = np.full(crop.shape, cv2.GC_PR_BGD, np.uint8)
        quarter = [length // 4 for length in crop.shape]
        mask[quarter[0] : -quarter[0], quarter[1] : -quarter[1]] = cv2.GC_PR_FGD
        mask[seeds == 1], mask[seeds == 2] = cv2.GC_FGD, cv2.GC_BGD
        models = np.zeros((1, 65)), np.zeros((1, 65))
        return cv2.grabCut(colours, mask, None, *models, 5, cv2.GC_INIT_WITH_MASK)

    return cut


def markers(shape: tuple[int, ...], prompts: list[Click]) -> np.ndarray:
    """1 at positive clicks, 2 at negative ones and along the border."""
    out = np.zeros(shape, np.int32)
    out[[0, -1]] = out[:, [0, -1]] = 2
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    for prompt in prompts:
        row, col = prompt.position
        out[np.hypot(rows - row, cols - col) <= 3] = 1 if prompt.positive else 2
    return out


if __name__ == "__main__":
    main()
