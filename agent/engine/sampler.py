"""Chooses the next token of each reply of a batch from its logits.

Invariants: a seed and a row of logits decide the token, to the bit, whatever rows stand beside it;
every choice comes with log π(token) at temperature 1 and with the log-probability of what it was
drawn from; a row that is not finite concerns its own reply alone.

Knows nothing of text, models or versions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.errors import BrokenLogitsError, ReplyFailedError
from streams.records import Sampling

# How many of the likeliest tokens are looked at until they hold the nucleus: finding 64 costs a
# fortieth of sorting a vocabulary, and a model that knows what to say rarely needs more.
_LADDER = (64, 2048, 16384)


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
    """How one reply is sampled, and its random state: one number is drawn a token."""

    def __init__(self, sampling: Sampling) -> None:
        self.temperature, self.top_p = sampling.temperature, sampling.top_p
        self._generator = torch.Generator().manual_seed(sampling.seed % 2**63)  # what it takes

    def draw(self) -> float:
        """The next number of [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))


def choose(samplers: Sequence[Sampler], logits: Tensor) -> list[Choice | ReplyFailedError]:
    """Draw the next token of each reply.

    logits: (replies, vocabulary)
    returns: in order; an error in the place of a reply whose logits are not finite
    """
    # softmax is computed row by row on every batch; a sum of all rows would not be
    logprobs = torch.log_softmax(logits.float().cpu(), dim=-1)
    best = logprobs.argmax(dim=-1)
    highest = logprobs.gather(1, best[:, None])[:, 0].tolist()
    warm = [row for row, sampler in enumerate(samplers) if sampler.temperature > 0]
    drawn = dict(zip(warm, _draw([samplers[row] for row in warm], logprobs[warm]), strict=True))
    choices: list[Choice | ReplyFailedError] = []
    for row, (token, logprob) in enumerate(zip(best.tolist(), highest, strict=True)):
        if not math.isfinite(logprob):
            choices.append(BrokenLogitsError("the model's scores of the next token are not finite"))
        elif row in drawn:
            token, sampling_logprob = drawn[row]
            choices.append(Choice(token, float(logprobs[row, token]), sampling_logprob))
        else:
            choices.append(Choice(token, logprob, 0.0))  # nothing else could have been taken
    return choices


def _draw(samplers: Sequence[Sampler], logprobs: Tensor) -> list[tuple[int, float]]:
    """Draw from each tempered nucleus: the token, and its log-probability there."""
    if not samplers:
        return []
    temperatures = torch.tensor([[sampler.temperature] for sampler in samplers])
    # the likeliest token's score is 0 before the division, so that no temperature overflows
    tempered = (logprobs - logprobs.amax(dim=-1, keepdim=True)) / temperatures
    tempered = torch.log_softmax(tempered, dim=-1)
    kept, ids = tempered.topk(min(_LADDER[0], tempered.shape[-1]))
    draws = []
    for row, sampler in enumerate(samplers):
        nucleus, tokens = _nucleus(tempered[row], kept[row], ids[row], sampler.top_p)
        mass = nucleus.double().exp().cumsum(0)
        point = sampler.draw() * float(mass[-1])
        place = min(int(torch.searchsorted(mass, point, right=True)), len(mass) - 1)
        token = place if tokens is None else int(tokens[place])
        share = float(nucleus[place]) - math.log(float(mass[-1]))
        draws.append((token, min(share, 0.0)))  # rounding must not make a log-probability positive
    return draws


def _nucleus(
    logprobs: Tensor, kept: Tensor, ids: Tensor, top_p: float
) -> tuple[Tensor, Tensor | None]:
    """Keep the likeliest tokens that together have top_p of the mass (Holtzman et al. 2020).

    kept, ids: the first rung of the ladder
    returns: their log-probabilities, likeliest first, and ids (None: all, in order of id)
    """
    if top_p >= 1:
        return logprobs, None
    for rung in (*_LADDER[1:], len(logprobs)):
        if float(kept.double().exp().sum()) >= top_p:
            break
        kept, ids = logprobs.topk(min(rung, len(logprobs)))
    size = int((kept.double().exp().cumsum(0) < top_p).sum()) + 1
    return kept[:size], ids[:size]
