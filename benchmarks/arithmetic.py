"""Operations and bytes of one interaction, the floor that two cores set, and how far off it is.

Operations are counted by torch (a multiplication and an addition are two), but for those with
packed weights, which it does not know: they are counted here. Bytes are those of all weights and of
every tensor that an operation writes or reads, once each: what a program without caches would have
to move. The processor's own speed is measured beside the network, in turns: large products of
matrices, by the faster of torch's two libraries, and a large copy. Inner products of small matrices
never reach the first, and what fits into a cache is not held up by the second, so that the floor is
a bound and no forecast.

Times are the processor's, of one thread, which other programs disturb little; the floor is one
thread's, and half of it that of two.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import numpy as np
import torch
from measured import contradicting_clicks, machine, save
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.networks.inference_parts import Pointwise, can_pack
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

ROUNDS = 15
SIDE = 1024
COPY = 2**26


class ByteCounter(TorchDispatchMode):
    """Adds up the bytes of all tensors that operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not is_view(func):
            self.calls += 1
            self.moved += sum(each.nbytes for each in tensors((args, kwargs, out)))
        return out


def is_view(func: Any) -> bool:
    """Whether an operation only looks at memory in another way."""
    return any(each.alias_info is not None and not each.alias_info.is_write
               for each in func._schema.returns)  # fmt: skip


def tensors(values: Any) -> list[torch.Tensor]:
    """All tensors in nested values."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [each for value in values for each in tensors(value)]
    return []


def main() -> None:
    """Measure, then write docs/performance/arithmetic.json and docs/performance.md."""
    torch.set_num_threads(1)
    where = machine()
    segmenter = Segmenter("pvpu-nano", device="cpu", store=False)
    size = segmenter.view_size
    rng = np.random.default_rng(0)
    image = samples.load("coins").image
    view = ImageSource(image).read_view(View(100, 100, 128, size))
    features = segmenter.encode(view)
    prompts = [
        Click((size / 2, size / 2)),
        Click((5.0, 5.0), positive=False),
        Click((size / 2 + 9, size / 2)),
    ]
    previous = rng.random((size, size), np.float32)
    against = contradicting_clicks(segmenter, features, previous)
    parts = {
        "encode one view": (lambda: segmenter.encode(view), None),
        "interaction, EM off": (
            lambda: segmenter.decode(features, prompts, previous, None), 3,
        ),
        "a second click, which reads twice": (
            lambda: segmenter.decode(features, prompts[:2], previous, None), 3,
        ),
        "interaction, EM on": (
            lambda: segmenter.decode(features, against, previous, segmenter.propagation), 3,
        ),
    }  # fmt: skip
    counts = {name: counted(part) for name, (part, _) in parts.items()}
    matrix, source = torch.rand(SIDE, SIDE), torch.rand(COPY // 4)
    target = torch.empty_like(source)
    packed = Pointwise(matrix, None, SIDE, can_pack())
    gauges = {
        "product": lambda: torch.mm(matrix, matrix),
        "packed": lambda: packed(matrix),
        "copy": lambda: target.copy_(source),
    }
    times = in_turns({**{name: part for name, (part, _) in parts.items()}, **gauges})
    quickest = min(*times["product"], *times["packed"])
    speed = 2 * SIDE**3 / (1e6 * quickest)  # GFLOP/s
    width = 2 * COPY / (1e6 * min(times["copy"]))  # GB/s
    rows = []
    for name, (_, target_times) in parts.items():
        operations, moved, calls = counts[name]
        floor = max(operations / (1e6 * speed), moved / (1e6 * width))
        best = min(times[name])
        rows.append(
            {
                "what": name, "operations": f"{operations / 1e6:.0f} M",
                "bytes": f"{moved / 1e6:.1f} MB", "calls of kernels": calls,
                "floor ms": round(floor, 2),
                "bound by": "products" if operations / speed > moved / width else "memory",
                "median CPU ms": round(statistics.median(times[name]), 2),
                "best CPU ms": round(best, 2),
                "best / floor": round(best / floor, 1), "target": target_times,
            }
        )  # fmt: skip
        print(rows[-1])
    gauged = {"GFLOP/s": round(speed, 1), "GB/s": round(width, 1)}
    save(
        "arithmetic", "One interaction: operations, bytes, and the floor",
        ".venv/bin/python benchmarks/arithmetic.py", rows, machine=where | gauged,
    )  # fmt: skip


def of_convolution(x: Any, weight: Any, *args: Any, out_shape: Any, **kwargs: Any) -> int:
    """Operations of a packed convolution, from shapes."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def of_product(x: Any, *args: Any, out_shape: Any, **kwargs: Any) -> int:
    """Operations of a packed product of matrices, from shapes."""
    return 2 * math.prod(out_shape) * x[-1]


PACKED = {
    torch.ops.mkldnn._convolution_pointwise: of_convolution,
    torch.ops.mkldnn._linear_pointwise: of_product,
}


def counted(part: Any) -> tuple[int, int, int]:
    """Operations, bytes and calls of kernels of a function."""
    part()
    counter = FlopCounterMode(display=False, custom_mapping=PACKED)
    with torch.inference_mode(False), torch.no_grad(), counter as flops:
        part()
    with torch.inference_mode(False), torch.no_grad(), ByteCounter() as moved:
        part()
    return flops.get_total_flops(), moved.moved, moved.calls


def in_turns(parts: dict[str, Any]) -> dict[str, list[float]]:
    """Milliseconds of functions that are called one after the other, round by round."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(ROUNDS):
        for name, part in parts.items():
            start = time.process_time()
            part()
            times[name].append(1e3 * (time.process_time() - start))
    return times


if __name__ == "__main__":
    main()
