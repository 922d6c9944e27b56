"""Losses of the training: normalised focal, Dice, and prompt-to-pixel (P2C).

Each returns one value per sample, so that the trainer can weigh samples and interactions.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def normalized_focal_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    gamma: float = 2.0,
    valid: Tensor | None = None,
) -> Tensor:
    """Focal loss whose weights average to one in each sample.

    ``-a_t * beta * log p_t``, averaged over the pixels that count, where
    ``beta = (1 - p_t)^gamma * N / sum (1 - p_t)^gamma``. The normaliser counts as a constant for
    the gradient. As the object gets learned the plain focal loss fades; this one keeps its size
    and only moves it to the pixels that are still wrong.

    Parameters
    ----------
    logits : Tensor
        (B, 1, H, W).
    target : Tensor
        (B, 1, H, W), bool or 0..1; foreground from 0.5 on.
    alpha : float
        Weight of foreground pixels; background pixels weigh 1 - alpha.
    gamma : float
        Focusing exponent.
    valid : Tensor, optional
        (B, 1, H, W) bool or 0/1, pixels that count; all by default.

    Returns
    -------
    Tensor
        (B,) float32 or better; zero for samples without a pixel that counts.

    Notes
    -----
    Source: RITM and its heirs (PVPUFormer uses alpha 0.5, gamma 2).
    """
    sign, counted = _as_signs(target), _as_mask(valid, logits)
    signed = _exact(logits) * sign
    log_correct = F.logsigmoid(signed)
    focus = torch.sigmoid(-signed) ** gamma
    weight = torch.where(sign > 0, alpha, 1 - alpha)
    pixels = counted.flatten(1).sum(1)
    with torch.no_grad():
        total = (focus * counted).flatten(1).sum(1)
        # Where all is learned to the last bit there is nothing left to weigh.
        scale = pixels / total.clamp_min(torch.finfo(total.dtype).tiny * 1e8)
    loss = -(weight * focus * log_correct * counted).flatten(1).sum(1) * scale
    return loss / pixels.clamp_min(1)


def dice_loss(
    logits: Tensor, target: Tensor, valid: Tensor | None = None, eps: float = 1e-3
) -> Tensor:
    """One minus the soft Dice overlap, ``1 - (2 sum p t + eps) / (sum p + sum t + eps)``.

    Parameters
    ----------
    logits : Tensor
        (B, 1, H, W).
    target : Tensor
        (B, 1, H, W), bool or 0..1.
    valid : Tensor, optional
        (B, 1, H, W) bool or 0/1, pixels that count; all by default.
    eps : float
        Keeps the quotient defined where prediction and target are both empty (loss 0).

    Returns
    -------
    Tensor
        (B,) float32 or better.
    """
    counted = _as_mask(valid, logits)
    probability = (torch.sigmoid(_exact(logits)) * counted).flatten(1)
    truth = (target.float() * counted).flatten(1)
    overlap = (probability * truth).sum(1)
    return 1 - (2 * overlap + eps) / (probability.sum(1) + truth.sum(1) + eps)


def p2c_loss(
    pixels: Tensor,
    tokens: Tensor,
    targets: Tensor,
    slot_valid: Tensor,
    margin: float = 1e-4,
    *,
    form: Literal["pixelwise", "infonce"] = "pixelwise",
    temperature: float = 0.07,
) -> Tensor:
    """Align pixel features with the prompts that mean them (prompt-to-pixel loss).

    ``s = (cos(pixel, token) + 1) / 2`` is read as the probability that the prompt means the
    pixel; the loss is its binary cross entropy, averaged over the pixels and over the slots that
    hold a prompt. The published code averages over empty slots too; here they do not count.

    Parameters
    ----------
    pixels : Tensor
        (B, D, h, w) pixel features.
    tokens : Tensor
        (B, K, D) prompt features.
    targets : Tensor
        (B, K, h, w) float 0..1: what prompt k means. For a first prompt the object (or its
        complement, when negative), for a correction the error region that it answers.
    slot_valid : Tensor
        (B, K) bool, slots that hold a prompt.
    margin : float
        s is kept this far from 0 and 1.
    form : str
        ``"pixelwise"``, as above, or ``"infonce"``: with the cosines c of a prompt to all pixels,
        ``-log(sum over its pixels of exp(c / temperature) / sum over all)``; pixels that a prompt
        means in part count in part, prompts that mean no pixel do not.
    temperature : float
        Of ``"infonce"``.

    Returns
    -------
    Tensor
        (B,) float32 or better; zero for samples without a prompt.

    Raises
    ------
    ValueError
        If there is no such form.

    Notes
    -----
    Source: PVPUFormer, P2C as released. Its code declares a temperature of 0.07 but does not use
    it; the second form is ours.
    """
    if form not in ("pixelwise", "infonce"):
        raise ValueError(f"form is {form!r}; choose 'pixelwise' or 'infonce'")
    with torch.autocast(pixels.device.type, enabled=False):
        unit_pixels = F.normalize(_exact(pixels).flatten(2), dim=1)
        unit_tokens = F.normalize(_exact(tokens), dim=2)
        similarity = (unit_tokens @ unit_pixels).clamp(-1, 1)
        meant = targets.flatten(2).to(similarity.dtype)
        if form == "infonce":
            return _contrast(similarity / temperature, meant, slot_valid)
        # Near cos = -1 the gradient of log s grows without bound; the margin stops it.
        probability = 0.5 + (0.5 - margin) * similarity
        # Written out, since torch's own stops a whole run where one feature is not finite.
        entropy = -(meant * probability.log() + (1 - meant) * (1 - probability).log())
    counted = slot_valid.float()
    return (entropy.mean(2) * counted).sum(1) / counted.sum(1).clamp_min(1)


def _contrast(logits: Tensor, meant: Tensor, slot_valid: Tensor) -> Tensor:
    """InfoNCE of ``(B, K, N)`` logits, averaged over the valid slots that mean some pixel."""
    counted = slot_valid & (meant > 0).any(2)
    # A slot that means nothing would give infinities, and their gradients, before it is left out.
    share = torch.where(counted[..., None], meant, 1.0)
    weight = torch.where(share > 0, share.clamp_min(1e-12).log(), -torch.inf)
    each = logits.logsumexp(2) - (logits + weight).logsumexp(2)
    return (each * counted).sum(1) / counted.sum(1).clamp_min(1)


def _exact(values: Tensor) -> Tensor:
    """Float32 or better: half precision would lose small errors in large sums."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _as_signs(target: Tensor) -> Tensor:
    """Return +1 for foreground, -1 for background."""
    foreground = target if target.dtype == torch.bool else target >= 0.5
    return torch.where(foreground, 1.0, -1.0)


def _as_mask(valid: Tensor | None, logits: Tensor) -> Tensor:
    """Weights 0 or 1 of the pixels, in float32."""
    if valid is None:
        return torch.ones_like(logits, dtype=torch.float32)
    return valid.float().expand_as(logits)
