"""Draw the simulated sample picture and its true objects into src/napari_pvpu/data.

The pair is stored rather than drawn anew each time, so that the recorded session of the demo keeps
its meaning while the generator learns to draw better. Run it only to replace the picture, and
record the session anew afterwards: ``.venv/bin/python scripts/make_simulated_sample.py``.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from napari_pvpu.training.synthetic import demo_scene

FOLDER = Path(__file__).parents[1] / "src" / "napari_pvpu" / "data"


def main() -> None:
    """Write ``simulated.png`` (grey) and ``simulated_labels.png`` (0 is background)."""
    scene = demo_scene("phase")
    if scene.labels.max() > np.iinfo(np.uint8).max:
        raise SystemExit(f"{scene.labels.max()} objects do not fit into 8 bits")
    Image.fromarray(scene.image[..., 0]).save(FOLDER / "simulated.png", optimize=True)
    labels = Image.fromarray(scene.labels.astype(np.uint8))
    labels.save(FOLDER / "simulated_labels.png", optimize=True)


if __name__ == "__main__":
    main()
