"""What every promptable network of this package takes and gives."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_pvpu.networks.prompt_batch import PromptBatch


class Features(NamedTuple):
    """What is kept of a view between interactions.

    Attributes
    ----------
    levels : tuple of Tensor
        ``(B, C_i, H_i, W_i)``, finest first; what they are is the network's own affair.
    image : Tensor
        ``(B, 3, S, S)``, the normalised view, for the visual term of the prompt encoding.
    inside : Tensor
        ``(B, 1, S, S)``, one inside the image.
    """

    levels: tuple[Tensor, ...]
    image: Tensor
    inside: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> Features:
        """Return features of which every tensor was changed alike."""
        levels = tuple(change(level) for level in self.levels)
        return Features(levels, change(self.image), change(self.inside))

    def repeat(self, times: int) -> Features:
        """Repeat each view `times` times, to answer several prompt sets on it at once."""
        return self.map(lambda x: x.repeat_interleave(times, 0))

    def detach(self) -> Features:
        """Return the same features without their gradients."""
        return self.map(Tensor.detach)


class Decoded(NamedTuple):
    """Answer to the prompts of one interaction.

    Attributes
    ----------
    logits : Tensor
        ``(B, 1, S, S)`` float32.
    pixels : Tensor
        ``(B, D, h, w)``, pixel features.
    prompt_features : Tensor
        ``(B, K, D)``, prompt features in the same space.
    score : Tensor
        ``(B,)``, expected intersection over union, 0 to 1.
    """

    logits: Tensor
    pixels: Tensor
    prompt_features: Tensor
    score: Tensor


class PromptableNetwork(nn.Module):
    """A network that encodes a view once and answers prompts on it any number of times.

    Attributes
    ----------
    config : ModelConfig
        What it was built from.
    """

    config: Any

    @abstractmethod
    def encode(self, view: Tensor) -> Features:
        """Run what is needed once for each view.

        Parameters
        ----------
        view : Tensor
            ``(B, 3, S, S)`` float32, about 0 to 1, NaN where the window leaves the image.
        """

    @abstractmethod
    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        """Run what is needed for each interaction.

        Parameters
        ----------
        features : Features
            From `encode`.
        prompts : PromptBatch
            All prompts of the object, K at least 1, in view pixels.
        previous : Tensor, optional
            ``(B, 1, S, S)``, probability after the interaction before; None for the first.
        second_reading : bool
            With `previous`, read the prompts a second time without it and average both answers,
            if the network was trained for that.
        """

    def decode_with_auxiliary(
        self, features: Features, prompts: PromptBatch, previous: Tensor | None = None
    ) -> tuple[Decoded, Tensor | None]:
        """Do as `decode`, and give the logits of an auxiliary head too if there is one.

        Returns
        -------
        Decoded
            As from `decode`.
        auxiliary : Tensor or None
            ``(B, 1, S, S)`` float32.
        """
        return self.decode(features, prompts, previous), None

    @abstractmethod
    def encoder_modules(self) -> Iterable[nn.Module]:
        """Return the parts that run once for each view and no more."""


def count_parameters(network: PromptableNetwork) -> tuple[int, int]:
    """Return the number of all parameters and of those that run at each interaction."""
    total = sum(p.numel() for p in network.parameters())
    once = {id(p): p.numel() for m in network.encoder_modules() for p in m.parameters()}
    return total, total - sum(once.values())
