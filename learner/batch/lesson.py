"""What one judged turn teaches: what was asked and answered, and what should have been.

Knows nothing of members or scores.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from learner.population.members import Passage


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one judged turn teaches in a generation."""

    turn_id: str
    weight: float  # its share of the generation, from learner.trust.shares
    score: int
    confidence: float
    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    logprobs: tuple[float, ...]  # of the reply's tokens as they were sampled; empty: the parent's
    forced: frozenset[int] = frozenset()  # places in the reply of tokens that a mask chose
    target: tuple[int, ...] = ()  # the hinted rewrite; empty: none
    # how likely the target's tokens are to become: as the hinted teacher finds them, or more
    teacher: tuple[float, ...] = ()
    news: tuple[float, ...] = ()  # weights of the target's tokens, from teacher and parent
    held: tuple[float, ...] = ()  # weights of the target's tokens that lead and are to stay so
    # of the reply's tokens, from the hinted teacher; empty: none
    advantages: tuple[float, ...] = ()

    def taught(self, target: Sequence[int], teacher: Sequence[float], certainty: float) -> Self:
        """Return it with a rewrite, whose tokens are to be as likely as the teacher finds them.

        teacher: log-probabilities; certainty: the probability that they are to come to at least
        """
        least = math.log(certainty) if certainty else -math.inf
        sure = tuple(max(each, least) for each in teacher)
        return replace(self, target=tuple(target), teacher=sure)

    @property
    def passage(self) -> Passage:
        """What is scored of it: the hinted rewrite where there is one, else the reply."""
        return Passage(self.prompt, (self.target or self.reply,))
