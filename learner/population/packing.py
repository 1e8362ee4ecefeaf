"""Turns many token sequences into one row in which every token that they share stands once.

Sequences that begin alike form a tree: a system prompt, a conversation and its later turns, a reply
and the rewrite of it. Runs of tokens without a fork (segments) lie contiguous, and each attends to
the segments above it and to itself; so every sequence sees exactly what it would see alone, nothing
is computed twice, and nothing for padding, however the lengths differ.

Knows nothing of text, prompts or scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.model.forward import Wanted

TokenIds = Sequence[int]
Device = torch.device | str


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of tokens without a fork: rows first..end of the packed row.

    seen: (above + length,) int64, the rows that it attends to, in order; None at a root
    mask: (length, above + length) bool; None where a root is causal, or one token sees all
    """

    first: int
    end: int
    seen: Tensor | None
    mask: Tensor | None

    def on(self, device: Device) -> "Segment":
        """Lie on another device."""
        seen, mask = (x if x is None else x.to(device) for x in (self.seen, self.mask))
        return replace(self, seen=seen, mask=mask)


@dataclass(frozen=True, slots=True)
class Packed:
    """Sequences folded into one row.

    ids, positions: (1, tokens) int64, positions counted from each sequence's beginning
    paths: for each sequence the row of each of its tokens
    """

    ids: Tensor
    positions: Tensor
    segments: tuple[Segment, ...]
    paths: tuple[tuple[int, ...], ...]

    def attend(self, _layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Let every segment attend to its own past (a kernels.model.forward.Attend)."""
        found = torch.empty_like(q)
        for part in self.segments:
            own = slice(part.first, part.end)
            found[:, :, own] = _attended(part, q[:, :, own], k, v, part.mask)
        return found

    def wanted(self, rows: Tensor) -> Wanted:
        """Let only some rows attend, each to all that it sees.

        rows: int64, ascending, none twice
        """
        parts, begun = [], 0
        for part in self.segments:
            own = rows[(rows >= part.first) & (rows < part.end)] - part.first
            if len(own):
                place = slice(begun, begun + len(own))
                parts.append((part, place, _mask_of(part, own)))
                begun += len(own)

        def attend(_layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            found = torch.empty_like(q)
            for part, place, mask in parts:
                found[:, :, place] = _attended(part, q[:, :, place], k, v, mask)
            return found

        return Wanted(rows, attend)


def _attended(part: Segment, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Let rows of a segment attend; at a root no mask means causal, elsewhere that all is seen."""
    past = slice(part.first, part.end) if part.seen is None else part.seen
    return F.scaled_dot_product_attention(
        q,
        k[:, :, past],
        v[:, :, past],
        attn_mask=mask,
        is_causal=part.seen is None and mask is None,
        enable_gqa=True,
    )


def _mask_of(part: Segment, rows: Tensor) -> Tensor | None:
    """Return the mask of some rows of a segment, counted from its beginning."""
    length = part.end - part.first
    if part.mask is not None:
        return part.mask[rows]
    if part.seen is not None or len(rows) == length:
        return None  # one row that sees all, or the whole of a root
    return torch.ones(length, length, dtype=torch.bool, device=rows.device).tril_()[rows]


@dataclass(slots=True)
class _Row:
    """The packed row while it grows."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    paths: dict[int, tuple[int, ...]] = field(default_factory=dict)


def pack(sequences: Sequence[TokenIds], device: Device = "cpu") -> Packed:
    """Fold token sequences into a tree of shared beginnings.

    device: where the row is to lie: that of the weights which read it
    raises: ValueError for an empty sequence

    >>> packed = pack([[7, 8, 5], [7, 8, 9], [7]])
    >>> packed.ids.tolist(), packed.positions.tolist(), packed.paths
    ([[7, 8, 5, 9]], [[0, 1, 2, 2]], ((0, 1, 2), (0, 1, 3), (0,)))
    """
    if not all(sequences):
        raise ValueError("an empty sequence cannot be packed")
    row = _Row()
    _grow(row, sequences, list(range(len(sequences))), ())
    return Packed(
        ids=torch.tensor([row.ids], dtype=torch.int64, device=device),
        positions=torch.tensor([row.positions], dtype=torch.int64, device=device),
        segments=tuple(segment.on(device) for segment in row.segments),
        paths=tuple(row.paths[i] for i in range(len(sequences))),
    )


def _grow(
    row: _Row, sequences: Sequence[TokenIds], members: list[int], above: tuple[int, ...]
) -> None:
    """Lay out what the members have behind the rows that they share."""
    depth = len(above)
    for i in members:
        if len(sequences[i]) == depth:
            row.paths[i] = above
    longer = [i for i in members if len(sequences[i]) > depth]
    longer.sort(key=lambda i: sequences[i][depth])  # stable: the layout follows from the input
    for _, grouped in groupby(longer, key=lambda i: sequences[i][depth]):
        group = list(grouped)
        length = _shared(sequences, group, depth)
        first = len(row.ids)
        own = range(first, first + length)
        row.ids += sequences[group[0]][depth : depth + length]
        row.positions += range(depth, depth + length)
        row.segments.append(_segment(above, own))
        _grow(row, sequences, group, (*above, *own))


def _shared(sequences: Sequence[TokenIds], group: Sequence[int], depth: int) -> int:
    tails = zip(*(sequences[i][depth:] for i in group), strict=False)
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, tails))


def _segment(above: tuple[int, ...], own: range) -> Segment:
    if not above:
        return Segment(own.start, own.stop, None, None)
    length, total = len(own), len(above) + len(own)
    mask = None
    if length > 1:
        mask = torch.ones(length, total, dtype=torch.bool).tril_(diagonal=len(above))
    return Segment(own.start, own.stop, torch.tensor([*above, *own]), mask)
