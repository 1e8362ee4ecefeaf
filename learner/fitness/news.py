"""What a hinted rewrite says that the version to be taught would not say, token by token."""

import math
from collections.abc import Sequence
from typing import Final

from learner.batch.hints import ahead

# In a rewrite few tokens are news, and they are what is to be learned: the stop token of a short
# answer comes 10 nats too late. A clip of 5 serves as well as one of 10 (EXPERIMENTS, "Hints").
NEWS_CLIP_NATS: Final = 5.0
# A shorter lead is lost with the next generation's.
LEAST_LEAD_NATS: Final = 0.5
# What the teacher finds less likely than one in ten, it would not say first itself.
LEAST_LOGPROB: Final = math.log(0.1)


def leads(teacher_logprobs: Sequence[float], margin: float) -> tuple[float, ...]:
    """Return how far each token of a rewrite is to be ahead of its likeliest rival, nats.

    As far as the teacher's own log-odds of it, so that nothing is made surer than the teacher is;
    at least LEAST_LEAD_NATS, at most the margin. −inf, for not at all, where the teacher itself
    would hardly say it first.

    >>> [round(each, 2) for each in leads([-0.01, -0.25, -2.0, -3.0], margin=2.0)]
    [2.0, 1.26, 0.5, -inf]
    """
    return tuple(
        min(margin, max(LEAST_LEAD_NATS, _odds(each))) if each >= LEAST_LOGPROB else -math.inf
        for each in teacher_logprobs
    )


def news(
    teacher_logprobs: Sequence[float],
    parent_logprobs: Sequence[float],
    rival_logprobs: Sequence[float] = (),
    wanted: Sequence[float] = (),
) -> tuple[float, ...]:
    """Return the weight of each token of the teacher's rewrite: 0 where the parent is as sure.

    A reply turns only where a token passes its likeliest rival, and a parent as sure as the teacher
    may still prefer the rival; so what is not as far ahead of it as is wanted is news, too.

    rival_logprobs: the parent's, of the likeliest other token at each place; empty: none counts
    wanted: what `leads` gave, where there are rivals
    raises: ValueError when a token's log-probability is missing: drop the sample

    >>> news([-0.5, -0.25, -0.5], [-0.25, -0.5, -9.0])
    (0.0, 0.25, 5.0)
    >>> news([-1.5, -1.5], [-1.25, -0.25], [-0.75, -2.25], [1.0, 1.0])
    (1.5, 0.0)
    """
    short = ahead(teacher_logprobs, parent_logprobs)
    if rival_logprobs:
        passing = [rival + lead for rival, lead in zip(rival_logprobs, wanted, strict=True)]
        short = [max(pair) for pair in zip(short, ahead(passing, parent_logprobs), strict=True)]
    return tuple(max(0.0, min(NEWS_CLIP_NATS, each)) for each in short)


def held(
    taught: Sequence[float],
    parent_logprobs: Sequence[float],
    rival_logprobs: Sequence[float],
    wanted: Sequence[float],
) -> tuple[float, ...]:
    """Return the weight of each token that is to stay ahead of its rival: 0 where it is taught.

    At the lead that is wanted it is that of the most surprising news; it falls e-fold with each nat
    that the lead is longer, for that much more would have to be lost.

    taught: what `news` gave; rival_logprobs: of the likeliest other token at each place; wanted:
        what `leads` gave
    raises: ValueError when a token's log-probability is missing

    >>> held([0.0, 0.5], [-0.25, -2.0], [-2.25, -1.0], [2.0, 2.0])
    (5.0, 0.0)
    """
    found = ahead(parent_logprobs, rival_logprobs)
    return tuple(
        0.0 if short else NEWS_CLIP_NATS * math.exp(min(0.0, least - lead))
        for short, lead, least in zip(taught, found, wanted, strict=True)
    )


def _odds(logprob: float) -> float:
    """Return log(p / (1 − p)), nats; infinite where nothing else is possible."""
    others = -math.expm1(min(0.0, logprob))
    return logprob - math.log(others) if others > 0 else math.inf
