"""Sampling: what is drawn, how often, and with which log-probabilities."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BrokenLogitsError
from agent.sampler import Sampler
from streams.records import Sampling

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])


def sampler(**changes: float) -> Sampler:
    values = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 1, "seed": 0, **changes}
    return Sampler(Sampling.model_validate(values))


def test_temperature_zero_takes_the_likeliest() -> None:
    """Greedy choice has log-probability 0 among what it was drawn from."""
    choice = sampler(temperature=0).choose(LOGITS)
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
    """The told log-probability is that of the tempered nucleus; outside it nothing is drawn."""
    logits = torch.tensor(data.draw(st.lists(st.floats(-20, 20), min_size=1, max_size=700)))
    choice = sampler(temperature=temperature, top_p=top_p, seed=seed).choose(logits)
    probabilities = (logits.double() / temperature).softmax(0)
    order = probabilities.sort(descending=True).values
    size = min(int((order.cumsum(0) < top_p - 1e-5).sum()) + 1, len(order))
    assert (
        float(probabilities[choice.id]) >= float(order[size - 1]) * (1 - 1e-3) - 1e-9
        or top_p > 0.9999
    )
    if top_p == 1:
        expected = math.log(max(float(probabilities[choice.id]), 1e-300))
        assert choice.sampling_logprob == pytest.approx(expected, abs=1e-3)
    assert choice.sampling_logprob <= 0
    assert choice.logprob == pytest.approx(float(logits.log_softmax(0)[choice.id]), abs=1e-4)


def test_tokens_come_as_often_as_they_are_likely() -> None:
    """Over many draws the shares are those of the distribution."""
    drawn = sampler(seed=3)
    counts = Counter(drawn.choose(LOGITS).id for _ in range(4000))
    for token, probability in enumerate(LOGITS.softmax(0).tolist()):
        assert counts[token] / 4000 == pytest.approx(probability, abs=0.03)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    """A broken model gives an error, not a token."""
    with pytest.raises(BrokenLogitsError):
        sampler().choose(torch.tensor([0.0, bad, 1.0]))
