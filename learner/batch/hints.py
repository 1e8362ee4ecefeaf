"""Weighs the tokens of a reply by what a hint makes of them (hindsight distillation, OpenClaw-RL).

The teacher is the stable version itself, asked again with the hint. It says token by token how much
more or less likely it finds the reply that was given, A = clip(log π_teacher − log π_logged); or it
writes the reply again (learner.batch.rewriting.rewriting), and each token of that is weighed by how
much surer the teacher is of it than the version that learns (learner.fitness.news).

A sample whose teacher log-probabilities are missing is dropped; nothing is ever filled with zeros.
"""

from collections.abc import Sequence
from typing import Final

# One absurd token must not outweigh a whole reply: e² is a factor of seven, far above what a hint
# moves most tokens by.
ADVANTAGE_CLIP_NATS: Final = 2.0


def cut_left(prompt: Sequence[int], max_tokens: int) -> tuple[int, ...]:
    """Keep a prompt's end: what was asked last matters most."""
    return tuple(prompt[-max_tokens:])


def advantages(teacher_logprobs: Sequence[float], logged: Sequence[float]) -> tuple[float, ...]:
    """Return A of each token of the reply that was given.

    raises: ValueError when a token's log-probability is missing: drop the sample
    """
    bound = ADVANTAGE_CLIP_NATS
    return tuple(max(-bound, min(bound, ahead)) for ahead in ahead(teacher_logprobs, logged))


def ahead(teacher_logprobs: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return how much surer the teacher is of each token, nats.

    raises: ValueError when a token's log-probability is missing
    """
    if len(teacher_logprobs) != len(others):
        raise ValueError(f"{len(others)} tokens, {len(teacher_logprobs)} of the teacher's")
    return [wanted - was for wanted, was in zip(teacher_logprobs, others, strict=True)]
