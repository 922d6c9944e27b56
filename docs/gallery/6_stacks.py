"""
An object over many planes
==========================

Annotate one plane of a stack and carry the object to the others; say where it ends, and carry it
again.
"""

# %%
# A made-up stack: two bodies that lean, in noise, brightest in the middle.

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage

from napari_pvpu import Click, Segmenter
from napari_pvpu.evaluation.metrics import iou

depth, rows, cols = np.mgrid[:20, :160, :160]


def body(row, col, radius, lean):
    """Return where an ellipsoid is whose middle moves along the columns."""
    across = ((rows - row) ** 2 + (cols - col - lean * (depth - 10)) ** 2) / radius**2
    return across + ((depth - 10) / 8) ** 2 < 1


truth = body(60, 55, 26, 2.0)
bright = ndimage.gaussian_filter(120.0 * (truth | body(110, 115, 22, -1.5)), (0.5, 2, 2))
noise = np.random.default_rng(0).normal(60, 12, bright.shape)
stack = (bright + noise).clip(0, 255).astype(np.uint8)

# %%
# One click in plane 10.

session = Segmenter("pvpu-nano").open(stack, axes="ZYX")
session.plane = (10,)
session.add(Click((60, 55)))
label = session.accept()

# %%
# Carried to both sides it ends by itself where the body does. This is one step of the history.

session.propagate(label)
found = session.labels == label
planes = [z for z in range(len(stack)) if found[z].any()]
print(f"the body is in planes 3 to 17, found in {planes[0]} to {planes[-1]}")
print(f"IoU of the volumes: {iou(found, truth):.3f}")

figure, axes = plt.subplots(1, 5, figsize=(10, 2.4), layout="constrained")
for axis, z in zip(axes, (4, 7, 10, 13, 16), strict=True):
    axis.imshow(stack[z], cmap="gray", vmin=20, vmax=220)
    if found[z].any():
        axis.contour(found[z], [0.5], colors="turquoise")
    axis.set_title(f"plane {z}" + (", annotated" if z == 10 else ""))
    axis.axis("off")
plt.show()

# %%
# Each plane tells how sure it is; None is for annotated ones.

confidences = session.confidences(label)
print({z: value if value is None else round(value, 2) for z, value in confidences.items()})

# %%
# The least sure planes are the ones to look at. Where the object goes too far, say where it is not
# any more: what was carried beyond goes, and it is not carried there again.

session.plane = (15,)
session.end_object(label)
session.propagate(label)
found = session.labels == label
print([z for z in range(len(stack)) if found[z].any()])
print(session.history)
