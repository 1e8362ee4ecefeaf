"""What a hinted rewrite says that the version to be taught would not say, token by token."""

from collections.abc import Sequence
from typing import Final

from learner.batch.hints import ahead

# In a rewrite few tokens are news, and they are what is to be learned: the stop token of a short
# answer comes 10 nats too late. A clip of 5 serves as well as one of 10 (EXPERIMENTS, "Hints").
NEWS_CLIP_NATS: Final = 5.0


def news(teacher_logprobs: Sequence[float], parent_logprobs: Sequence[float]) -> tuple[float, ...]:
    """Return the weight of each token of the teacher's rewrite: 0 where the parent is as sure.

    raises: ValueError when a token's log-probability is missing: drop the sample

    >>> news([-0.5, -0.25, -0.5], [-0.25, -0.5, -9.0])
    (0.0, 0.25, 5.0)
    """
    return tuple(max(0.0, min(NEWS_CLIP_NATS, a)) for a in ahead(teacher_logprobs, parent_logprobs))
