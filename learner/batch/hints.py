"""Turns a hint into what a reply should have been (hindsight distillation, as in OpenClaw-RL).

The teacher is the stable version itself, asked again with the hint at the end of the last user
message. Either its rewrite is the target, each token of it weighed by how much surer the teacher is
of it than the version that learns, A = clip(log π_teacher − log π_parent) from 0: what is already
known counts nothing, so the fitness is about what the hint changes. Or it says token by token how
much more or less likely it finds the reply that was given, A = clip(log π_teacher − log π_logged).

A sample whose teacher log-probabilities are missing is dropped; nothing is ever filled with zeros.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from kernels.model.decode import greedy
from kernels.model.forward import Decoder
from streams.records import Message

# One absurd token must not outweigh a whole reply: e² is a factor of seven, far above what a hint
# moves most tokens by.
ADVANTAGE_CLIP_NATS: Final = 2.0


def with_hint(messages: Sequence[Message], hint: str) -> list[Message]:
    """Return the request as the teacher sees it.

    >>> with_hint([Message(role="user", content="Why?")], "Be brief.")[0].content
    'Why?\\n\\nBe brief.'
    """
    hinted = list(messages)
    for place in reversed(range(len(hinted))):
        if hinted[place].role == "user":
            content = "\n\n".join(filter(None, ((hinted[place].content or "").rstrip(), hint)))
            hinted[place] = hinted[place].model_copy(update={"content": content})
            return hinted
    return [*hinted, Message(role="user", content=hint)]


def cut_left(prompt: Sequence[int], max_tokens: int) -> tuple[int, ...]:
    """Keep a prompt's end: what was asked last matters most."""
    return tuple(prompt[-max_tokens:])


def rewrites(
    teacher: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    stop_ids: Collection[int],
    pause: Callable[[], None],
) -> list[tuple[int, ...]]:
    """Return the teacher's greedy reply to each hinted prompt, its stop token included.

    The stop token is part of the lesson: it is what makes a short answer short.

    returns: empty for a reply that says nothing, which would teach silence
    """
    replies = greedy(teacher, prompts, max_tokens=max_tokens, stop_ids=stop_ids, pause=pause)
    return [() if set(reply) <= set(stop_ids) else tuple(reply) for reply in replies]


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
