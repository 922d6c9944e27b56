"""A picture of three disks, and sessions on it, for tests of what a session does."""

from __future__ import annotations

import numpy as np

from fakes import FloodPredictor
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource

SHAPE = (130, 170)
CENTERS = {"bright": (35, 40), "grey": (90, 110), "faint": (30, 130)}
RADII = {"bright": 14, "grey": 28, "faint": 8}
VALUES = {"bright": 250, "grey": 150, "faint": 90}


def disks():
    """Return the image, uint8, and a mask of each disk by its name."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.full(SHAPE, 20, np.uint8)
    masks = {}
    for name, (row, col) in CENTERS.items():
        masks[name] = np.hypot(rows - row, cols - col) <= RADII[name]
        image[masks[name]] = VALUES[name]
    return image, masks


IMAGE, DISKS = disks()
VOLUME = np.stack([IMAGE, IMAGE[::-1, ::-1], IMAGE])


def new_session(image=IMAGE, **source):
    return Session(ImageSource(image, **source), FloodPredictor(64))


def volume_session():
    return new_session(VOLUME, axes="ZYX")


def seen(session):
    """Everything of a session that a user can see, but for what can be redone."""
    return (
        session.plane,
        session.prompts,
        session.mask.tobytes(),
        session.probability.tobytes(),
        session.painted.tobytes(),
        session.labels.tobytes(),
        dict(session.objects),
        session.score,
        session.opened,
        session.value_propagation,
        session.threshold,
        session.smoothing,
        session.min_size,
        session.history_position,
    )
