"""Sampling: what is drawn, how often, with which log-probabilities, whatever the batch."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from agent.constrain.contract import Matcher
from agent.engine.sampler import MAX_TOP, Choice, Sampler, choose, choose_each
from agent.errors import BrokenLogitsError
from streams.records import Sampling

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -30.0])
VOCABULARY = 7
PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0.05, 3),
    "top_p": st.floats(0.05, 1),
    "top_k": st.integers(0, VOCABULARY + 1),
    "min_p": st.floats(0, 1),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "repetition_penalty": st.floats(0.5, 2),
    "logit_bias": st.dictionaries(st.integers(0, VOCABULARY - 1), st.floats(-100, 100), max_size=3),
}
TOKENS = st.lists(st.integers(0, VOCABULARY - 1), max_size=6)
SCORES = st.lists(st.floats(-20, 20, width=32), min_size=VOCABULARY, max_size=VOCABULARY)


def sampler(prompt: Sequence[int] = (), top_logprobs: int = 0, **changes: Any) -> Sampler:
    """A sampler at temperature 1 over everything, but for the changes."""
    values = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 1, "seed": 0, **changes}
    return Sampler(Sampling.model_validate(values), prompt, top_logprobs=top_logprobs)


def one(drawing: Sampler, logits: Tensor) -> Choice:
    """Draw one token of one reply."""
    choice = choose([drawing], logits[None])[0]
    assert isinstance(choice, Choice)
    return choice


def plainly_penalised(
    scores: Sequence[float], given: dict[str, Any], prompt: Sequence[int], reply: Sequence[int]
) -> list[float]:
    """The scores as the penalties' definitions say, token by token, in double precision."""
    changed = []
    for token, bare in enumerate(scores):
        score = bare + given.get("logit_bias", {}).get(token, 0)
        if token in prompt or token in reply:
            penalty = given.get("repetition_penalty", 1)
            score = score / penalty if score > 0 else score * penalty
        score -= given.get("frequency_penalty", 0) * reply.count(token)
        score -= given.get("presence_penalty", 0) * (token in reply)
        changed.append(score)
    return changed


def plainly_cut(scores: Sequence[float], given: dict[str, Any]) -> Iterator[Tensor]:
    """The distributions that a token may be drawn from, as the limits' definitions say.

    Where a limit falls on a token to the rounding of float32, it may fall on either side.
    """
    tempered = torch.tensor(scores, dtype=torch.float64) / given.get("temperature", 1)
    probabilities = tempered.softmax(0)
    order, ids = probabilities.sort(descending=True)
    edges = (1 - 1e-5, 1, 1 + 1e-5)
    for min_edge, p_edge in itertools.product(edges, edges):
        stays = order >= given.get("min_p", 0) * order[0] * min_edge
        stays &= torch.arange(len(order)) < (given.get("top_k", 0) or len(order))
        stays[0] = True
        left = order * stays / (order * stays).sum()
        top_p = given.get("top_p", 1)
        if top_p < 1:
            left = left * (left.cumsum(0) - left < top_p * p_edge)
        yield torch.zeros(len(order), dtype=torch.float64).scatter(0, ids, left / left.sum())


@given(
    given=st.fixed_dictionaries({}, optional=PARAMETERS),
    scores=SCORES,
    prompt=TOKENS,
    reply=TOKENS,
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_log_probabilities_are_those_of_what_was_drawn_from(
    given: dict[str, Any], scores: list[float], prompt: list[int], reply: list[int], seed: int
) -> None:
    """Bias, penalties, temperature and limits, in vLLM's order; the other one is of the model."""
    drawing = sampler(prompt, seed=seed, **given)
    for token in reply:
        drawing.add(token)
    choice = one(drawing, torch.tensor(scores))
    penalised = plainly_penalised(scores, given, prompt, reply)
    # which of two equally likely tokens is cut is nobody's to say
    alike = [at for at, score in enumerate(penalised) if abs(score - penalised[choice.id]) < 1e-4]
    expected = [float(cut[at].log()) for cut in plainly_cut(penalised, given) for at in alike]
    assert any(choice.sampling_logprob == pytest.approx(each, abs=2e-3) for each in expected)
    told = float(torch.tensor(scores, dtype=torch.float64).log_softmax(0)[choice.id])
    assert choice.logprob == pytest.approx(told, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    given=st.fixed_dictionaries({}, optional=PARAMETERS), scores=SCORES, prompt=TOKENS, reply=TOKENS
)
def test_tokens_come_as_often_as_is_told(
    given: dict[str, Any], scores: list[float], prompt: list[int], reply: list[int]
) -> None:
    """Over many draws each token's share is what `sampling_logprob` says, and nothing is lost."""
    draws = 2000
    drawing = [sampler(prompt, seed=seed, **given) for seed in range(draws)]
    for each, token in itertools.product(drawing, reply):
        each.add(token)
    choices = choose(drawing, torch.tensor(scores).repeat(draws, 1))
    assert all(isinstance(choice, Choice) for choice in choices)
    seen = Counter(choice.id for choice in choices if isinstance(choice, Choice))
    told = {c.id: math.exp(c.sampling_logprob) for c in choices if isinstance(c, Choice)}
    for token, share in told.items():
        # six standard deviations, and one draw for what is as rare as that
        slack = 6 * math.sqrt(share * (1 - share) / draws) + 1.5 / draws
        assert seen[token] / draws == pytest.approx(share, abs=slack)
    assert 0.98 < sum(told.values()) < 1 + 1e-5


def test_tokens_come_as_often_as_they_are_likely() -> None:
    """With nothing asked for, the shares are the model's own."""
    choices = choose([sampler(seed=seed) for seed in range(4000)], LOGITS.repeat(4000, 1))
    counts = Counter(choice.id for choice in choices if isinstance(choice, Choice))
    for token, probability in enumerate(LOGITS.softmax(0).tolist()):
        assert counts[token] / 4000 == pytest.approx(probability, abs=0.03)


def test_one_seed_goes_on_drawing() -> None:
    """The tokens of one reply are as independent as those of many."""
    drawing = sampler(seed=3, top_p=0.9)
    counts = Counter(one(drawing, LOGITS).id for _ in range(3000))
    kept = LOGITS[:3].softmax(0).tolist()
    assert set(counts) == {0, 1, 2}
    for token, probability in enumerate(kept):
        assert counts[token] / 3000 == pytest.approx(probability, abs=0.04)


def test_temperature_zero_takes_the_likeliest() -> None:
    """Greedy choice has log-probability 0 among what it was drawn from."""
    choice = one(sampler(temperature=0), LOGITS)
    assert (choice.id, choice.sampling_logprob) == (0, 0.0)
    assert choice.logprob == pytest.approx(float(LOGITS.log_softmax(0)[0]))


def test_a_greedy_reply_is_penalised_too() -> None:
    """A token that is banned, or was said often enough, is not the likeliest any more."""
    assert one(sampler(temperature=0, logit_bias={0: -100}), LOGITS).id == 1
    again = sampler(temperature=0, frequency_penalty=0.6)
    assert [one(again, LOGITS).id for _ in range(6)] == [0, 0, 1, 0, 1, 0]
    once = sampler(temperature=0, presence_penalty=1.5)
    assert [one(once, LOGITS).id for _ in range(3)] == [0, 1, 0]
    said = sampler([0], temperature=0, repetition_penalty=4)
    choice = one(said, LOGITS)
    assert (choice.id, choice.sampling_logprob) == (1, 0.0)
    assert choice.logprob == pytest.approx(float(LOGITS.log_softmax(0)[1]))


def test_a_penalty_counts_more_tokens_than_a_reply_begins_with() -> None:
    """Long replies of many tokens are counted to the end."""
    flat = torch.zeros(1000)
    drawing = sampler(temperature=0, presence_penalty=1)
    assert len({one(drawing, flat).id for _ in range(500)}) == 500


@pytest.mark.parametrize("temperature", [1e-320, 1e-100, 1e-38, 1e-30, 1e-3])
@pytest.mark.parametrize("limits", [{}, {"top_p": 0.9}, {"top_k": 3}, {"min_p": 0.1}])
def test_a_tiny_temperature_is_greedy(temperature: float, limits: dict[str, Any]) -> None:
    """No temperature overflows or divides by nothing: a tiny one takes the likeliest token."""
    choice = one(sampler(temperature=temperature, **limits), LOGITS * 100)
    assert (choice.id, choice.sampling_logprob) == (0, 0.0)


@pytest.mark.parametrize("limits", [{"top_p": 1e-300}, {"top_k": 1}, {"min_p": 1.0}])
def test_the_likeliest_token_always_stays(limits: dict[str, Any]) -> None:
    """The narrowest limits leave one token."""
    for seed in range(20):
        choice = one(sampler(seed=seed, **limits), LOGITS)
        assert (choice.id, choice.sampling_logprob) == (0, 0.0)


@pytest.mark.parametrize(
    "limits", [{"top_p": 0.5}, {"top_p": 0.99}, {"top_k": 3000}, {"min_p": 1e-3},
               {"top_k": 20_000, "min_p": 1e-4, "top_p": 0.999}]
)  # fmt: skip
def test_a_wide_cut_is_as_exact_as_a_narrow_one(limits: dict[str, Any]) -> None:
    """What is left may be tens of thousands of tokens."""
    logits = torch.randn(49152, generator=torch.Generator().manual_seed(0)) / 4
    cuts = list(plainly_cut(logits.tolist(), limits))
    drawing = sampler(**limits)
    for _ in range(10):
        choice = one(drawing, logits)
        expected = [float(cut[choice.id].log()) for cut in cuts]
        assert any(choice.sampling_logprob == pytest.approx(each, abs=1e-3) for each in expected)


@settings(deadline=None, max_examples=40)
@given(
    given=st.lists(
        st.fixed_dictionaries(
            {"temperature": st.sampled_from([0, 0.7, 1, 1.5]), "seed": st.integers(0, 99)},
            optional={name: each for name, each in PARAMETERS.items() if name != "temperature"},
        ),
        min_size=2,
        max_size=9,
    ),
    vocabulary=st.sampled_from([VOCABULARY, 333, 5003]),
    steps=st.integers(1, 3),
    tops=st.integers(0, MAX_TOP),
    tied=st.booleans(),
)
def test_a_choice_does_not_depend_on_its_batch(
    given: list[dict[str, Any]], vocabulary: int, steps: int, tops: int, tied: bool
) -> None:
    """The same seed and logits give the same choices to the bit, alone or among others."""
    shape = (steps, len(given), vocabulary)
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    logits = logits.round() if tied else logits  # many tokens are then equally likely

    def made() -> list[Sampler]:
        return [
            sampler(range(row % VOCABULARY), row * tops // 9, **each)
            for row, each in enumerate(given)
        ]

    batched = made()
    together = [choose(batched, step) for step in logits]
    for row, alone in enumerate(made()):
        choices = [choose([alone], step[row : row + 1])[0] for step in logits]
        assert choices == [step[row] for step in together]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_all_64_bits_of_a_seed_count(seed: int, other: int) -> None:
    """Every seed that the API takes has its own numbers, and the same ones each time."""
    drawn = [sampler(seed=each).draw() for each in (seed, seed, other)]
    assert drawn[0] == drawn[1]
    assert (drawn[0] == drawn[2]) == (seed == other)
    assert 0 <= drawn[0] < 1


def test_the_likeliest_tokens_are_of_the_model() -> None:
    """They are told at temperature 1, without bias or cut; as many as there are at most."""
    expected = LOGITS.log_softmax(0)
    drawing = sampler(top_logprobs=2, temperature=0.2, top_k=1, logit_bias={3: 100})
    choice = one(drawing, LOGITS)
    assert choice.id == 3
    assert [token for token, _ in choice.top] == [0, 1]
    assert [told for _, told in choice.top] == pytest.approx(expected[:2].tolist())
    assert len(one(sampler(top_logprobs=20), LOGITS).top) == 5
    assert one(sampler(), LOGITS).top == ()


@pytest.mark.parametrize("top_k", [5, 2**31, 2**63 - 1, 2**63, 2**70])
def test_more_tokens_than_there_are_are_all_of_them(top_k: int) -> None:
    """A top_k beyond the vocabulary leaves everything, however large the number is."""
    everything = [one(sampler(seed=seed), LOGITS) for seed in range(20)]
    cut = choose([sampler(seed=seed, top_k=top_k) for seed in range(20)], LOGITS.repeat(20, 1))
    assert [each.id for each in everything] == [each.id for each in cut if isinstance(each, Choice)]


class Unmaskable:
    """A matcher that fails as none should (agent.constrain.contract.Matcher)."""

    ended = False

    def mask(self) -> NDArray[np.bool_]:
        raise RuntimeError("no mask of any kind")

    def take(self, token: int) -> None:
        raise RuntimeError(f"no {token} of any kind")


class Uncountable(Unmaskable):
    """One that fails once its token is drawn."""

    def mask(self) -> NDArray[np.bool_]:
        return np.ones(len(LOGITS), np.bool_)


@pytest.mark.parametrize("matcher", [Unmaskable(), Uncountable()])
def test_what_cannot_be_chosen_concerns_its_own_reply(matcher: Matcher) -> None:
    """The others get the tokens that they get alone, this one and the ones after it."""
    alone, beside = [sampler(seed=seed) for seed in (3, 4)], [sampler(seed=seed) for seed in (3, 4)]
    broken = Sampler(Sampling(temperature=1, top_p=1, max_tokens=1, seed=5), matcher=matcher)
    first, fault, last = choose_each([beside[0], broken, beside[1]], LOGITS.repeat(3, 1))
    assert isinstance(fault, Exception)
    assert [first, last] == [one(each, LOGITS) for each in alone]
    assert [one(each, LOGITS) for each in beside] == [one(each, LOGITS) for each in alone]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    "given", [{"temperature": 0}, {}, {"top_p": 0.9}, {"top_k": 2, "min_p": 0.1},
              {"frequency_penalty": 1, "logit_bias": {0: 1}}]
)  # fmt: skip
def test_a_broken_row_concerns_its_own_reply(bad: float, given: dict[str, Any]) -> None:
    """Scores that are not finite give an error in their place, and the others their token."""
    logits = torch.stack([LOGITS, torch.tensor([0.0, bad, 1.0, 0.0, 0.0]), LOGITS])
    first, broken, last = choose([sampler(top_logprobs=1, **given) for _ in range(3)], logits)
    assert isinstance(broken, BrokenLogitsError)
    assert first == last == one(sampler(top_logprobs=1, **given), LOGITS)
