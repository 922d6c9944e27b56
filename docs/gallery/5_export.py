"""
From objects to files and numbers
=================================

Accepted objects as TIFF, ImageJ ROIs, GeoJSON for QuPath and a table of measurements, and back.
"""

# %%
# Four coins, one click each.

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.export import measure, read_geojson, write_geojson, write_tiff

coins = samples.load("coins")
session = Segmenter("pvpu-nano").open(coins.image)
for position in ((43, 334), (51, 155), (51, 215), (53, 277)):
    session.add(Click(position))
    session.accept()

# %%
# Files are written whole or not at all, and read back as the very same pixels.

folder = Path(tempfile.mkdtemp())
write_tiff(folder / "coins.tif", session.labels, scale=0.2, units="millimeter")
write_geojson(folder / "coins.geojson", session.labels)
back = read_geojson(folder / "coins.geojson", session.labels.shape).labels
print(np.array_equal(back, session.labels), [path.name for path in sorted(folder.iterdir())])

# %%
# The table names its units. `write_table` saves it as CSV.

table = measure(session.labels, coins.image, scale=0.2, units="millimeter")
for name in list(table)[:8]:
    print(f"{name:24}", np.round(table[name], 2).tolist())

# %%
# The outlines that QuPath draws are those of the pixels.

outlines = json.loads((folder / "coins.geojson").read_text("utf-8"))["features"]
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.imshow(coins.image[:110], cmap="gray", extent=(0, coins.image.shape[1], 110, 0))
for outline in outlines:
    for ring in outline["geometry"]["coordinates"]:
        axis.plot(*np.transpose(ring), color="turquoise")
axis.axis("off")
plt.show()
