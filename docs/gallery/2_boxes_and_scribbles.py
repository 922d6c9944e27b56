"""
Boxes and scribbles
===================

A box suits things with a clear extent, a scribble long or branching ones. Clicks correct both.
"""

# %%
# A box around a cell of a simulated picture, whose neighbour reaches into it.

import matplotlib.pyplot as plt
import numpy as np

from napari_pvpu import Box, Click, Scribble, Segmenter, samples
from napari_pvpu.evaluation.metrics import iou

segmenter = Segmenter("pvpu-nano")
cells = samples.load("simulated")
session = segmenter.open(cells.image)
box = Box((64, 319), (131, 439))
session.add(box)
print(f"IoU after the box: {iou(session.mask, cells.truth == 12):.3f}")
session.add(Click((117, 428), positive=False))
print(f"IoU after a negative click on the neighbour: {iou(session.mask, cells.truth == 12):.3f}")

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
axes[0].imshow(cells.image, cmap="gray")
axes[0].contour(session.mask, [0.5], colors="turquoise")
(top, left), (bottom, right) = box.start, box.stop
axes[0].plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="dodgerblue")
axes[0].plot(428, 117, "X", color="darkorange", markeredgecolor="white")
axes[0].set(title="a box and a negative click", xlim=(300, 460), ylim=(178, 18))

# %%
# Scribbles in stained tissue: one along the gland, one along what is not part of it.

tissue = samples.load("ihc")
session = segmenter.open(tissue.image)
along = Scribble([(335, 300), (370, 310), (400, 330), (440, 335), (480, 335)])
beside = Scribble([(330, 392), (380, 400), (440, 400), (490, 390)], positive=False)
session.add(along)
session.add(beside)
print(f"IoU with the gland, traced by hand: {iou(session.mask, tissue.truth == 1):.3f}")

axes[1].imshow(tissue.image)
axes[1].contour(session.mask, [0.5], colors="turquoise")
for stroke, color in ((along, "dodgerblue"), (beside, "darkorange")):
    rows, cols = np.transpose(stroke.path)
    axes[1].plot(cols, rows, color=color, linewidth=2)
axes[1].set(title="scribbles", xlim=(200, 440), ylim=(511, 271))
for axis in axes:
    axis.axis("off")
plt.show()

# %%
# Kinds may be mixed in any order: each is one more prompt of the same object.

session.add(Click((300, 270), positive=False))
print([type(prompt).__name__ for prompt in session.prompts])
