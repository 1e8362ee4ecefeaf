"""Sampling: what is drawn, how often, with which log-probabilities, whatever the batch."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from agent.engine.sampler import Choice, Sampler, choose
from agent.errors import BrokenLogitsError
from streams.records import Sampling

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])


def sampler(**changes: float) -> Sampler:
    """A sampler at temperature 1 over everything, but for the changes."""
    values = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 1, "seed": 0, **changes}
    return Sampler(Sampling.model_validate(values))


def one(drawing: Sampler, logits: Tensor) -> Choice:
    """Draw one token of one reply."""
    choice = choose([drawing], logits[None])[0]
    assert isinstance(choice, Choice)
    return choice


def test_temperature_zero_takes_the_likeliest() -> None:
    """Greedy choice has log-probability 0 among what it was drawn from."""
    choice = one(sampler(temperature=0), LOGITS)
    assert (choice.id, choice.sampling_logprob) == (0, 0.0)
    assert choice.logprob == pytest.approx(float(LOGITS.log_softmax(0)[0]))


@given(
    temperature=st.floats(0.05, 3),
    top_p=st.floats(0.05, 1),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_log_probabilities_are_those_of_the_truncated_distribution(
    temperature: float, top_p: float, seed: int, data: st.DataObject
) -> None:
    """What is told is the tempered nucleus's log-probability; outside it nothing is drawn."""
    logits = torch.tensor(data.draw(st.lists(st.floats(-20, 20), min_size=1, max_size=300)))
    choice = one(sampler(temperature=temperature, top_p=top_p, seed=seed), logits)
    probabilities = (logits.double() / temperature).softmax(0)
    order, _ = probabilities.sort(descending=True)
    # where the mass reaches top_p to the rounding of float32, the nucleus may end at either side
    edges = (top_p - 1e-5, top_p, top_p + 1e-5)
    sizes = {min(int((order.cumsum(0) < edge).sum()) + 1, len(order)) for edge in edges}
    drawn = float(probabilities[choice.id])
    assert drawn >= float(order[max(sizes) - 1]) * (1 - 1e-3) - 1e-6
    expected = [min(math.log(drawn / float(order[:size].sum())), 0) for size in sizes]
    assert any(
        choice.sampling_logprob == pytest.approx(each, abs=2e-3, rel=1e-3) for each in expected
    )
    assert choice.logprob == pytest.approx(float(logits.log_softmax(0)[choice.id]), abs=1e-4)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_tokens_come_as_often_as_they_are_likely(top_p: float) -> None:
    """Over many draws the shares are those of the distribution, cut at the nucleus."""
    drawing = sampler(seed=3, top_p=top_p)
    counts = Counter(one(drawing, LOGITS).id for _ in range(4000))
    kept = LOGITS.softmax(0) * (torch.arange(5) < (3 if top_p < 1 else 5))
    for token, probability in enumerate((kept / kept.sum()).tolist()):
        assert counts[token] / 4000 == pytest.approx(probability, abs=0.03)
    assert top_p == 1 or set(counts) == {0, 1, 2}


@pytest.mark.parametrize("top_p", [0.5, 0.9, 0.99])
def test_a_wide_nucleus_is_found(top_p: float) -> None:
    """A nucleus of tens of thousands of tokens is as exact as a small one."""
    logits = torch.randn(49152, generator=torch.Generator().manual_seed(0)) / 4
    probabilities = logits.double().softmax(0)
    order, ids = probabilities.sort(descending=True)
    size = int((order.cumsum(0) < top_p).sum()) + 1
    drawing, kept = sampler(top_p=top_p), {*ids[: size + 2].tolist()}
    for _ in range(20):
        choice = one(drawing, logits)
        assert choice.id in kept
        expected = math.log(float(probabilities[choice.id]) / float(order[:size].sum()))
        assert choice.sampling_logprob == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("temperature", [1e-30, 1e-3])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    """No temperature overflows: a tiny one takes the likeliest token."""
    choice = one(sampler(temperature=temperature, top_p=0.9), LOGITS * 100)
    assert (choice.id, choice.sampling_logprob) == (0, 0.0)


def test_a_choice_does_not_depend_on_its_batch() -> None:
    """The same seed and logits give the same choices to the bit, alone or among others."""
    logits = torch.randn(9, 5000, generator=torch.Generator().manual_seed(1)) * 3
    settings = [
        {"temperature": (0, 0.7, 1.5)[row % 3], "top_p": (1.0, 0.95)[row % 2], "seed": row}
        for row in range(9)
    ]
    together = choose([sampler(**each) for each in settings], logits)
    for row, each in enumerate(settings):
        assert choose([sampler(**each)], logits[row : row + 1]) == [together[row]]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_broken_row_concerns_its_own_reply(bad: float, temperature: float) -> None:
    """Scores that are not finite give an error in their place, and the others their token."""
    logits = torch.stack([LOGITS, torch.tensor([0.0, bad, 1.0, 0.0, 0.0]), LOGITS])
    first, broken, last = choose([sampler(temperature=temperature) for _ in range(3)], logits)
    assert isinstance(broken, BrokenLogitsError)
    assert first == last == one(sampler(temperature=temperature), LOGITS)
