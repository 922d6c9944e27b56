"""PVPUFormer's prompt slots: a fixed number for each polarity, and a mask of those in use."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from napari_pvpu.networks.prompt_batch import CLICK, EMPTY, PromptBatch
from napari_pvpu.networks.prompt_encoding import LABELS, PPuE, PPuEConfig


class SlotTokens(NamedTuple):
    """Prompt tokens in their slots, the positive ones first.

    Attributes
    ----------
    tokens : Tensor
        ``(B, 2 n, dim)``, n slots for positive prompts, then n for negative ones.
    filled : Tensor
        ``(B, 2 n)`` bool, slots that hold a prompt.
    slot_of : Tensor
        ``(B, K)`` int64, the slot of each of the K prompts given; -1 where it has none.
    """

    tokens: Tensor
    filled: Tensor
    slot_of: Tensor


def assign_slots(prompts: PromptBatch, slots: int) -> Tensor:
    """Give each prompt a slot of its polarity, in the order of the batch.

    Of more prompts of a polarity than there are slots the latest are kept.

    Parameters
    ----------
    prompts : PromptBatch
        K prompts, oldest first, in any mix of kinds and polarities, empty ones anywhere.
    slots : int
        n, slots for each polarity.

    Returns
    -------
    Tensor
        ``(B, K)`` int64: 0 to n - 1 for positive prompts, n to 2 n - 1 for negative ones, -1 for
        empty ones and for those that found no slot.
    """
    given = prompts.kind != EMPTY
    place = torch.full_like(prompts.kind, -1)
    for first, chosen in ((0, given & prompts.positive), (slots, given & ~prompts.positive)):
        order = chosen.long().cumsum(1)
        surplus = (order[:, -1:] - slots).clamp_min(0)
        rank = order - 1 - surplus
        place = torch.where(chosen & (rank >= 0), rank + first, place)
    return place


class PromptSlots(nn.Module):
    """Encode any mix of prompts as PVPUFormer's 24 positive and 24 negative tokens.

    A token is ``Linear(ReLU(Linear([q_h, q_v, label])))`` as in `PPuE`; an empty slot's vectors are
    zero and its label is (0, 0, 1). If there are more prompts of one polarity than slots, the
    latest keep theirs and the oldest have no say any more.

    Parameters
    ----------
    config : PPuEConfig
        Grid and spreads of the vectors.
    dim : int
        Channels of a token (768 in the paper).
    hidden : int
        Hidden channels of the perceptron (2048).
    slots : int
        Slots for each polarity (24).
    rows_first : bool
        Whether the vectors of clicks change places, the one over the rows first. Released
        weights expect that: their code had clicks as (row, column), boxes as (x, y).

    Raises
    ------
    ValueError
        If there is not at least one slot.

    Notes
    -----
    Source: PVPUFormer, released code. The mask is ours: there, empty slots take part in
    attention and pooling.
    """

    empty: Tensor

    def __init__(
        self,
        config: PPuEConfig,
        dim: int = 768,
        hidden: int = 2048,
        slots: int = 24,
        *,
        rows_first: bool = False,
    ) -> None:
        super().__init__()
        if slots < 1:
            raise ValueError(f"each polarity needs at least one slot, not {slots}")
        self.slots, self.rows_first = slots, rows_first
        self.encoding = PPuE(config, dim, hidden)
        empty = torch.zeros(1, 1, 2 * config.size + LABELS)
        empty[..., -1] = 1
        self.register_buffer("empty", empty, persistent=False)

    def forward(
        self, prompts: PromptBatch, image: Tensor | None = None, extent: int | None = None
    ) -> SlotTokens:
        """Encode prompts; parameters as for `PPuE.vectors`.

        Returns
        -------
        SlotTokens
            Tokens of all slots and which of them are filled.
        """
        vectors = self.encoding.vectors(prompts, image, extent)
        if self.rows_first:
            size = self.encoding.config.size
            columns, rows, label = vectors.split([size, size, LABELS], dim=-1)
            turned = torch.cat([rows, columns, label], dim=-1)
            vectors = torch.where((prompts.kind == CLICK)[..., None], turned, vectors)
        place = assign_slots(prompts, self.slots)
        batch, count = place.shape
        # Where each slot's vectors come from; K, one past the last prompt, is the empty slot.
        # Prompts without a slot write to one past the last slot, which is cut off.
        source = torch.full((batch, 2 * self.slots + 1), count, device=place.device)
        target = torch.where(place < 0, 2 * self.slots, place)
        source = source.scatter(
            1, target, torch.arange(count, device=place.device).expand_as(place)
        )
        source = source[:, :-1]
        pool = torch.cat([vectors, self.empty.expand(batch, 1, -1)], dim=1)
        laid = pool.gather(1, source[..., None].expand(-1, -1, pool.shape[2]))
        return SlotTokens(self.encoding.mlp(laid), source < count, place)


def at_slots(values: Tensor, slot_of: Tensor) -> Tensor:
    """Read a value of each prompt from those of the slots.

    Parameters
    ----------
    values : Tensor
        ``(B, 2 n, D)``.
    slot_of : Tensor
        ``(B, K)`` from `SlotTokens`.

    Returns
    -------
    Tensor
        ``(B, K, D)``, zero for prompts without a slot.
    """
    index = slot_of.clamp_min(0)[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, index) * (slot_of >= 0)[..., None]
