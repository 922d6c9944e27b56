"""What can be evaluated: our engine through its sessions, and anything that answers prompts."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_pvpu.evaluation.baselines import BASELINES, Predictor, make_baseline
from napari_pvpu.evaluation.regions import Rect, RegionMask, union_rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_pvpu.evaluation.zoom_in import ZoomKind
    from napari_pvpu.prompts import Box, Click, Scribble
    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.session import Session

__all__ = ["METHODS", "Method", "PredictorMethod", "SessionMethod", "Step", "make_method"]

METHODS = ("pvpu", *BASELINES)


@dataclass(frozen=True, slots=True)
class Step:
    """What one interaction cost, in milliseconds: all of it, and its part spent on encoding."""

    total_ms: float
    encode_ms: float = 0.0


class Method(Protocol):
    """What the runner asks of anything that segments."""

    def open(self, image: NDArray[Any]) -> None:
        """Take a new image, shape (H, W) or (H, W, C)."""
        ...

    def start(self) -> None:
        """Forget the last object."""
        ...

    def add(self, prompt: Click | Box | Scribble) -> tuple[RegionMask, Step]:
        """Answer one more prompt with the whole mask, inside the image, and its cost."""
        ...


class PredictorMethod:
    """A `Predictor` (the classical methods) as the runner wants it."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._image: NDArray[Any] | None = None
        self.start()

    def open(self, image: NDArray[Any]) -> None:
        """Take a new image."""
        self._image = image
        self.start()

    def start(self) -> None:
        """Forget the last object."""
        self._prompts: list[Click | Box | Scribble] = []
        self._previous: RegionMask | None = None

    def add(self, prompt: Click | Box | Scribble) -> tuple[RegionMask, Step]:
        """Answer one more prompt."""
        assert self._image is not None
        self._prompts.append(prompt)
        begin = perf_counter()
        region = self._predictor.predict(self._image, self._prompts, self._previous)
        step = Step((perf_counter() - begin) * 1e3)
        self._previous = region
        return region, step


class SessionMethod:
    """Our engine, used like a person uses it: through `Session.add` on the whole image.

    Parameters
    ----------
    segmenter : Segmenter
        Opens a session for each image.
    em : bool
        Value propagation on.
    threshold : float
        On the probability.
    """

    def __init__(self, segmenter: Segmenter, *, em: bool = False, threshold: float = 0.5) -> None:
        self._segmenter = segmenter
        self._em = em
        self._threshold = threshold
        self._session: Session | None = None
        self._mask = np.zeros((0, 0), dtype=bool)
        self._rect: Rect = (0, 0, 0, 0)

    def open(self, image: NDArray[Any]) -> None:
        """Open a session on a new image."""
        self._session = self._segmenter.open(image)
        self._session.threshold = self._threshold
        self._session.value_propagation = self._em
        self._mask = np.zeros(image.shape[:2], dtype=bool)
        self._rect = (0, 0, 0, 0)

    def start(self) -> None:
        """Drop the object without accepting it."""
        assert self._session is not None
        self._session.reset()
        top, left, bottom, right = self._rect
        self._mask[top:bottom, left:right] = False
        self._rect = (0, 0, 0, 0)

    def add(self, prompt: Click | Box | Scribble) -> tuple[RegionMask, Step]:
        """Add the prompt; put the changed region into the mask so far."""
        assert self._session is not None
        begin = perf_counter()
        changed = self._session.add(prompt)
        total = (perf_counter() - begin) * 1e3
        height, width = changed.mask.shape
        rect = (changed.row, changed.col, changed.row + height, changed.col + width)
        self._mask[rect[0] : rect[2], rect[1] : rect[3]] = changed.mask
        self._rect = union_rect(self._rect, rect)
        top, left, bottom, right = self._rect
        region = RegionMask(top, left, self._mask[top:bottom, left:right].copy())
        return region, Step(total, float(self._session.last_timing.encode_ms))


def make_method(
    name: str,
    *,
    model: str = "pvpu-nano",
    device: str = "auto",
    em: bool = False,
    threshold: float = 0.49,
    protocol: str = "session",
    flip: bool = False,
    zoom_in: ZoomKind = "none",
    view_size: int | None = None,
) -> Method:
    """Build a method by name.

    Parameters
    ----------
    name : str
        One of `METHODS`. All other parameters matter for "pvpu" only.
    model, device : str
        See `Segmenter`.
    em : bool
        Value propagation on.
    threshold : float
        On the probability.
    protocol : {"session", "ritm"}
        Through a session, or the network alone as the papers do.
    flip, zoom_in, view_size
        Of the protocol "ritm"; see `load_network_method`.

    Returns
    -------
    Method

    Raises
    ------
    PvpuError
        When there is no such method, a library for it is missing, or the model or device is
        unknown (`ModelNotFoundError`, `DeviceError`).
    """
    if name == "pvpu" and protocol == "ritm":
        from napari_pvpu.evaluation.protocol import load_network_method

        return load_network_method(
            model,
            device,
            view_size=view_size,
            flip=flip,
            zoom_in=zoom_in,
            threshold=threshold,
            em=em,
        )
    if name == "pvpu":
        from napari_pvpu.segmenter import Segmenter

        # Every view is encoded, for that is to be measured too, and in full precision.
        segmenter = Segmenter(model, device=device, store=False)
        return SessionMethod(segmenter, em=em, threshold=threshold)
    return PredictorMethod(make_baseline(name))
