"""A trained decoder made ready to answer fast on a CPU: the same numbers, fewer operations.

What training computes step by step is multiplied out once, when the weights are loaded. Prompts
are few and pixels many, so the attention between both never projects pixels: keys' and queries'
matrices are merged and applied to the prompts, as are values' and outputs'. The reference map's
convolution becomes a look-up, because a cell of 2 x 2 pixels has only 625 appearances. All maps
stay ``(R, H, W, C)``, so that convolutions over single pixels are plain matrix products.

R counts readings: one, or two where the prompts are read a second time without the mask before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_pvpu.networks.blocks import Attention, SeparableBlock
from napari_pvpu.networks.dual_cross_merging import DualCrossBlock
from napari_pvpu.networks.inference_attention import (
    Exchange,
    PixelsToPrompts,
    PromptsToPixels,
    SelfAttention,
)
from napari_pvpu.networks.inference_parts import (
    Mixer,
    Norm,
    Perceptron,
    Pointwise,
    Shrink,
    all_of,
    can_pack,
    nchw,
    nhwc,
    resize,
)
from napari_pvpu.networks.inference_prompts import PromptTokens
from napari_pvpu.networks.inference_reference import ReferenceTable, reference_readings
from napari_pvpu.networks.interface import Decoded, Features
from napari_pvpu.networks.models import PVPUNet
from napari_pvpu.networks.prompt_batch import CLICK, EMPTY, PromptBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.networks.dual_cross_merging import DualCrossMerging
    from napari_pvpu.networks.interface import PromptableNetwork

TOLERANCE = 1e-3
"""Largest difference of a logit that counts as rounding."""


def fast_decode(network: PromptableNetwork) -> Callable[..., Decoded]:
    """Return a function that answers as ``network.decode`` does, the fastest there is.

    Parameters
    ----------
    network : PromptableNetwork
        In evaluation mode, without gradients; its weights must not change any more.

    Returns
    -------
    callable
        A `FastDecoder` for a `PVPUNet` on the CPU once it has given the network's own answer to
        a trial, else ``network.decode`` itself.
    """
    if not isinstance(network, PVPUNet) or not _is_plain(network):
        return network.decode
    for packed in (True, False) if can_pack() else (False,):
        try:
            fast = FastDecoder(network, packed=packed)
            if _agree(network, fast):
                return fast
        except (AttributeError, RuntimeError, TypeError):
            continue  # this build of torch has something else under those names
    return network.decode


def _is_plain(network: PVPUNet) -> bool:
    """Whether all parts are of the kinds that are known here, and on the CPU."""
    attentions = [m for m in network.decoder.modules() if isinstance(m, Attention)]
    return (
        network.decoder.position.device.type == "cpu"
        and not network.decoder.merging.published
        and network.decoder.probabilistic is None
        and network.config.prompts.tokens
        and not any(attention.key_adaptation for attention in attentions)
    )


@torch.no_grad()
def _agree(network: PVPUNet, fast: FastDecoder) -> bool:
    """Give both the same made-up features and prompts and compare what they say."""
    size, generator = network.config.view_size, torch.Generator().manual_seed(0)
    sides = [size // stride for stride in (2, 4, 8, 16)]
    levels = tuple(
        torch.randn(1, side, side, channels, generator=generator).permute(0, 3, 1, 2)
        for side, channels in zip(sides, network.config.pyramid, strict=True)
    )
    image = torch.randn(1, 3, size, size, generator=generator)
    features = Features(levels, image, torch.ones_like(image[:, :1]))
    prompts = PromptBatch.empty(1, 2)
    prompts.kind[:] = CLICK
    prompts.valid[..., 0] = prompts.positive[:, 0] = True
    prompts.points[0, :, 0] = torch.tensor([[0.3, 0.4], [0.6, 0.2]]) * size
    previous = torch.rand(1, 1, size, size, generator=generator)
    one, two = (
        decode(features, prompts, previous, second_reading=True)
        for decode in (network.decode, fast)
    )
    return torch.allclose(one.logits, two.logits, rtol=TOLERANCE, atol=TOLERANCE)


class FastDecoder:
    """The light part of a `PVPUNet`, for one view at a time, without gradients.

    Parameters
    ----------
    network : PVPUNet
        In evaluation mode; later changes of its weights are not seen.
    packed : bool, optional
        See `can_pack`, which decides by default.
    """

    def __init__(self, network: PVPUNet, *, packed: bool | None = None) -> None:
        decoder, packed = network.decoder, can_pack() if packed is None else packed
        self._network = network
        self._decoder = decoder
        size = network.config.view_size
        self._table = ReferenceTable(network.reference2, network.reference4, size)
        self._tokens = PromptTokens(network.prompt_encoder)
        self._merging = _Merging(decoder.merging, decoder.position)

        s2, s4, s8, s16 = (size // stride for stride in (2, 4, 8, 16))

        def take(layer: nn.Module, side: int) -> Pointwise:
            return Pointwise.of(layer, 2 * side**2, packed)

        self._mix4, self._mix8 = Mixer(decoder.mix4, s4, packed), Mixer(decoder.mix8, s8, packed)
        self._down8 = Shrink(decoder.down8, s4, packed)
        self._down16 = Shrink(decoder.down16, s8, packed)
        self._exchange = Exchange(decoder.global16, s16, packed)
        self._up8 = take(decoder.up8, s16)
        self._lateral4, self._lateral16 = take(decoder.lateral4, s4), take(decoder.lateral16, s16)
        laterals = all_of(decoder.lateral8, nn.Conv2d)
        bias = torch.stack([layer.bias for layer in laterals if layer.bias is not None]).sum(0)
        # What the blocks say is laid side by side, so that one matrix sums it.
        weight = torch.cat([layer.weight for layer in laterals], 1)
        self._lateral8 = Pointwise(weight, bias, 2 * s8**2, packed)
        self._fuse = [Mixer(block, s4, packed) for block in all_of(decoder.fuse, SeparableBlock)]
        self._refine = Mixer(decoder.refine, s2, packed)
        self._to_stride2, self._hidden = take(decoder.to_stride2, s4), take(decoder.head[0], s2)
        (last,) = all_of(decoder.head[2:], nn.Conv2d)
        self._last = last.weight.flatten(1), last.bias
        self._prompt_head = Perceptron(decoder.prompt_head)
        self._score_head = Perceptron(decoder.score_head)
        self._sides = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)

    def __call__(
        self,
        features: Features,
        prompts: PromptBatch,
        previous: Tensor | None = None,
        *,
        second_reading: bool = False,
    ) -> Decoded:
        """Answer as `PVPUNet.decode` does; parameters as there."""
        network, config = self._network, self._network.config
        side, kinds = features.image.shape[-1], prompts.kind.tolist()
        if side != config.view_size or len(kinds) > 1 or EMPTY in kinds[0]:
            return network.decode(features, prompts, previous, second_reading=second_reading)
        tokens = self._tokens(prompts, features.image)
        readings = [previous, None] if second_reading and previous is not None else [previous]
        states = reference_readings(prompts, config.view_size, config.prompts.disk_radius, readings)
        logits, pixels, prompt_features, score = self._decode(
            features.levels, tokens, *self._table(states, previous)
        )
        logits = resize(logits, features.image.shape[-2:])
        return Decoded(nchw(logits), nchw(pixels), prompt_features, score)

    def _decode(
        self, levels: tuple[Tensor, ...], tokens: Tensor, reference2: Tensor, reference4: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Everything behind the embeddings; returns means over the readings."""
        s2, s4, s8, s16 = map(nhwc, levels)
        s8, s16 = (each.expand(len(reference2), -1, -1, -1) for each in (s8, s16))
        x4 = self._mix4(reference4.add_(s4))
        x8 = self._mix8(self._down8.plus(s8, x4))
        x16 = self._exchange(self._down16.plus(s16, x8))
        x8 += resize(self._up8(x16), x8.shape[1:3])
        filtered, prompts = self._merging(x8, tokens)

        coarse = resize(self._lateral8(filtered), x4.shape[1:3])
        coarse += resize(self._lateral16(x16), x4.shape[1:3])
        pixels = self._lateral4.plus(coarse, x4)
        for mix in self._fuse:
            pixels = mix(pixels)
        fine = resize(self._to_stride2(pixels), s2.shape[1:3])
        fine = self._refine(fine.add_(s2).add_(reference2))
        logits = F.linear(self._hidden(fine, relu=True), *self._last)
        return (
            _mean(logits),
            _mean(pixels),
            _mean(self._prompt_head(prompts)),
            self._score(logits, pixels, prompts),
        )

    def _score(self, logits: Tensor, pixels: Tensor, prompts: Tensor) -> Tensor:
        """Expected intersection over union, (1,)."""
        readings, height, width, _ = logits.shape
        # As a view: a permuted map of one channel passes for channels last, which takes thrice
        # the time.
        both = (logits.view(readings, 1, height, width) * self._sides).sigmoid_()
        weights = F.avg_pool2d(both, 2).flatten(2)  # (R, 2, N): inside, outside
        means = torch.bmm(weights, pixels.flatten(1, 2))
        means /= weights.sum(2, keepdim=True).clamp_(min=1e-3)
        known = torch.cat([means.flatten(1), prompts.mean(1)], dim=1)
        return self._score_head(known).mean(0).sigmoid()


def _mean(readings: Tensor) -> Tensor:
    """Mean of one or two readings (R, ...), (1, ...)."""
    if len(readings) == 1:
        return readings
    return torch.lerp(readings[:1], readings[1:], 0.5)


class _Merging:
    """`DualCrossMerging` with the interactive information filter."""

    def __init__(self, merging: DualCrossMerging, position: Tensor) -> None:
        self._position = position
        self._blocks = [_Block(block) for block in all_of(merging.blocks, DualCrossBlock)]
        self._final = PromptsToPixels(merging.final)
        self._final_norm = Norm(merging.final_norm)

    def __call__(self, x: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Merge (R, h, w, C) with tokens (1, K, C).

        Returns
        -------
        filtered : Tensor
            (R, h, w, blocks * C).
        prompts : Tensor
            (R, K, C).
        """
        semantic = pixels = x.flatten(1, 2)
        placed = pixels + self._position
        origin = total = prompts
        depth, width = len(self._blocks), x.shape[-1]
        filtered = x.new_empty(*semantic.shape[:2], depth * width)
        for i, block in enumerate(self._blocks):
            prompts, pixels = block(prompts, pixels, placed, origin)
            gate = prompts.amax(1, keepdim=True).sigmoid_().add_(1)
            gate = gate + pixels.amax(2, keepdim=True).sigmoid_()
            out = filtered[..., i * width : (i + 1) * width]
            torch.addcmul(pixels, semantic, gate, out=out)
            placed = pixels + self._position
            if i == depth - 1:
                seen = self._final(prompts + origin, placed, pixels)
                prompts = self._final_norm(seen.add_(prompts))
            total = total + prompts
        return filtered.view(*x.shape[:3], -1), total


class _Block:
    """`DualCrossBlock`."""

    def __init__(self, block: DualCrossBlock) -> None:
        self._self = SelfAttention(block.self_attention)
        self._to_semantic = PromptsToPixels(block.to_semantic)
        self._mlp = Perceptron(block.mlp)
        self._to_prompt = PixelsToPrompts(block.to_prompt)
        self._norms = [Norm(norm) for norm in block.norms]

    def __call__(
        self, prompts: Tensor, pixels: Tensor, placed: Tensor, origin: Tensor
    ) -> tuple[Tensor, Tensor]:
        first, second, third, fourth = self._norms
        prompts = first(self._self(prompts + origin, prompts).add_(prompts))
        prompts = second(self._to_semantic(prompts + origin, placed, pixels).add_(prompts))
        prompts = third(self._mlp(prompts).add_(prompts))
        return prompts, fourth(self._to_prompt(pixels, placed, prompts + origin, prompts))
