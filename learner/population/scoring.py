"""Turns prompts and what may follow them into log-probabilities, under one version.

What the prompts share (a policy, a conversation) is computed once, and so is a prompt with many
openings (learner.population.packing). Knows nothing of text or of what the numbers are for.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.population.members import Passage, lay_out

# Passages in one pass: few enough that the caller can yield the processor about once a second.
_AT_ONCE: Final = 8


@torch.inference_mode()
def logprobs(
    decoder: Decoder,
    passages: Sequence[Passage],
    *,
    backend: Backend,
    pause: Callable[[], None],
) -> list[list[Tensor]]:
    """Score every continuation of every passage, token by token.

    passages: neighbours that begin alike share the work
    pause: called between two passes, where the caller may yield the processor
    returns: passage → continuation → (tokens,) float32 natural log-probabilities, on the processor
    """
    head, found = decoder.head, list[list[Tensor]]()
    for first in range(0, len(passages), _AT_ONCE):
        pause()
        scored = lay_out(passages[first : first + _AT_ONCE], decoder.device)
        packed = scored.packed
        hidden = decoder.run(
            decoder.embed(packed.ids),
            rope=decoder.rope(packed.positions),
            attend=packed.attend,
            wanted=scored.wanted,
        )
        states = decoder.norm(hidden[0])[scored.sources]
        each = backend.token_logprobs(states, head, scored.targets).cpu()
        found += [[each[place] for place in places] for places in scored.places]
    return found
