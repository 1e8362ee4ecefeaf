"""Reads one more token of rows that belong to several versions of one base, in one walk.

What the versions have in common is computed once for all rows: the embedding, the blocks up to the
first in which a layer differs, and the head. Only the blocks behind run for each version by itself.
Versions share what no recipe moves as the same objects (kernels.model.model.with_weights), so what
is common is found by identity.

Rows of packed layers are the same to the bit whatever stands beside them, so a row has the logits
that it would have alone. Knows nothing of versions' names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from kernels.model.decode import next_logits
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.model import EMBEDDING, HEAD, NORM

_BLOCKS: Final = "model.layers."


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one version.

    last: the newest token of each slot, not read yet
    """

    decoder: Decoder
    slots: Sequence[int]
    last: Sequence[int]


def next_logits_of(cache: KvCache, parts: Sequence[Rows]) -> list[Tensor]:
    """Read one more token in the slots of each part.

    parts: at least one, each with a slot, of versions of one base
    returns: of each part, (rows, vocabulary) logits of the token after it
    """
    decoders = [part.decoder for part in parts]
    if not _same(decoders, EMBEDDING):  # then they have nothing in common
        return [next_logits(each.decoder, cache, each.slots, each.last) for each in parts]
    first, device = decoders[0], decoders[0].device
    slots = [slot for part in parts for slot in part.slots]
    last = torch.tensor([token for part in parts for token in part.last], device=device)
    positions = torch.tensor([[cache.length(slot)] for slot in slots], device=device)
    rope, common = first.rope(positions), num_common(decoders)
    hidden = first.run(
        first.embed(last[:, None]), rope=rope, attend=cache.rows(slots), layers=range(common)
    )
    sizes = [len(part.slots) for part in parts]
    states = [
        part.decoder.run(
            own,
            rope=(cosine, sine),
            attend=cache.rows(part.slots),
            layers=range(common, first.num_layers),
        )[:, 0]
        for part, own, cosine, sine in zip(
            parts, *(torch.split(each, sizes) for each in (hidden, *rope)), strict=True
        )
    ]
    if all(_same(decoders, name) for name in (HEAD, NORM)):
        logits = list(torch.split(first.logits(torch.cat(states)), sizes))
    else:
        logits = [part.decoder.logits(own) for part, own in zip(parts, states, strict=True)]
    cache.grow(slots)  # last: what has failed on the way may be read again, part by part
    return logits


def num_common(decoders: Sequence[Decoder]) -> int:
    """Return how many of the first blocks are the same in all versions of one base."""
    first = decoders[0].model
    differing = [
        _block(name)
        for kept in (first.layers, first.vectors)
        for name in kept
        if name.startswith(_BLOCKS) and not _same(decoders, name)
    ]
    return min(differing, default=decoders[0].num_layers)


def _block(name: str) -> int:
    return int(name.removeprefix(_BLOCKS).partition(".")[0])


def _same(decoders: Sequence[Decoder], name: str) -> bool:
    models = [each.model for each in decoders]
    first, *others = (model.layers.get(name, model.vectors.get(name)) for model in models)
    return all(other is first for other in others)
