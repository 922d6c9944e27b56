"""A network measured the papers' way: driven directly on the whole image or on zoom-in crops.

`SessionMethod` measures what a person gets, with a session that searches for the right view. The
numbers of RITM, SimpleClick and PVPUFormer come from another way: the image, or a crop around the
object, is resized to the network's input; image and mirrored image are answered together and
their logits averaged; the probability after one interaction, in image pixels, is the previous
mask of the next. `NetworkMethod` does that with any network of this package, so that its numbers
stand beside theirs. `report.protocol_table` prints what their tables have.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.methods import Step
from napari_pvpu.evaluation.regions import RegionMask
from napari_pvpu.evaluation.zoom_in import ZOOM_RULES, CropView, ZoomIn, ZoomKind
from napari_pvpu.features.prompt_tensors import prompt_batch
from napari_pvpu.prompts import Click
from napari_pvpu.propagation.within_view import ValuePropagation
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_pvpu.networks.interface import Features, PromptableNetwork
    from napari_pvpu.networks.prompt_batch import PromptBatch
    from napari_pvpu.prompts import Box, Scribble

    Floats: TypeAlias = NDArray[np.float32]

__all__ = ["NetworkMethod", "load_network_method"]

_TILE = 512


class NetworkMethod:
    """A network behind the `Method` interface, without a session.

    Parameters
    ----------
    network : PromptableNetwork
        In evaluation mode.
    view_size : int
        Side S of its input.
    device : torch.device
        Where it is.
    flip : bool
        Average the logits of the view and of its mirror image.
    zoom_in : {"none", "ritm", "simpleclick"}
        Whether and how to crop; see `zoom_in.ZOOM_RULES`. The papers' target sizes (400, 448)
        are replaced by S.
    threshold : float
        A pixel is the object's above this probability.
    em : bool
        Value propagation on the logits of each reading, before they are averaged.

    Notes
    -----
    Source: RITM's predictor with its transforms. Each object begins with features of its own, so
    that the time of encoding is counted for every object.
    """

    def __init__(
        self,
        network: PromptableNetwork,
        view_size: int,
        device: torch.device | str = "cpu",
        *,
        flip: bool = True,
        zoom_in: ZoomKind = "simpleclick",
        threshold: float = 0.49,
        em: bool = False,
    ) -> None:
        self._network = network
        self._size = view_size
        self._device = torch.device(device)
        self._flip = flip
        self._rule = ZOOM_RULES[zoom_in]
        self._threshold = threshold
        self._propagation = ValuePropagation() if em else None
        self._image: Floats | None = None

    def open(self, image: NDArray[Any]) -> None:
        """Take a new image; it is normalised like a session's and like images in training.

        (The released codes divide by 255; of most photographs little else becomes of it here.)
        """
        self._image = _normalised(image)
        self.start()

    def start(self) -> None:
        """Forget the last object."""
        assert self._image is not None
        shape = (self._image.shape[1], self._image.shape[2])
        self._zoom = ZoomIn(shape, self._rule)
        self._prompts: list[Click | Box | Scribble] = []
        self._probability: Floats | None = None
        self._view: CropView | None = None
        self._features: Features | None = None

    def add(self, prompt: Click | Box | Scribble) -> tuple[RegionMask, Step]:
        """Answer one more prompt; the mask covers the crop, and nothing outside it is object."""
        begin = perf_counter()
        self._prompts.append(prompt)
        rect = self._zoom.next_crop(self._probability, self._prompts)
        encode_ms = 0.0
        if self._view is None or self._view.rect != rect:
            self._view = CropView(rect, self._size, self._rule.stretch)
            encode_ms = self._encode(self._view)
        answer = self._view.write_back(self._decode(self._view))
        top, left, bottom, right = rect
        assert self._image is not None
        self._probability = np.zeros(self._image.shape[1:], np.float32)
        self._probability[top:bottom, left:right] = answer
        mask = np.asarray(answer > self._threshold)
        return RegionMask(top, left, mask), Step((perf_counter() - begin) * 1e3, encode_ms)

    @torch.inference_mode()
    def _encode(self, view: CropView) -> float:
        """Encode the view, and its mirror image with it; return how long it took."""
        begin = perf_counter()
        assert self._image is not None
        seen = torch.from_numpy(view.read(self._image, np.nan))[None].to(self._device)
        self._features = self._network.encode(_with_mirrored(seen) if self._flip else seen)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        return (perf_counter() - begin) * 1e3

    @torch.inference_mode()
    def _decode(self, view: CropView) -> Floats:
        """Probability over the view, (S, S)."""
        assert self._features is not None
        prompts = prompt_batch([view.prompt_to_view(p) for p in self._prompts])
        previous = None
        if self._probability is not None:
            read = view.read(self._probability, 0.0)
            previous = torch.from_numpy(read)[None, None].to(self._device)
        if self._flip:
            prompts = mirrored_too(prompts, self._size)
            previous = None if previous is None else _with_mirrored(previous)
        prompts = prompts.to(self._device)
        decoded = self._network.decode(self._features, prompts, previous)
        logits = decoded.logits.float()
        if self._propagation is not None:
            logits = self._propagation(decoded, prompts)
        if self._flip:
            logits = (logits[:1] + logits[1:].flip(-1)) / 2
        return np.asarray(logits[0, 0].sigmoid().cpu().numpy(), np.float32)


def load_network_method(
    model: str | Path,
    device: str = "auto",
    *,
    view_size: int | None = None,
    flip: bool = True,
    zoom_in: ZoomKind = "simpleclick",
    threshold: float = 0.49,
    em: bool = False,
) -> NetworkMethod:
    """Load a model's network for `NetworkMethod`.

    Parameters
    ----------
    model : str or Path
        A model's name or the path of a weights file.
    device : str
        See `choose_device`.
    view_size : int, optional
        Side of the network's input; the model's own by default. The papers measure DAVIS at 672
        with networks of 448.
    flip, zoom_in, threshold, em
        See `NetworkMethod`.

    Raises
    ------
    ModelNotFoundError, WeightsError, DeviceError
        If the model is unknown, damaged, or the device cannot be used.
    PvpuError
        If the network does not take views of that size.
    """
    from napari_pvpu.features.devices import choose_device
    from napari_pvpu.model_files import load_network

    place = choose_device(device)
    network = load_network(model, place)
    own = network.config.view_size
    method = NetworkMethod(
        network,
        view_size or own,
        place,
        flip=flip,
        zoom_in=zoom_in,
        threshold=threshold,
        em=em,
    )
    if view_size not in (None, own):
        _try(method, f"{model} cannot see views of {view_size} pixels, other than its own {own}")
    return method


def _try(method: NetworkMethod, problem: str) -> None:
    """Answer a click on a blank image; not every network takes views of other sizes."""
    try:
        method.open(np.eye(64, dtype=np.uint8))
        method.add(Click((32, 32)))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise PvpuError(f"{problem} ({reason}); leave the view size out") from error


def mirrored_too(prompts: PromptBatch, size: int) -> PromptBatch:
    """Add the mirror images of prompts as a second half of the batch.

    Parameters
    ----------
    prompts : PromptBatch
        (B, K, ...), in view pixels.
    size : int
        Side S of the view; column c becomes S - 1 - c.

    Returns
    -------
    PromptBatch
        (2 B, K, ...).
    """
    columns = prompts.points.clone()
    columns[..., 1] = size - 1 - columns[..., 1]
    twice = prompts._replace(points=columns)
    return type(prompts)(*(torch.cat(pair) for pair in zip(prompts, twice, strict=True)))


def _with_mirrored(batch: torch.Tensor) -> torch.Tensor:
    return torch.cat([batch, batch.flip(-1)])


def _normalised(image: NDArray[Any]) -> Floats:
    """The whole image as the network's three channels, (3, H, W), 0 to 1."""
    source = ImageSource(image)
    height, width = source.shape
    out = np.empty((3, height, width), np.float32)
    for row in range(0, height, _TILE):
        for col in range(0, width, _TILE):
            tile = source.read_view(View(row, col, _TILE, _TILE))
            part = out[:, row : row + _TILE, col : col + _TILE]
            part[...] = tile[:, : part.shape[1], : part.shape[2]]
    return out
