"""Chooses the next token of one reply from its logits.

Invariants: a seed and the logits decide the tokens, whatever else runs beside; every choice comes
with log π(token) at temperature 1 and with the log-probability that it was drawn with.

Knows nothing of text or of batches.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.errors import BrokenLogitsError
from streams.records import Sampling

# The nucleus nearly always lies among so many; only when it does not is the vocabulary sorted.
_NUCLEUS_FIRST = 512


@dataclass(frozen=True, slots=True)
class Choice:
    """A sampled token.

    logprob: log π(token), nats, at temperature 1 and untruncated
    sampling_logprob: nats, of the distribution that it was drawn from
    """

    id: int
    logprob: float
    sampling_logprob: float


class Sampler:
    """The random state of one reply."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._generator = torch.Generator().manual_seed(sampling.seed)

    def choose(self, logits: Tensor) -> Choice:
        """Draw the next token.

        logits: (vocabulary,)
        raises: BrokenLogitsError when they are not finite
        """
        logprobs = torch.log_softmax(logits.float().cpu(), dim=-1)
        best = int(logprobs.argmax())
        if not math.isfinite(float(logprobs[best])):
            raise BrokenLogitsError("the model's scores for the next token are not finite")
        if self._sampling.temperature == 0:
            return Choice(best, float(logprobs[best]), 0.0)
        tempered = torch.log_softmax(logprobs / self._sampling.temperature, dim=-1)
        ids, kept = _nucleus(tempered, self._sampling.top_p)
        share = kept.double().exp().cumsum(0)
        # One draw a token, in float64: the generator's state depends on the reply's length alone.
        point = torch.rand((), generator=self._generator, dtype=torch.float64) * share[-1]
        place = min(int(torch.searchsorted(share, point, right=True)), len(share) - 1)
        token = place if ids is None else int(ids[place])
        drawn = float(kept[place]) - math.log(float(share[-1]))
        return Choice(token, float(logprobs[token]), min(drawn, 0.0))


def _nucleus(logprobs: Tensor, top_p: float) -> tuple[Tensor | None, Tensor]:
    """Keep the likeliest tokens that together have top_p of the mass (Holtzman et al. 2020).

    returns: their ids (None: all, in order) and log-probabilities, likeliest first
    """
    if top_p >= 1:
        return None, logprobs
    kept, ids = logprobs.topk(min(_NUCLEUS_FIRST, len(logprobs)))
    mass = kept.double().exp().cumsum(0)
    if float(mass[-1]) < top_p:
        kept, ids = logprobs.sort(descending=True)
        mass = kept.double().exp().cumsum(0)
    size = min(int((mass < top_p).sum()) + 1, len(ids))
    return ids[:size], kept[:size]
