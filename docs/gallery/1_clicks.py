"""
Clicks, and corrections
=======================

A click on a thing gives its mask. Another one says what is missing, or what is not part of it.
"""

# %%
# A segmenter is a model on a device. It opens a session on an image, here simulated cells that
# come with the package, and with them the true ones.

import matplotlib.pyplot as plt
import numpy as np

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.evaluation.metrics import iou

cells = samples.load("simulated")
truth = cells.truth == 17
session = Segmenter("pvpu-nano").open(cells.image)

# %%
# Positions are (row, column) in pixels, pixel centres at integers. The mask is there when `add`
# returns. The first click finds part of the cell, the second is on what is missing, the third, in
# orange, on what is too much: as in napari with Shift held.

clicks = [Click((148, 407)), Click((133, 437)), Click((171, 384), positive=False)]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for number, (axis, click) in enumerate(zip(axes, clicks, strict=True), start=1):
    session.add(click)
    axis.imshow(cells.image, cmap="gray")
    axis.contour(session.mask, [0.5], colors="turquoise")
    for done in clicks[:number]:
        color, marker = ("dodgerblue", "o") if done.positive else ("darkorange", "X")
        axis.plot(*done.position[::-1], marker, color=color, markeredgecolor="white")
    axis.set(title=f"IoU {iou(session.mask, truth):.2f}", xlim=(330, 490), ylim=(210, 90))
    axis.axis("off")
plt.show()

# %%
# Accept it and go on with the next. All kinds of steps are in one history and can be undone:
# prompts, acceptances, edits, settings.

session.accept()
session.add(Click((133, 161)))
session.accept()
print(session.history)
session.undo()
print(np.unique(session.labels), session.prompts)
