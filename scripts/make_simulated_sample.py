"""Draw the simulated sample picture and its true objects into src/napari_pvpu/data.

The pair is stored rather than drawn anew each time, so that the recorded session of the demo keeps
its meaning while the generator learns to draw more. Run it only to replace the picture, and record
the session anew afterwards: ``.venv/bin/python scripts/make_simulated_sample.py``.
"""

from pathlib import Path

import imageio.v3 as iio
import numpy as np

from napari_pvpu.training.synthetic import generate_scene

KIND, SIZE, SEED = "cells_fluorescence", (384, 480), 1
FOLDER = Path(__file__).parents[1] / "src" / "napari_pvpu" / "data"


def main() -> None:
    """Write ``simulated.png`` and ``simulated_labels.png`` (8 bits, 0 is background)."""
    scene = generate_scene(KIND, SIZE, np.random.default_rng(SEED))
    if scene.labels.max() > np.iinfo(np.uint8).max:
        raise SystemExit(f"{scene.labels.max()} objects do not fit into 8 bits; take another seed")
    iio.imwrite(FOLDER / "simulated.png", scene.image, optimize=True)
    iio.imwrite(FOLDER / "simulated_labels.png", scene.labels.astype(np.uint8), optimize=True)


if __name__ == "__main__":
    main()
