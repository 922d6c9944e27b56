"""
Clicks, and a correction
========================

One click on a thing gives its mask; a second one says what is not part of it.
"""

# %%
# A segmenter is a model on a device. It opens a session on an image, here a photograph that comes
# with the package.

import matplotlib.pyplot as plt

from napari_pvpu import Click, Segmenter, samples

coins = samples.load("coins")
session = Segmenter("pvpu-nano").open(coins.image)

# %%
# Positions are (row, column) in pixels, pixel centres at integers. The mask is there when `add`
# returns.

session.add(Click((186, 330)))
before = session.mask
print(f"{before.sum()} pixels, the network expects an IoU of {session.score:.2f}")

# %%
# This coin has a helmet on it, and the click hit the helmet's rim. A click on what is missing, and
# one on the table beside it, as in napari with Shift held.

session.add(Click((205, 348)))
session.add(Click((222, 348), positive=False))
after = session.mask

figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for axis, mask, title in ((axes[0], before, "one click"), (axes[1], after, "three clicks")):
    axis.imshow(coins.image[140:235, 290:384], cmap="gray", extent=(289.5, 383.5, 234.5, 139.5))
    axis.contour(mask, [0.5], colors="turquoise")
    axis.set(title=title, xlim=(289.5, 383.5), ylim=(234.5, 139.5))
    axis.axis("off")
axes[0].plot(330, 186, "o", color="dodgerblue", markeredgecolor="white")
axes[1].plot([330, 348], [186, 205], "o", color="dodgerblue", markeredgecolor="white")
axes[1].plot(348, 222, "X", color="darkorange", markeredgecolor="white")
plt.show()

# %%
# Accept it and go on with the next. Every step can be undone, in any order of kinds: prompts,
# acceptances, settings.

session.accept()
session.add(Click((43, 334)))
session.accept()
print(session.history)
session.undo()
print(f"after one step back: {len(session.objects)} object, prompts {session.prompts}")
