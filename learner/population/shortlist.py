"""Scores tokens under many members without going through the whole vocabulary for each.

Once, for the parent, the whole vocabulary is scored, and at every position the likeliest few tokens
are kept. For a member only these are computed; the rest, a few thousandths of the probability, is
taken to move as the lower half of the kept ones does. Members are ranked, so what matters is the
error of their differences: with 512 of SmolLM2's 49,152 tokens kept it was at most 0.0005 nats,
where the members' fitness spread by 0.014 (replies) and 0.029 (rewrites); 16 members, 6 turns.

With as many kept as there are tokens the scores are exact.

A shortlist whose states are the base's is a yardstick, too: how far members are from all that the
base may say at these positions (`apart`), which needs no sample.
"""

from typing import Final

import torch
from torch import Tensor

from kernels.contract import Backend

KEPT: Final = 512
# Positions whose kept rows of the head are gathered at a time: 16 × 512 × width × 4 bytes.
BLOCK: Final = 16
# A tail under this is rounding, not probability.
SMALLEST_TAIL: Final = 1e-9


class Shortlist:
    """The likeliest tokens at each scored position, under the parent."""

    @torch.inference_mode()
    def __init__(
        self,
        backend: Backend,
        states: Tensor,
        head: Tensor,
        targets: Tensor,
        *,
        kept: int = KEPT,
    ) -> None:
        """Score the whole vocabulary once.

        states: (scored, width), the parent's, normed; head: (vocabulary, width)
        targets: (scored,) int64, the tokens that are scored
        """
        self._head, self._targets, self._states = head, targets, states
        logprobs, self._ids = backend.top_tokens(states, head, min(kept, head.shape[0]))
        best = (states * head[self._ids[:, 0]]).sum(dim=-1)
        self._normaliser = best - logprobs[:, 0]
        self._logprobs = logprobs
        rest = 1 - logprobs.double().exp().sum(dim=-1)
        self._tail = rest.clamp(min=SMALLEST_TAIL).log().float()
        if self._ids.shape[1] == head.shape[0]:
            self._tail.fill_(-torch.inf)
        self._lower = self._ids.shape[1] // 2  # from here on kept tokens stand for the tail
        self._low = logprobs[:, self._lower :].logsumexp(dim=-1)

    @property
    def parent(self) -> Tensor:
        """The targets' log-probabilities under the parent, exact: (scored,)."""
        return self._of_targets(self._states[None])[0] - self._normaliser

    @property
    def rivals(self) -> Tensor:
        """The log-probabilities of the likeliest other token at each place: (scored,)."""
        is_best = self._ids[:, 0] == self._targets
        return torch.where(is_best, self._logprobs[:, 1], self._logprobs[:, 0])

    def logprobs(self, states: Tensor) -> Tensor:
        """Score the targets under members.

        states: (members, scored, width), normed
        returns: (members, scored) float32, nats
        """
        return self._of_targets(states) - self._normalised(states)[2]

    def apart(self, states: Tensor) -> Tensor:
        """Return how far members are from whose states this was made of, the tail one outcome.

        states: (members, scored, width), normed
        returns: (members,) float32, mean KL(own ‖ member) over positions, nats a token
        """
        kept, tail, normaliser = self._normalised(states)
        inside = self._logprobs.exp() * (self._logprobs - kept + normaliser[..., None])
        outside = self._tail.exp() * (self._tail - tail + normaliser)
        outside = torch.where(self._tail.isfinite(), outside, 0.0)
        return (inside.sum(dim=-1) + outside).mean(dim=-1)

    def pull_back(self, states: Tensor) -> Tensor:
        """Return how fast `apart` falls along one member's states.

        states: (scored, width), normed
        returns: (scored, width)
        """
        kept, tail, normaliser = (found[0] for found in self._normalised(states[None]))
        low = torch.zeros_like(kept)
        low[:, self._lower :] = kept[:, self._lower :].softmax(dim=-1)
        owed = self._logprobs.exp() - (kept - normaliser[:, None]).exp()
        owed += (self._tail.exp() - (tail - normaliser).exp())[:, None] * low
        pulled = torch.empty_like(states)
        for first in range(0, len(self._ids), BLOCK):
            place = slice(first, first + BLOCK)
            rows = self._head[self._ids[place]]
            pulled[place] = (owed[place, None] @ rows)[:, 0]
        return pulled / len(states)

    def pull(self, slopes: Tensor) -> Tensor:
        """Take slopes in the targets' log-probabilities to slopes in the parent's normed states.

        What it is the derivative of is `logprobs`: the tail moves as the lower half of the kept
        tokens does.

        slopes: (scored,)
        returns: (scored, width)
        """
        shares = self._logprobs.exp()
        low = self._logprobs[:, self._lower :] - self._low[:, None]
        shares[:, self._lower :] += (self._tail[:, None] + low).exp()
        pulled = self._head[self._targets]
        for first in range(0, len(self._ids), BLOCK):
            place = slice(first, first + BLOCK)
            rows = self._head[self._ids[place]]
            pulled[place] -= (shares[place, None] @ rows)[:, 0]
        return pulled * slopes[:, None]

    def divergence(self, states: Tensor, logprobs: Tensor) -> float:
        """Return the mean KL(child ‖ parent) over positions, the tail taken as one outcome.

        states: (scored, width), the child's; logprobs: (scored,), its exact ones of the targets
        returns: nats a token; never more than over the whole vocabulary
        """
        normaliser = self._of_targets(states[None])[0] - logprobs
        child = self._kept(states[None])[0] - normaliser[:, None]
        inside = (child.exp() * (child - self._logprobs)).sum(dim=-1)
        rest = (1 - child.double().exp().sum(dim=-1)).clamp(min=SMALLEST_TAIL).float()
        outside = rest * (rest.log() - self._tail)
        outside = torch.where(self._tail.isfinite(), outside, 0.0)
        return float((inside + outside).mean())

    def _normalised(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the kept tokens' logits, the tail's, and what makes probabilities of them.

        states: (members, scored, width)
        returns: (members, scored, kept), (members, scored), (members, scored)
        """
        kept = self._kept(states)
        drift = kept[:, :, self._lower :].logsumexp(dim=-1) - self._low
        tail = self._tail + drift
        return kept, tail, torch.logaddexp(kept.logsumexp(dim=-1), tail)

    def _of_targets(self, states: Tensor) -> Tensor:
        """(members, scored, width) → the targets' logits, (members, scored)."""
        return (states * self._head[self._targets]).sum(dim=-1)

    def _kept(self, states: Tensor) -> Tensor:
        """(members, scored, width) → logits of the kept tokens, (members, scored, kept)."""
        by_position = states.transpose(0, 1).contiguous()
        found = by_position.new_empty(*by_position.shape[:2], self._ids.shape[1])
        # one product a position: of 64 members it is twice as fast as several in a batch
        for place, ids in enumerate(self._ids):
            torch.mm(by_position[place], self._head.index_select(0, ids).T, out=found[place])
        return found.transpose(0, 1)
