"""A few likely tokens stand for the vocabulary."""

import pytest
import torch
from torch import Tensor

from kernels.contract import Backend
from learner.population.shortlist import Shortlist

WIDTH, VOCABULARY, SCORED, MEMBERS = 16, 3000, 40, 6


@pytest.fixture
def texts() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Parent states, member states near them, a head, and targets, some of them unlikely."""
    torch.manual_seed(3)
    head = torch.randn(VOCABULARY, WIDTH)
    states = 1.5 * torch.randn(SCORED, WIDTH)
    members = states + 0.05 * torch.randn(MEMBERS, SCORED, WIDTH)
    targets = torch.randint(VOCABULARY, (SCORED,))
    targets[::2] = (states[::2] @ head.T).argmax(dim=-1)
    return states, members, head, targets


def exact(states: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Score by the whole softmax: (…, scored)."""
    logprobs = (states @ head.T).log_softmax(dim=-1)
    return logprobs.gather(-1, targets.expand(states.shape[:-1])[..., None])[..., 0]


Texts = tuple[Tensor, Tensor, Tensor, Tensor]


def test_the_parent_is_scored_exactly(backend: Backend, texts: Texts) -> None:
    """The parent's own log-probabilities come from the whole vocabulary."""
    states, _, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=32)
    torch.testing.assert_close(few.parent, exact(states, head, targets), rtol=1e-4, atol=1e-4)


def test_a_rival_is_the_likeliest_other_token(backend: Backend, texts: Texts) -> None:
    """It is the second where the target is the first, else the first."""
    states, _, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=32)
    others = (states @ head.T).log_softmax(dim=-1)
    others.scatter_(1, targets[:, None], -torch.inf)
    torch.testing.assert_close(few.rivals, others.max(dim=-1).values, rtol=1e-4, atol=1e-4)


def test_the_whole_vocabulary_gives_exact_scores(backend: Backend, texts: Texts) -> None:
    """With every token kept nothing is estimated."""
    states, members, head, targets = texts
    whole = Shortlist(backend, states, head, targets, kept=VOCABULARY)
    wanted = exact(members, head, targets)
    torch.testing.assert_close(whole.logprobs(members), wanted, rtol=1e-4, atol=1e-4)


def test_members_keep_their_order(backend: Backend, texts: Texts) -> None:
    """What is estimated is far smaller than what members differ by."""
    states, members, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=256)
    wanted = exact(members, head, targets).mean(dim=1)
    found = few.logprobs(members).mean(dim=1)
    error = (found - wanted) - (found - wanted).mean()
    assert error.abs().max() < wanted.std() / 20


@pytest.mark.parametrize("kept", [256, VOCABULARY])
def test_divergence_is_that_of_whole_distributions(
    backend: Backend, texts: Texts, kept: int
) -> None:
    """KL from the kept tokens and the rest as one is a little less than over all, never more."""
    states, members, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=kept)
    child = members[0]
    after, before = ((s @ head.T).log_softmax(-1) for s in (child, states))
    whole = float((after.exp() * (after - before)).sum(-1).mean())
    found = few.divergence(child, exact(child, head, targets))
    assert found <= whole * 1.01
    assert found == pytest.approx(whole, rel=0.15 if kept < VOCABULARY else 0.01)
    assert few.divergence(states, few.parent) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("kept", [32, VOCABULARY])
def test_members_stand_apart_by_kl(backend: Backend, texts: Texts, kept: int) -> None:
    """From whose states a list was made, members are as far as whole distributions say; it not."""
    states, members, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=kept)
    own = (states @ head.T).log_softmax(-1)
    whole = [float((own.exp() * (own - (m @ head.T).log_softmax(-1))).sum(-1).mean())
             for m in members]  # fmt: skip
    found = few.apart(members).tolist()
    assert found == pytest.approx(whole, rel=0.15 if kept < VOCABULARY else 0.01)
    assert float(few.apart(states[None])[0]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("kept", [32, VOCABULARY])
def test_pulling_back_is_the_fall_of_the_distance(
    backend: Backend, texts: Texts, kept: int
) -> None:
    """What pull_back gives is the derivative of the distance, at a member that has moved."""
    states, members, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=kept)
    at, step = members[0], (states - members[0]) / 50
    after, before = few.apart(torch.stack((at + step, at - step))).tolist()
    told = 2 * float((few.pull_back(at) * step).sum())
    assert told > 1e-4
    assert before - after == pytest.approx(told, rel=0.03)


@pytest.mark.parametrize("kept", [32, VOCABULARY])
def test_slopes_are_pulled_back_to_states(backend: Backend, texts: Texts, kept: int) -> None:
    """What pull gives is the derivative of the scores, however few tokens are kept."""
    states, members, head, targets = texts
    few = Shortlist(backend, states, head, targets, kept=kept)
    slopes = torch.linspace(-1, 2, SCORED)
    step = (members[0] - states) / 50
    after, before = few.logprobs(torch.stack((states + step, states - step)))
    measured = float(((after - before).double() * slopes).sum())
    told = 2 * float((few.pull(slopes) * step).sum())
    assert abs(told) > 0.01
    assert measured == pytest.approx(told, rel=0.02)
