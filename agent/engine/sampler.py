"""Chooses the next token of each reply of a batch from its logits.

Invariants: a seed and a row of logits decide the token, to the bit, whatever rows stand beside it;
every choice comes with log π(token) at temperature 1, of the distribution as the model has it, and
with the log-probability of what it was drawn from; a row that is not finite concerns its own reply
alone.

The steps are those of vLLM, in its order (vllm/v1/sample/sampler.py): bias and penalties, the mask
of what a reply is held to, then the likeliest token or, with a temperature, min_p, top_k, top_p and
a draw.

Knows nothing of text, models or versions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.constrain.contract import Matcher
from agent.constrain.masks import masked
from agent.engine.nucleus import Drawn, Limits, draw, totals_of
from agent.engine.penalties import penalised, penalties_of
from agent.errors import BrokenLogitsError, LostMaskError, ReplyFailedError
from streams.records import Sampling

MAX_TOP: Final = 20  # likeliest tokens that can be told beside the chosen one: OpenAI's limit

Top = tuple[tuple[int, float], ...]  # token ids with their log-probabilities, likeliest first

# Smaller ones are not normal float32 numbers, and dividing 0 by 0 gives none at all; what would be
# drawn at such a temperature is the likeliest token anyway.
_LEAST_TEMPERATURE: Final = torch.finfo(torch.float32).tiny


@dataclass(frozen=True, slots=True)
class Choice:
    """A sampled token.

    logprob: log π(token), nats, at temperature 1, without bias, penalties, mask or truncation
    sampling_logprob: nats, of the distribution that it was drawn from
    top: the likeliest tokens with their `logprob`, likeliest first; as many as were asked for
    forced: a mask left less of the distribution than is the model's own choice
    """

    id: int
    logprob: float
    sampling_logprob: float
    top: Top = ()
    forced: bool = False


class Sampler:
    """How one reply is sampled, and its random state: one number is drawn a token."""

    def __init__(
        self,
        sampling: Sampling,
        prompt_token_ids: Sequence[int] = (),
        *,
        top_logprobs: int = 0,
        matcher: Matcher | None = None,
    ) -> None:
        """Begin a reply.

        prompt_token_ids: what a repetition penalty counts as said already
        top_logprobs: how many of the likeliest tokens to tell beside each chosen one
        matcher: of what the reply is held to; None: any token may come
        """
        self.temperature = sampling.temperature
        self.limits = Limits(sampling.top_k, sampling.min_p, sampling.top_p)
        self.penalties = penalties_of(sampling, prompt_token_ids)
        self.top_logprobs, self.matcher = top_logprobs, matcher
        # Philox takes all 64 bits of a seed; torch's generator would take 32 of them
        self._random = np.random.Generator(np.random.Philox(key=sampling.seed % 2**64))
        self._point: float | None = None  # of the next token, once it has been asked for

    @property
    def is_greedy(self) -> bool:
        """The likeliest token is taken, and nothing drawn."""
        return self.temperature < _LEAST_TEMPERATURE

    def draw(self) -> float:
        """The number of [0, 1) that decides the next token, until that is added."""
        if self._point is None:
            self._point = self._random.random()
        return self._point

    @property
    def ended(self) -> bool:
        """Nothing can follow what the reply is held to."""
        return self.matcher is not None and self.matcher.ended

    def add(self, token: int) -> None:
        """Count a token that was chosen. Raises: LostMaskError when it was not allowed."""
        self._point = None
        if self.penalties is not None:
            self.penalties.add(token)
        if self.matcher is not None:
            self.matcher.take(token)


def choose(samplers: Sequence[Sampler], logits: Tensor) -> list[Choice | ReplyFailedError]:
    """Choose the next token of each reply, and count it there.

    logits: (replies, vocabulary)
    returns: in order; an error in the place of a reply whose logits are not finite, or whose mask
        cannot be had
    """
    logits = logits.float().cpu().contiguous()
    scores = penalised([sampler.penalties for sampler in samplers], logits)
    matchers = {n: each.matcher for n, each in enumerate(samplers) if each.matcher is not None}
    totals = totals_of(logits.numpy())
    held = masked(matchers, scores, logits, totals)
    drawn = _drawn(samplers, held.scores)
    tops = _tops(samplers, logits, totals)
    said = logits.gather(1, torch.tensor([[each.token] for each in drawn]))[:, 0]
    told = said.double().numpy() - totals
    choices: list[Choice | ReplyFailedError] = []
    for row, logprob in enumerate(told.tolist()):
        token, share = drawn[row].token, drawn[row].logprob
        choice = Choice(token, logprob, share, tops.get(row, ()), forced=row in held.forced)
        choices.append(held.lost.get(row) or _counted(samplers[row], choice))
    return choices


def choose_each(samplers: Sequence[Sampler], logits: Tensor) -> list[Choice | Exception]:
    """Choose as `choose` does; where that fails, row by row, so that no fault reaches another's.

    returns: in order; an error in the place of a reply that cannot go on
    """
    try:
        return [*choose(samplers, logits)]
    except Exception as cause:  # no token is counted yet: all can be chosen again
        if len(samplers) == 1:
            return [cause]
        rows = enumerate(samplers)
        return [each for row, one in rows for each in choose_each([one], logits[row : row + 1])]


def _counted(sampler: Sampler, choice: Choice) -> Choice | ReplyFailedError:
    """Count a choice where it belongs, or say why there is none."""
    if not math.isfinite(choice.logprob + choice.sampling_logprob):
        return BrokenLogitsError("the model's scores of the next token are not finite")
    try:
        sampler.add(choice.id)
    except LostMaskError as cause:
        return cause
    except Exception as cause:  # the others' tokens are counted, so that none may be chosen again
        failed = ReplyFailedError(f"the next token could not be counted: {cause}")
        failed.__cause__ = cause
        return failed
    return choice


def _drawn(samplers: Sequence[Sampler], scores: Tensor) -> list[Drawn]:
    """Take the likeliest token of each greedy reply, and draw one of each other."""
    drawn: dict[int, Drawn] = {}
    greedy = [row for row, sampler in enumerate(samplers) if sampler.is_greedy]
    if greedy:
        best = _rows(scores, greedy).argmax(dim=-1).tolist()
        # its log-probability is 0: nothing else could have been taken
        drawn |= {row: Drawn(token, 0.0) for row, token in zip(greedy, best, strict=True)}
    warm = [row for row, sampler in enumerate(samplers) if not sampler.is_greedy]
    if warm:
        chosen, left = [samplers[row] for row in warm], _rows(scores, warm).contiguous()
        limits, points = [each.limits for each in chosen], [each.draw() for each in chosen]
        temperatures = [each.temperature for each in chosen]
        drawn |= zip(warm, draw(limits, temperatures, points, left.numpy()), strict=True)
    return [drawn[row] for row in range(len(samplers))]


def _rows(scores: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows of the scores; all of them without a copy."""
    return scores if len(rows) == len(scores) else scores[list(rows)]


def _tops(
    samplers: Sequence[Sampler], logits: Tensor, totals: NDArray[np.float64]
) -> dict[int, Top]:
    """The likeliest tokens of the rows that want them."""
    rows = [row for row, sampler in enumerate(samplers) if sampler.top_logprobs]
    if not rows:
        return {}
    # always as many, so that which of two equally likely tokens is told depends on no other row
    top = logits[rows].topk(min(MAX_TOP, logits.shape[1]))
    logprobs = top.values.double().numpy() - totals[rows, None]
    pairs = zip(top.indices.tolist(), logprobs.tolist(), strict=True)
    return {
        row: tuple(zip(ids, values, strict=True))[: samplers[row].top_logprobs]
        for row, (ids, values) in zip(rows, pairs, strict=True)
    }
