"""What a member's log-probabilities are worth."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from learner.batch.lesson import Lesson
from learner.fitness import fitness
from learner.fitness.fitness import Terms
from learner.fitness.news import (
    LEAST_LEAD_NATS,
    LEAST_LOGPROB,
    NEWS_CLIP_NATS,
    held,
    leads,
    news,
)
from learner.fitness.reference import referenced
from learner.population.members import lay_out

TERMS = Terms(reward=1.0, hint=1.0, kl=0.0, ratio_clip=0.2)
REPLY = (8, 9)


def lesson(**changes: object) -> Lesson:
    """Return a lesson of one turn that was sampled at log-probability −1 a token."""
    given = {
        "turn_id": "t", "weight": 1.0, "score": 0, "confidence": 1.0,
        "prompt": (5, 6), "reply": REPLY, "logprobs": (-1.0, -1.0),
    }  # fmt: skip
    return Lesson(**{**given, **changes})  # type: ignore[arg-type]


def of(one: Lesson, *members: list[float], terms: Terms = TERMS) -> list[float]:
    """Return the fitness of members with these log-probabilities (of target, else reply)."""
    scored = lay_out([one.passage])
    table = fitness.table([one], scored, torch.tensor(members), terms)
    return list(table[0].tolist())


def test_a_praised_reply_pulls_only_so_far() -> None:
    """A more likely reply is fitter until the ratio reaches 1 + ε."""
    low, same, high, higher = of(
        lesson(score=1), [-1.1, -1.1], [-1, -1], [-0.8, -0.8], [-0.1, -0.1]
    )
    assert low < same < high == higher == pytest.approx(1.2)


def test_a_blamed_reply_pushes_only_so_far() -> None:
    """A less likely reply is fitter until the ratio reaches 1 − ε."""
    high, same, low, lower = of(
        lesson(score=-1), [-0.9, -0.9], [-1, -1], [-1.5, -1.5], [-9.0, -9.0]
    )
    assert high < same < low == lower == pytest.approx(-0.8)


@pytest.mark.parametrize("score", [1, -1])
@given(forced=st.floats(-9, 0))
def test_what_a_mask_chose_teaches_nothing(score: int, forced: float) -> None:
    """A forced token moves no member; the model's own count as they would alone."""
    terms = Terms(reward=1.0, hint=1.0, kl=0.5, ratio_clip=0.2)
    held = lesson(score=score, forced=frozenset({1}), advantages=(0.5, 2.0))
    alone = lesson(score=score, reply=(8,), logprobs=(-1.0,), advantages=(0.5,))
    assert of(held, [-0.9, forced], terms=terms) == of(alone, [-0.9], terms=terms)
    assert of(lesson(score=score, forced=frozenset({0, 1})), [-0.9, forced], terms=terms) == [0.0]


def test_confidence_scales_the_reward() -> None:
    """Half as sure is half as strong."""
    (sure,) = of(lesson(score=1), [-0.9, -0.9])
    (unsure,) = of(lesson(score=1, confidence=0.5), [-0.9, -0.9])
    assert unsure == pytest.approx(sure / 2)


def test_the_hinted_rewrite_counts_by_what_is_news_in_it() -> None:
    """The hint term is the mean of the target's log-probabilities, each by its weight."""
    taught = lesson(target=(3, 4, 2), news=(0.0, 0.5, 2.0), score=-1)
    assert of(taught, [-3.0, -2.0, -1.0]) == pytest.approx([-1.0])
    assert of(taught, [-9.0, -2.0, -1.0]) == of(taught, [-3.0, -2.0, -1.0])


def test_what_a_rewrite_has_won_is_kept() -> None:
    """A held token has nothing left to gain, and losing it costs by its weight."""
    taught = lesson(target=(3, 4), news=(0.0, 2.0), held=(5.0, 0.0))
    well, badly = of(taught, [-0.1, -2.0], [-4.1, -1.0])
    assert well - badly == pytest.approx((4.0 * 5.0 - 2.0) / 2)
    assert left(taught, [-0.1, -2.0]) == left(replace(taught, held=()), [-0.1, -2.0])


def test_a_token_is_taught_until_it_leads_and_then_kept() -> None:
    """As far as the teacher would, half a nat at least; without rivals up to the teacher alone."""
    taught = lesson(target=(3, 4, 5), teacher=(-1.0, -1.0, -0.5))
    scored = lay_out([taught.passage])
    parent, rivals = torch.tensor([-1.0, -0.25, -3.5]), torch.tensor([-0.75, -2.5, -0.25])
    (found,) = referenced([taught], scored, parent, rivals, 1.0)
    assert found.news == (0.75, 0.0, 3.75)
    # 2.25 nats ahead, 1.75 more than it is to be
    assert found.held == pytest.approx((0.0, 5.0 * math.exp(-1.75), 0.0))
    (found,) = referenced([taught], scored, parent)
    assert (found.news, found.held) == ((0.0, 0.0, 3.0), ())


@given(st.floats(LEAST_LEAD_NATS, 5), st.floats(LEAST_LOGPROB, 0), st.floats(0, 20))
def test_a_lead_is_what_the_teacher_would_have(margin: float, sure: float, surer: float) -> None:
    """Between half a nat and the margin it is the teacher's log-odds; surer never asks for less."""
    lead, more = leads([sure, min(0.0, sure + surer)], margin)
    assert LEAST_LEAD_NATS <= lead <= more <= margin
    if LEAST_LEAD_NATS < lead < margin:
        assert 1 / (1 + math.exp(-lead)) == pytest.approx(math.exp(sure))
    assert leads([0.0], margin) == (margin,)


@given(st.floats(LEAST_LEAD_NATS, 5), st.floats(-20, LEAST_LOGPROB, exclude_max=True))
def test_what_the_teacher_would_not_say_is_not_to_lead(margin: float, unsure: float) -> None:
    """It is taught until the version is as sure as the teacher, like without a margin."""
    wanted = leads([unsure], margin)
    for parent in (unsure - 1, unsure, unsure + 1):
        assert news([unsure], [parent], [-0.1], wanted) == news([unsure], [parent])
    assert held([0.0], [unsure], [-0.1], wanted) == (0.0,)


@given(st.floats(0, 5), st.floats(-20, 0), st.floats(0, 20), st.floats(0, 20))
def test_what_is_far_ahead_is_held_less(
    wanted: float, logprob: float, lead: float, more: float
) -> None:
    """What holds a token is at most the largest news, falls with its lead, and is never gone."""
    weights = [
        held([0.0], [logprob], [logprob - wanted - each], [wanted])[0]
        for each in (lead, lead + more)
    ]
    assert 0 < weights[1] <= weights[0] <= NEWS_CLIP_NATS
    assert weights[1] == pytest.approx(weights[0] * math.exp(-more), rel=1e-6)
    assert held([0.5], [logprob], [logprob], [wanted]) == (0.0,)


def test_advantages_weigh_the_replys_own_tokens() -> None:
    """Tokens that the hinted teacher prefers count for, others against."""
    assert of(lesson(advantages=(1.0, -1.0)), [-1.0, -3.0]) == pytest.approx([1.0])


def test_the_anchor_punishes_moving_either_way() -> None:
    """k3 is 0 at the logged policy and grows with the distance."""
    terms = Terms(reward=0.0, hint=0.0, kl=1.0, ratio_clip=0.2)
    still, up, down = of(lesson(), [-1, -1], [-0.5, -0.5], [-1.5, -1.5], terms=terms)
    assert still == pytest.approx(0)
    assert max(up, down) < 0
    assert up == pytest.approx(-(math.exp(0.5) - 1 - 0.5))


@given(st.lists(st.floats(-1e4, 0), min_size=2, max_size=2))
def test_no_logprob_explodes(logprobs: list[float]) -> None:
    """Even absurd members have a finite fitness."""
    terms = Terms(reward=1.0, hint=1.0, kl=0.1, ratio_clip=0.2)
    for score in (-1, 0, 1):
        assert np.isfinite(of(lesson(score=score), logprobs, terms=terms)).all()


def three(weights: tuple[float, ...] = (1.0, 1.0, 1.0)) -> list[Lesson]:
    """Return lessons that count this much."""
    return [lesson(turn_id=str(i), weight=weight) for i, weight in enumerate(weights)]


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_turns_that_say_the_same_agree(seed: int, size: float) -> None:
    """α is 1 for equal opinions, whatever their size, and for one turn alone."""
    one = np.random.default_rng(seed).normal(size=16) * size
    assert fitness.agreement(three(), np.stack([one, one, one])) == pytest.approx(1)
    assert fitness.agreement(three()[:1], one[None]) == 1


def test_turns_that_say_anything_do_not_agree() -> None:
    """α is 0 on average for opinions that have nothing in common, and low for contrary ones."""
    rng = np.random.default_rng(0)
    chance = [fitness.agreement(three(), rng.normal(size=(3, 128))) for _ in range(200)]
    assert abs(np.mean(chance)) < 0.05
    one = rng.normal(size=128)
    assert fitness.agreement(three(), np.stack([one, -one, 0.1 * one])) < 0
    assert fitness.agreement(three(), np.ones((3, 16))) == 0


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_agreement_is_of_differences_and_weights(seed: int, size: float) -> None:
    """What all members share counts nothing, nor does the unit; a turn without weight is none."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(3, 16)) + rng.normal(size=16)
    alpha = fitness.agreement(three(), table)
    assert alpha <= 1
    assert fitness.agreement(three(), size * table + rng.normal(size=(3, 1))) == pytest.approx(
        alpha
    )
    mute = np.concatenate([table[:2], 1e3 * table[2:]])
    two = fitness.agreement(three()[:2], table[:2])
    # the weightless third counts as a rater who says nothing: 3/2 against 2/1
    assert fitness.agreement(three((1, 1, 0)), mute) == pytest.approx(0.75 * two)


def test_turns_count_by_their_weight() -> None:
    """A member's fitness is the weighted sum over the table's rows."""
    lessons = [lesson(weight=0.25), lesson(turn_id="u", weight=0.75)]
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert fitness.combined(lessons, table).tolist() == [2.5, 3.5]


@given(
    logprobs=st.lists(st.floats(-3, -0.05), min_size=2, max_size=2),
    score=st.integers(-1, 1),
    kind=st.sampled_from(["reply", "advantages", "target", "forced"]),
)
def test_slopes_are_how_the_fitness_rises(logprobs: list[float], score: int, kind: str) -> None:
    """A slope is what a small change of one log-probability changes, but at a kink."""
    changes: dict[str, object] = {"score": score, "weight": 0.5}
    if kind == "advantages":
        changes["advantages"] = (0.5, -1.5)
    if kind == "forced":
        changes["forced"] = frozenset({1})
    if kind == "target":
        changes |= {"target": (3, 2), "news": (0.0, 2.5), "held": (1.5, 0.0)}
    one, terms = lesson(**changes), Terms(reward=1.0, hint=0.7, kl=0.3, ratio_clip=0.2)
    for kink in (math.log(0.8), math.log(1.2)):
        assume(all(abs(found + 1 - kink) > 0.01 for found in logprobs))
    scored = lay_out([one.passage])
    here = torch.tensor(logprobs, dtype=torch.float64)
    slopes = fitness.slopes([one], scored, here, terms)
    for place in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[place] = 1e-4
        table = fitness.table([one], scored, torch.stack((here + step, here - step)), terms)
        up, down = fitness.combined([one], table)
        assert float(slopes[place]) == pytest.approx((up - down) / 2e-4, rel=1e-3, abs=1e-5)


def test_what_is_left_ends_with_the_teacher_and_with_the_clip() -> None:
    """A rewrite as likely as its teacher finds it, and a reply at its clip, can gain nothing."""
    taught = lesson(target=(7,), teacher=(-0.5,), news=(2.0,))
    assert left(taught, [-2.5]) == pytest.approx(4.0)
    assert left(lesson(target=(7,), teacher=(-0.5,), news=(0.0,)), [-0.5]) == 0
    for score, far in ((1, -0.5), (-1, -3.0)):
        assert left(lesson(score=score), [-1.0, -1.0]) == pytest.approx(0.2)
        assert left(lesson(score=score), [far, far]) == 0
    assert left(lesson(score=1, forced=frozenset({0, 1})), [-1.0, -1.0]) == 0


def left(one: Lesson, found: list[float]) -> float:
    """Return what one lesson has left to gain."""
    return fitness.left([one], lay_out([one.passage]), torch.tensor(found), TERMS)
