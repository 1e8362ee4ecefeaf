"""Reads the next tokens of many sequences, of one version of a base or several, in one pass.

Turns pieces of sequences into the logits of what follows each. Where the decoders have a compiled
step, all pieces go through it together, a row a token, and what their versions have in common is
read once; others are walked layer by layer, one version after the other. A piece's logits have the
bits that it gets alone with its version, and what it leaves in the cache does, too.

Knows nothing of text, sampling or how versions come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kernels.model.forward import Decoder, Linear, unchanged
from kernels.model.kv import KvCache
from kernels.model.step import Rows, step_logits

# Pieces of prompts that end behind so many tokens are read layer by layer: the compiled step reads
# the past anew for each token, which pays as long as a head's keys and values stay in cache (1 MB).
WALKED_TOKENS: Final = 2048


@dataclass(frozen=True, slots=True)
class Piece:
    """The next tokens of one sequence, at least one, none of them read yet."""

    decoder: Decoder
    slot: int
    ids: Sequence[int]


def next_logits(
    decoder: Decoder,
    cache: KvCache,
    slots: Sequence[int],
    last: Sequence[int],
    linear: Linear = unchanged,
) -> Tensor:
    """Read one more token in each of these slots.

    last: the newest token of each slot, not read yet
    returns: (rows, vocabulary) logits of the token after it
    """
    rows = zip(slots, last, strict=True)
    return next_logits_of(cache, [Piece(decoder, slot, [token]) for slot, token in rows], linear)


def next_logits_of(cache: KvCache, pieces: Sequence[Piece], linear: Linear = unchanged) -> Tensor:
    """Read pieces, at least one, each of a sequence of its own, of versions of one base.

    Those of one version should follow each other.

    returns: (pieces, vocabulary) logits of the token after each
    """
    walks = [linear is unchanged and _is_walked(cache, piece) for piece in pieces]
    walked = [place for place, walks_it in enumerate(walks) if walks_it]
    others = [place for place, walks_it in enumerate(walks) if not walks_it]
    parts = [_walked(cache, [pieces[place] for place in walked])] if walked else []
    for _, alike in groupby(others, key=lambda place: _kind(pieces[place])):
        parts.append(_layer_by_layer(cache, [pieces[place] for place in alike], linear))
    for piece in pieces:  # last: what has failed on the way can be read again, piece by piece
        cache.grow([piece.slot], len(piece.ids))
    logits = parts[0] if len(parts) == 1 else torch.cat(parts)
    order = [*walked, *others]
    return logits if order == sorted(order) else logits[torch.tensor(order).argsort()]


def read_chunk(
    decoder: Decoder, cache: KvCache, slot: int, ids: Sequence[int], linear: Linear = unchanged
) -> Tensor:
    """Read the next tokens of one slot, layer by layer.

    returns: (tokens, width) hidden states before the final norm
    """
    hidden = _chunk(cache, Piece(decoder, slot, ids), linear)
    cache.grow([slot], len(ids))
    return hidden


def _is_walked(cache: KvCache, piece: Piece) -> bool:
    """Say how a piece is read, by its place in its own sequence alone."""
    tokens = len(piece.ids)
    fits = tokens == 1 or cache.length(piece.slot) + tokens <= WALKED_TOKENS
    return fits and piece.decoder.step is not None


def _walked(cache: KvCache, pieces: Sequence[Piece]) -> Tensor:
    versions = [list(each) for _, each in groupby(pieces, key=lambda piece: id(piece.decoder))]
    decoders = [each[0].decoder for each in versions]
    ids = [[token for piece in each for token in piece.ids] for each in versions]
    tables, lengths = cache.places([(piece.slot, len(piece.ids)) for piece in pieces])
    cosine, sine = pieces[0].decoder.rope(torch.from_numpy(lengths - 1)[:, None])
    hidden = [
        each[0].decoder.embed(torch.tensor(of)) for each, of in zip(versions, ids, strict=True)
    ]
    read = Rows(
        torch.cat(hidden), (cosine[:, 0], sine[:, 0]), cache.pages.memory, tables, lengths,
        np.cumsum([len(piece.ids) for piece in pieces]) - 1,
    )  # fmt: skip
    steps = [each.step for each in decoders if each.step is not None]  # each has one
    return step_logits(steps, [*map(len, ids)], read)


def _kind(piece: Piece) -> tuple[int, int]:
    """What is read layer by layer in one pass: single tokens of one version, or one longer piece"""
    return id(piece.decoder), piece.slot if len(piece.ids) > 1 else -1


def _layer_by_layer(cache: KvCache, pieces: Sequence[Piece], linear: Linear) -> Tensor:
    first = pieces[0]
    if len(first.ids) > 1:
        return first.decoder.logits(_chunk(cache, first, linear)[-1:], linear)
    decoder, slots = first.decoder, [piece.slot for piece in pieces]
    positions = torch.tensor([[cache.length(slot)] for slot in slots], device=decoder.device)
    hidden = decoder.run(
        decoder.embed(torch.tensor([piece.ids for piece in pieces], device=decoder.device)),
        rope=decoder.rope(positions),
        attend=cache.rows(slots),
        linear=linear,
    )
    return decoder.logits(hidden[:, 0], linear)


def _chunk(cache: KvCache, piece: Piece, linear: Linear) -> Tensor:
    decoder, start = piece.decoder, cache.length(piece.slot)
    positions = torch.arange(start, start + len(piece.ids), device=decoder.device)[None]
    hidden = decoder.run(
        decoder.embed(torch.tensor([list(piece.ids)], device=decoder.device)),
        rope=decoder.rope(positions),
        attend=cache.chunk(piece.slot, len(piece.ids)),
        linear=linear,
    )
    return hidden[0]
