"""
Correcting another program's labels
===================================

Labels of Cellpose, StarDist, a threshold or a colleague become objects of the session, keep their
ids, and are corrected by clicks and edits instead of being painted over.
"""

# %%
# Here a threshold plays the other program. It finds most coins, and makes the mistakes that
# thresholds make: the brighter table at the top became object 1, together with a coin, and
# object 2.

import matplotlib.pyplot as plt
from scipy import ndimage
from skimage import color, filters

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.evaluation.metrics import iou

coins = samples.load("coins")
bright = ndimage.binary_fill_holes(coins.image > filters.threshold_otsu(coins.image))
found, count = ndimage.label(ndimage.binary_opening(bright, iterations=3))
print(f"{count} objects")

# %%
# `Segmenter.open` takes them along. What is deleted, opened, split or merged is a step that can be
# undone.

session = Segmenter("pvpu-nano").open(coins.image, labels=found)
session.delete(2)
session.delete(1)
session.add(Click((54, 44)))
coin = session.accept()
print(f"the missing coin is object {coin}, IoU {iou(session.labels == coin, coins.truth == 5):.3f}")

# %%
# An object that is there is opened by its id; its mask stays as it is, pixel for pixel, until the
# network changes its mind about a part of it. The coin with the shaded lower edge has lost that.

cut = found[265, 113]
print(f"IoU before: {iou(session.labels == cut, coins.truth == coins.truth[265, 113]):.3f}")
session.open_object(int(cut))
session.add(Click((286, 113)))
session.accept()
print(f"IoU after:  {iou(session.labels == cut, coins.truth == coins.truth[265, 113]):.3f}")

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for axis, labels, title in ((axes[0], found, "threshold"), (axes[1], session.labels, "corrected")):
    axis.imshow(color.label2rgb(labels, coins.image, bg_label=0, alpha=0.4))
    axis.set_title(title)
    axis.axis("off")
plt.show()

# %%
# `Session.merge`, `split`, `fill_holes`, `smooth`, `grow`, `shrink`, `relabel` and `remove_small`
# work on whole objects.

print(session.history[-3:])
