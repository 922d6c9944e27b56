"""Between the network's tensors and the arrays of the feature store."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pvpu.networks.backbones import normalize_view
from napari_pvpu.networks.interface import Features

if TYPE_CHECKING:
    from napari_pvpu.features.store import FeatureStore
    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["FeatureKeeper", "rounded"]

VERSION = 1
"""Of everything between an image and its features that is code and no weights. To be raised when
a change of it makes another number of the same view; the last digit, which differs between
machines too, does not count."""

_LARGEST = 65_504.0
"""Of float16."""

Arrays = dict[str, npt.NDArray[Any]]


class FeatureKeeper:
    """Puts a network's features into a store and finds them there.

    Levels are kept in float16. The normalised view and its mask are made anew from the view, which
    is at hand whenever its features are asked for.

    Parameters
    ----------
    store : FeatureStore or None
        None keeps nothing, but rounds all the same.
    weights_id : str
        Of the network's weights.
    network : PromptableNetwork
        Its config, without the name, counts as well: the same weights in another arrangement
        would see something else.
    """

    def __init__(
        self, store: FeatureStore | None, weights_id: str, network: PromptableNetwork
    ) -> None:
        self.store = store
        self._model = str(network.config.name)
        self._told = {
            "version": VERSION,
            "weights": weights_id,
            "config": network.config.to_dict() | {"name": ""},
        }
        self._spaces: dict[str, str] = {}

    def recall(
        self, view: npt.NDArray[np.float32], network: PromptableNetwork, precision: str
    ) -> Features | None:
        """Return the features of a view if the store has them, on the network's device.

        Parameters
        ----------
        view : array, (3, S, S), float32
            As it enters the network.
        network : PromptableNetwork
            The network.
        precision : str
            In which its encoder computes.
        """
        if self.store is None:
            return None
        space = self._space(precision)
        found = self.store.get(space, self.store.key(space, view))
        if found is None:
            return None
        levels = _levels(*found)
        if not levels:
            return None
        device = next(network.parameters()).device
        image, inside = _image_of(network, torch.from_numpy(view)[None].to(device))
        if "image" in found[0]:
            image = torch.from_numpy(found[0]["image"].copy())
        return Features(tuple(levels), image, inside).map(lambda tensor: tensor.to(device))

    def keep(
        self,
        view: npt.NDArray[np.float32],
        features: Features,
        network: PromptableNetwork,
        precision: str,
    ) -> Features:
        """Put features into the store and return them as it will give them back.

        So answers do not depend on whether a view had been seen before.

        Parameters
        ----------
        view, network, precision
            As for `recall`.
        features : Features
            What the network made of the view.
        """
        kept = Features(tuple(map(rounded, features.levels)), features.image, features.inside)
        if self.store is None or not kept.levels:
            return kept
        seen, inside = _image_of(network, torch.from_numpy(view)[None].to(kept.image.device))
        if not torch.equal(inside, kept.inside):
            return kept  # a network with a view of its own of what lies outside
        arrays, last = {}, ""
        for number, level in enumerate(kept.levels):
            # Channels last in memory is how the decoder wants them, and how they come back.
            turn = _channels_last(level)
            array = _narrow(level).permute(0, 2, 3, 1) if turn else _narrow(level)
            arrays[f"level{number:02}"] = array.cpu().contiguous().numpy()
            last += "1" if turn else "0"
        if not torch.equal(seen, kept.image):
            arrays["image"] = kept.image.cpu().contiguous().numpy()
        space = self._space(precision)
        about = {"model": self._model, "channels_last": last}
        self.store.put(space, self.store.key(space, view), arrays, about)
        return kept

    def _space(self, precision: str) -> str:
        if precision not in self._spaces:
            told = json.dumps(self._told | {"precision": precision}, sort_keys=True)
            self._spaces[precision] = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
        return self._spaces[precision]


def rounded(level: Tensor) -> Tensor:
    """Round to float16 what fits into it, and return it as float32."""
    return _narrow(level).float()


def _narrow(level: Tensor) -> Tensor:
    """Return a level in float16, or as it is if it has numbers too large for that."""
    half = level.half()
    if bool(level.abs().amax() <= _LARGEST):  # nearly always, and 30 times as fast as what follows
        return half
    return half if bool((half.isfinite() == level.isfinite()).all()) else level.float()


def _channels_last(level: Tensor) -> bool:
    return level.ndim == 4 and level.is_contiguous(memory_format=torch.channels_last)


def _levels(arrays: Arrays, about: dict[str, str]) -> list[Tensor]:
    """Make float32 tensors of a file's arrays; none if they are not what `keep` wrote."""
    last = about.get("channels_last", "")
    levels = []
    for number, turned in enumerate(last):
        array = arrays.get(f"level{number:02}")
        if array is None:
            return []
        level = torch.from_numpy(array.astype(np.float32))
        levels.append(level.permute(0, 3, 1, 2) if turned == "1" else level)
    return levels


def _image_of(network: PromptableNetwork, view: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normalised view and its mask, as the network's `encode` has them."""
    mean, deviation = (getattr(network, name, None) for name in ("mean", "deviation"))
    if not isinstance(mean, Tensor) or not isinstance(deviation, Tensor):
        return normalize_view(view)
    inside = ~view.isnan().any(1, keepdim=True)
    image = torch.where(inside, (view - mean) / deviation, 0.0)
    return image, inside.to(image.dtype)
