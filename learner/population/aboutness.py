"""Turns replies into how far each is about its prompt, by forward passes of the base.

aboutness = mean log p_base(reply | its prompt) − mean over other prompts of the same, nats a token.

What fits every prompt alike ("I'm sorry for the confusion.") has none, whatever its language, and a
version that answers everything so loses it while each of its replies still looks well formed. It is
no measure of truth: a false answer to the question is about it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.population.members import Passage
from learner.population.scoring import logprobs

TokenIds = Sequence[int]


def aboutness(
    base: Decoder,
    prompts: Sequence[TokenIds],
    replies: Sequence[TokenIds],
    *,
    num_others: int,
    backend: Backend,
    pause: Callable[[], None],
) -> list[float]:
    """Measure each reply between its own prompt and the `num_others` prompts behind that.

    prompts: at least two, in a fixed order; behind the last one comes the first
    replies: one a prompt; an empty one is about nothing: 0
    num_others: at least 1; all others where there are no more
    pause: called between pieces of work
    returns: nats a token, one a reply
    raises: ValueError for a single prompt, or another number of replies than of prompts
    """
    count = len(prompts)
    if count < 2 or num_others < 1 or len(replies) != count:
        raise ValueError(
            f"{len(replies)} replies to {count} prompts, each held against {num_others} others: "
            "aboutness needs a reply a prompt, and another prompt"
        )
    means: list[dict[int, Tensor]] = [{} for _ in range(count)]  # reply → prompt → mean
    asked = []
    for prompt in range(count):
        near = [(prompt - back) % count for back in range(min(num_others, count - 1) + 1)]
        asked.append([reply for reply in near if len(replies[reply])])
    passages = [
        Passage(tuple(prompts[place]), tuple(tuple(replies[reply]) for reply in some))
        for place, some in enumerate(asked)
        if some
    ]
    scored = iter(logprobs(base, passages, backend=backend, pause=pause))
    for place, some in enumerate(asked):
        for reply, tokens in zip(some, next(scored) if some else (), strict=True):
            means[reply][place] = tokens.double().mean()
    return [between(found, own) for own, found in enumerate(means)]


def between(means: dict[int, Tensor], own: int) -> float:
    """Return how much likelier a reply is behind its own prompt than behind the others.

    means: prompt → mean log-probability of the reply's tokens behind it; empty: 0

    >>> between({0: torch.tensor(-1.0), 1: torch.tensor(-2.0), 2: torch.tensor(-3.0)}, 0)
    1.5
    """
    if not means:
        return 0.0
    others = [mean for prompt, mean in means.items() if prompt != own]
    return float(means[own] - torch.stack(others).mean())
