"""Turns prompts and what may follow them into log-probabilities, under one version.

What the prompts share (a policy, a conversation) is computed once, and so is a prompt with many
openings (learner.packing). Knows nothing of text or of what the numbers are for.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.forward import Decoder
from learner.population import Passage, lay_out

# Passages in one pass: few enough that the caller can yield the processor about once a second.
_AT_ONCE: Final = 8
# Rows of logits held at once: 128 × 49,152 × 4 bytes is 25 MB.
_LOGIT_ROWS: Final = 128


@torch.inference_mode()
def logprobs(
    decoder: Decoder, passages: Sequence[Passage], *, between: Callable[[], None]
) -> list[list[Tensor]]:
    """Score every continuation of every passage, token by token.

    passages: neighbours that begin alike share the work
    between: called between two passes, where the caller may yield the processor
    returns: passage → continuation → (tokens,) float32 natural log-probabilities
    """
    found: list[list[Tensor]] = []
    for first in range(0, len(passages), _AT_ONCE):
        between()
        scored = lay_out(passages[first : first + _AT_ONCE])
        packed = scored.packed
        hidden = decoder.run(
            decoder.embed(packed.ids), rope=decoder.rope(packed.positions), attend=packed.attend
        )
        each = _score(decoder, hidden[0, scored.sources], scored.targets)
        found += [[each[place] for place in places] for places in scored.places]
    return found


def _score(decoder: Decoder, hidden: Tensor, targets: Tensor) -> Tensor:
    rows, wanted = torch.split(hidden, _LOGIT_ROWS), torch.split(targets, _LOGIT_ROWS)
    parts = [
        -F.cross_entropy(decoder.logits(some).float(), target, reduction="none")
        for some, target in zip(rows, wanted, strict=True)
    ]
    return torch.cat(parts)
