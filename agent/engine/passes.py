"""Passes through the model: what a step has it compute for the replies that are due.

Turns replies into the logits of their next tokens, or into the fault that concerns one of them:
pieces of prompts and newest tokens, of all variants, go through the model together, and where that
fails each reply goes by itself, so that no fault reaches another's reply.

Knows nothing of admission, sampling or streams.
"""

import logging
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from agent.engine.running import Running
from agent.engine.sampler import Sampler, choose
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.read import Piece, next_logits_of
from streams.line.variant import Variant
from streams.records import Sampling

Computed = tuple[list[Running], Tensor | Exception]
"""Replies, and the logits (replies, vocabulary) of what follows each, or why there are none"""


Beginning = tuple[Variant, str, tuple[int, ...]]
"""A variant, an owner, and how a prompt of theirs begins, in whole pieces."""


_LOG: Final = logging.getLogger(__name__)


@torch.inference_mode()
def warm(decoder: Decoder) -> None:
    """Make a token of nothing, so that no reply waits for loops to be compiled.

    That takes half a minute the first time, and holds up every thread of Python: it comes before
    anything is served.
    """
    cache = KvCache(decoder, capacity=1, tokens=1)
    logits = next_logits_of(cache, [Piece(decoder, cache.open(), [0])])
    choose([Sampler(Sampling(temperature=1, top_p=0.9, max_tokens=1, seed=0))], logits)


def beginning(reply: Running, piece_tokens: int) -> Beginning | None:
    """What others can take up when the next piece of a prompt is read; None: it is no whole one."""
    read, request = reply.read + piece_tokens, reply.request
    if read > len(request.prompt_token_ids) or reply.read % piece_tokens:
        return None
    return reply.resident.variant, request.owner, tuple(request.prompt_token_ids[:read])


def read_next(cache: KvCache, replies: Sequence[Running], piece_tokens: int) -> list[Computed]:
    """Read of every reply the next piece of its prompt, or its newest token."""
    ordered = sorted(replies, key=lambda reply: reply.resident.variant)
    return _together(cache, ordered, piece_tokens) if ordered else []


def _together(cache: KvCache, replies: list[Running], piece_tokens: int) -> list[Computed]:
    pieces = [
        Piece(reply.resident.decoder, reply.slot, reply.unread_ids(piece_tokens))
        for reply in replies
    ]
    try:
        return [(replies, next_logits_of(cache, pieces))]
    except Exception as cause:
        if len(replies) == 1:
            return [(replies, cause)]
        _LOG.warning("a pass over %d replies failed, each goes alone", len(replies), exc_info=cause)
        return [each for reply in replies for each in _together(cache, [reply], piece_tokens)]
