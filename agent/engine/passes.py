"""Passes through the model: what a step has it compute for the replies that are due.

Turns replies into logits, or into the fault that concerns them: rows of all variants go through the
model together, and where that fails each variant goes by itself, so that no fault reaches another's
replies.

Knows nothing of admission, sampling or streams.
"""

from collections.abc import Sequence
from itertools import groupby

from torch import Tensor

from agent.engine.running import Running
from kernels.model.decode import Part, next_logits_of
from kernels.model.kv import KvCache
from streams.line.variant import Variant

Computed = tuple[list[Running], Tensor | Exception]
"""Replies, and the logits (replies, vocabulary) of the next token of each, or why there are none"""


def next_of(cache: KvCache, replies: Sequence[Running]) -> list[Computed]:
    """Read the newest token of every reply; what their versions have in common is read once."""
    ordered = sorted(replies, key=_variant)
    groups = [list(each) for _, each in groupby(ordered, key=_variant)]
    return _together(cache, groups) if groups else []


def _together(cache: KvCache, groups: Sequence[list[Running]]) -> list[Computed]:
    """Read a token of the replies of each group, which have one variant."""
    parts = [
        Part(of[0].resident.decoder, [r.slot for r in of], [r.token_ids[-1] for r in of])
        for of in groups
    ]
    try:
        logits = next_logits_of(cache, parts)
    except Exception as cause:
        if len(groups) == 1:
            return [(groups[0], cause)]
        return [found for group in groups for found in _together(cache, [group])]
    return [([reply for group in groups for reply in group], logits)]


def _variant(reply: Running) -> Variant:
    return reply.resident.variant
