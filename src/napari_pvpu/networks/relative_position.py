"""Relative position terms of attention on a line or a grid, on queries, keys and values.

A token at i and a unit at j share learnt vectors ``r_{j-i}``. On a grid the vector is the sum of
one for the offset in rows and one for that in columns, so that a tensor of all pairs with their
channels is never formed, and lines and grids can share the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from napari_pvpu.networks.mixture import exact

if TYPE_CHECKING:
    from collections.abc import Sequence

Term = Literal["query", "key", "value"]
FULL: tuple[Term, ...] = ("query", "key", "value")


@dataclass(frozen=True, slots=True)
class RelativeTerms:
    """Position terms between some tokens and all units of one line or grid.

    Attributes
    ----------
    places : tuple of Tensor
        For each axis (K,) int64, where each unit lies.
    query, key, value : tuple of Tensor, or None
        For each axis of length L the vectors of all pairs, (L tokens, L units, channels).
    shape : tuple of int
        Lengths of the axes; their product is K, row-major.
    start, stop : int, int or None
        The tokens are those at the places of these units; of all by default.
    """

    places: tuple[Tensor, ...]
    query: tuple[Tensor, ...] | None
    key: tuple[Tensor, ...] | None
    value: tuple[Tensor, ...] | None
    shape: tuple[int, ...]
    start: int = 0
    stop: int | None = None

    def logits(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return ``q_i r^q_{k-i} + xi_k r^k_{k-i}`` for (..., I, d) and (..., K, d)."""
        parts = []
        for axis in range(len(self.shape)):
            if self.query is not None:
                table = self._of_tokens(exact(self.query[axis]), axis)  # (I, L, d)
                along = torch.einsum("...id,ild->...il", queries, table)
                parts.append(self._of_units(along, axis))
            if self.key is not None:
                table = exact(self.key[axis])
                if len(self.shape) > 1:
                    table = table[:, self.places[axis]]  # (L, K, d)
                along = torch.einsum("...kd,lkd->...lk", keys, table)
                parts.append(self._of_tokens(along, axis, -2))
        return sum(parts[1:], parts[0]) if parts else queries.new_zeros(())

    def values(self, weights: Tensor) -> Tensor | None:
        """Return ``sum_k w_ik r^v_{k-i}`` for (..., I, K), or None without a value term."""
        if self.value is None:
            return None
        grid = weights.unflatten(-1, self.shape)
        parts = []
        for axis in range(len(self.shape)):
            others = [i - len(self.shape) for i in range(len(self.shape)) if i != axis]
            along = grid.sum(others) if others else grid
            table = self._of_tokens(exact(self.value[axis]), axis)  # (I, L, m)
            parts.append(torch.einsum("...il,ilm->...im", along, table))
        return sum(parts[1:], parts[0])

    def rows(self, start: int, stop: int) -> RelativeTerms:
        """Return the terms of tokens `start` to `stop` of all, with all units."""
        return replace(self, start=start, stop=stop)

    def _of_tokens(self, x: Tensor, axis: int, dim: int = 0) -> Tensor:
        """From one entry for each place on the axis to one for each token; a view on lines."""
        some = slice(self.start, self.stop)
        if len(self.shape) > 1:
            return x.index_select(dim, self.places[axis][some])
        return x[some] if dim == 0 else x[..., some, :]

    def _of_units(self, x: Tensor, axis: int) -> Tensor:
        return x if len(self.shape) == 1 else x.index_select(-1, self.places[axis])


class RelativePosition(nn.Module):
    """Learnt vectors for every offset along rows and columns.

    Parameters
    ----------
    key_dim, value_dim : int
        Channels of queries and keys, and of values; all heads share the vectors.
    max_side : int
        Longest line with vectors for all its offsets; farther offsets share the last one, so
        that maps of any size work.
    terms : sequence of {"query", "key", "value"}
        Which terms there are. All three give Axial-DeepLab's ``qk + qr + kr`` and its value
        term, "query" alone BoTNet's.

    Raises
    ------
    ValueError
        If `max_side` is below 1, or there is no term or one that is unknown.

    Notes
    -----
    Source: arXiv 2106.15338, eq. 25 and B.13. Axial-DeepLab normalises the terms by batch
    statistics; here they enter as the mixture model has them.
    """

    def __init__(
        self, key_dim: int, value_dim: int, max_side: int, terms: Sequence[Term] = FULL
    ) -> None:
        super().__init__()
        if max_side < 1:
            raise ValueError(f"max_side is {max_side}; choose 1 or more")
        if not terms or not set(terms) <= set(FULL):
            raise ValueError(f"position terms are {tuple(terms)}; choose from {FULL}")
        self.max_side = max_side
        for name, dim in (("query", key_dim), ("key", key_dim), ("value", value_dim)):
            table = nn.Parameter(torch.empty(2, 2 * max_side - 1, dim)) if name in terms else None
            if table is not None:
                nn.init.normal_(table, std=dim**-0.5)
            self.register_parameter(name, table)

    def forward(self, height: int | None, width: int | None) -> RelativeTerms:
        """Lay the vectors out.

        Parameters
        ----------
        height, width : int or None
            Of the grid in tokens; None for the axis that a line does not have.

        Returns
        -------
        RelativeTerms
            For all tokens of the line or grid, row-major.
        """
        axes = [(axis, n) for axis, n in enumerate((height, width)) if n is not None]
        shape = tuple(n for _, n in axes)
        device = next(self.parameters()).device
        steps = [torch.arange(n, device=device) for n in shape]
        places = tuple(grid.flatten() for grid in torch.meshgrid(*steps, indexing="ij"))
        most = self.max_side - 1
        offsets = [(step - step[:, None]).clamp(-most, most) + most for step in steps]

        def lay(table: Tensor | None) -> tuple[Tensor, ...] | None:
            if table is None:
                return None
            return tuple(table[axis][at] for (axis, _), at in zip(axes, offsets, strict=True))

        query, key, value = (lay(self._parameters[name]) for name in FULL)
        return RelativeTerms(places, query, key, value, shape)
