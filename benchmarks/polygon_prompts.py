"""What a line drawn round an object should mean to the network, measured on real objects.

A hand is simulated that draws loosely round an object, or roughly along its outline. Each way to
tell the network of that line is scored by the intersection over union with the object, as a mean
over objects of each set. The ways that `Polygon` takes are among them.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage import measure

from napari_pvpu import Box, Click, Polygon, PriorMask, Segmenter
from napari_pvpu.evaluation.dataset import read_image, read_labels
from napari_pvpu.polygons import fill, middle

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_AREA = 60
WOBBLE, LOOSE = 0.08, 0.15
"""Standard deviation of the hand's error, and how far out it draws round an object, in units of
the radius of a disk of the object's area."""
CORNERS = 40


def drawn_line(mask: Any, around: bool, chance: np.random.Generator) -> Any:
    """Return corners (n, 2) of a line drawn round an object, or along its outline."""
    radius = float(np.sqrt(mask.sum() / np.pi))
    padded = np.pad(mask, 40)
    away = ndimage.distance_transform_edt(~padded) - ndimage.distance_transform_edt(padded)
    level = LOOSE * radius + 1 if around else 0.0
    lines = measure.find_contours(ndimage.gaussian_filter(away, max(0.12 * radius, 0.7)), level)
    line = max(lines, key=len)
    line = line[:: max(len(line) // CORNERS, 1)] - 40
    out = line - line.mean(axis=0)
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    error = ndimage.gaussian_filter1d(chance.normal(size=len(line)), len(line) / 12, mode="wrap")
    return line + out * (WOBBLE * radius * error / (error.std() + 1e-9))[:, None]


def objects_of(root: Path, count: int, chance: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    """Yield images with the mask of an object each."""
    files = sorted((root / "masks").iterdir())
    found = []
    for file in files:
        ids, areas = np.unique(read_labels(file), return_counts=True)
        found += [(file, i) for i, area in zip(ids, areas, strict=True) if i and area >= LEAST_AREA]
    images = {path.stem: path for path in (root / "images").iterdir()}
    for index in sorted(chance.permutation(len(found))[:count]):
        file, object_id = found[index]
        yield read_image(images[file.stem]), read_labels(file) == object_id


def ways(line: Any, shape: tuple[int, int], around: bool) -> dict[str, tuple[list[Any], bool]]:
    """Return prompts that tell of a line, by name, and whether the mask is cut by it."""
    path = tuple(map(tuple, line.tolist()))
    polygon, prior = Polygon(path, filled=not around), PriorMask(fill(line, shape))
    low, high = (
        np.maximum(line.min(axis=0), -0.5),
        np.minimum(line.max(axis=0), np.subtract(shape, 0.5)),
    )
    box, click = Box(tuple(low), tuple(high)), Click(middle(polygon, shape))
    name = "outline" if around else "filled"
    return {
        f"{name}: Polygon": ([polygon], False),
        f"{name}: box": ([box], around),
        f"{name}: prior": ([prior], around),
        f"{name}: prior and box": ([prior, box], around),
        f"{name}: prior and click": ([prior, click], around),
    }


def overlap(one: Any, two: Any) -> float:
    """Return the intersection over union."""
    return float((one & two).sum() / max((one | two).sum(), 1))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of NAME/val/images and NAME/val/masks")
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--objects", type=int, default=40, help="of each set")
    parser.add_argument("--out", type=Path, default=Path("polygon_prompts.json"))
    options = parser.parse_args()
    segmenter, chance = Segmenter("pvpu-nano", device="cpu"), np.random.default_rng(0)
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name in options.sets:
        for image, mask in objects_of(options.data / name / "val", options.objects, chance):
            for around in (True, False):
                line = drawn_line(mask, around, chance)
                itself = fill(line, mask.shape)
                if not itself.any():
                    continue
                scores["outline: line itself" if around else "filled: line itself"][name].append(
                    overlap(itself, mask)
                )
                for way, (prompts, cut) in ways(line, mask.shape, around).items():
                    session = segmenter.open(image)
                    session.set_prompts(prompts)
                    found = session.mask & itself if cut else session.mask
                    scores[way][name].append(overlap(found, mask))
    means = {
        way: {name: float(np.mean(each)) for name, each in of.items()} for way, of in scores.items()
    }
    for way, of in means.items():
        print(
            f"{way:26}",
            *(f"{each:.3f}" for each in of.values()),
            f"mean {np.mean([*of.values()]):.3f}",
        )
    options.out.write_text(json.dumps({"objects": options.objects, "iou": means}, indent=1) + "\n")


if __name__ == "__main__":
    main()
