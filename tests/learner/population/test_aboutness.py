"""How far replies are about their prompts, by laws that hold for any model."""

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.population.aboutness import aboutness
from learner.population.members import Passage
from learner.population.scoring import logprobs
from streams.model.open import BaseModel

PROMPTS = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15, 5]]

token_ids = st.lists(st.integers(3, 300), min_size=1, max_size=5)


def nothing() -> None:
    """No pause."""


def measured(
    base: BaseModel, backend: Backend, prompts: list[list[int]], replies: list[list[int]], n: int
) -> list[float]:
    """Measure with the base itself."""
    return aboutness(base.decoder, prompts, replies, num_others=n, backend=backend, pause=nothing)


@pytest.mark.parametrize("num_others", [1, 2, 3, 9])
def test_it_is_what_its_formula_says(
    tiny_base: BaseModel, backend: Backend, num_others: int
) -> None:
    """Beside the slow, obvious version: one passage after the other."""
    replies = [[20, 21, 22], [23], [24, 25], [26, 27, 28, 29]]

    def mean(prompt: list[int], reply: list[int]) -> float:
        passage = Passage(tuple(prompt), (tuple(reply),))
        ((found,),) = logprobs(tiny_base.decoder, [passage], backend=backend, pause=nothing)
        return float(found.double().mean())

    expected = []
    for own, reply in enumerate(replies):
        behind = [PROMPTS[(own + step) % 4] for step in range(1, min(num_others, 3) + 1)]
        others = [mean(prompt, reply) for prompt in behind]
        expected.append(mean(PROMPTS[own], reply) - sum(others) / len(others))
    found = measured(tiny_base, backend, PROMPTS, replies, num_others)
    assert found == pytest.approx(expected, abs=1e-5)


@given(reply=token_ids, first=token_ids, second=token_ids)
@examples(max_examples=20)
def test_one_reply_to_two_prompts_is_about_both_in_opposite_measure(
    tiny_base: BaseModel, backend: Backend, reply: list[int], first: list[int], second: list[int]
) -> None:
    """What is said to everybody is about nobody: the sum over prompts is nothing."""
    about = measured(tiny_base, backend, [first, second], [reply, reply], 1)
    assert sum(about) == pytest.approx(0, abs=1e-4)


def test_the_models_own_replies_are_about_their_prompts(
    tiny_base: BaseModel, backend: Backend
) -> None:
    """Greedy replies beat the same replies, each moved on to the next prompt."""
    replies = greedy(tiny_base.decoder, PROMPTS, max_tokens=6, stop_ids=())
    own = sum(measured(tiny_base, backend, PROMPTS, replies, 3))
    moved = sum(measured(tiny_base, backend, PROMPTS, [*replies[1:], replies[0]], 3))
    assert own > 0 > moved


def test_an_empty_reply_is_about_nothing(tiny_base: BaseModel, backend: Backend) -> None:
    """It has no token to be measured by; the others are measured all the same."""
    about = measured(tiny_base, backend, PROMPTS, [[], [20], [], [21]], 2)
    assert (about[0], about[2]) == (0, 0)
    assert torch.tensor(about).isfinite().all()
    assert measured(tiny_base, backend, PROMPTS, [[], [], [], []], 2) == [0, 0, 0, 0]


def test_a_single_prompt_is_refused(tiny_base: BaseModel, backend: Backend) -> None:
    """Without another prompt there is nothing to compare with."""
    with pytest.raises(ValueError, match="another prompt"):
        measured(tiny_base, backend, [[5]], [[6]], 1)
    with pytest.raises(ValueError, match="1 replies to 2 prompts"):
        measured(tiny_base, backend, [[5], [6]], [[7]], 1)
