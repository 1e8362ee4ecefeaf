"""Bounds that hold however often one looks, voices of one principal each, and even shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.rollout.evidence.evidence import Difference, Means, difference, observations
from learner.rollout.evidence.ratio import mismatched
from learner.rollout.evidence.voices import Remark, voices
from streams.settings import RolloutSettings
from tests.experiments.rollouts import KINDS, rollout

REWARDS = st.floats(-1, 1, allow_nan=False)


@pytest.mark.parametrize(
    ("values", "chances"),
    [((0.0, 0.5, 1.0), (0.2, 0.5, 0.3)), ((0.0, 1.0), (0.97, 0.03)), ((0.4, 0.45), (0.5, 0.5))],
)
def test_bounds_leave_out_the_mean_no_more_often_than_alpha_looking_at_every_turn(
    values: tuple[float, ...], chances: tuple[float, ...]
) -> None:
    """Of many sequences at most α ever miss the mean, at any of many looks; and they do narrow."""
    rng, alpha, sequences = np.random.default_rng(7), 0.1, 600
    mean = float(np.dot(values, chances))
    means, missed = Means(alpha=alpha, sequences=sequences, grid=101), np.zeros(sequences, bool)
    for _ in range(200):
        means.add(rng.choice(values, sequences, p=chances))
        low, high = means.bounds()
        missed |= (low > mean) | (high < mean)
    assert missed.mean() <= alpha
    assert (high - low).mean() < 0.5


def test_a_wrong_decision_is_no_more_frequent_than_alpha_with_people_who_come_again() -> None:
    """People of different tastes and diligence, looked at after every turn; the bad one is found.

    The full figures: python -m tests.experiments.rollouts.
    """
    equal = [rollout(seed, KINDS["equal"], most=600).state for seed in range(20)]
    assert equal.count("aborted") <= 1
    bad = [rollout(seed, KINDS["apologises"], most=900) for seed in range(6)]
    assert [each.state for each in bad].count("aborted") >= 5
    assert all(each.state != "completed" for each in bad)


def test_a_difference_has_the_sign_and_the_size_of_what_was_said() -> None:
    """A candidate that everybody dislikes is worse for certain; no voices mean no certainty."""
    liked = [(at, 1.0) for at in range(0, 60, 2)]
    disliked = [(at, -1.0) for at in range(1, 60, 2)]
    found = difference(liked, disliked, alpha=0.05)
    assert found.high < 0
    assert (found.estimate, found.stable, found.candidate) == (-2.0, 30, 30)
    assert difference(disliked, liked, alpha=0.05).low > 0
    assert difference(liked, [], alpha=0.05) == Difference(-2.0, 0.0, 2.0, 30, 0)


def test_six_voices_on_each_version_are_the_fewest_that_can_promote() -> None:
    """However clear they are: why a person alone gets nothing promoted (docs/ROLLOUTS.md)."""
    settings = RolloutSettings()

    def low(voices: int) -> float:
        disliked = [(2 * at, -1.0) for at in range(voices)]
        liked = [(2 * at + 1, 1.0) for at in range(voices)]
        return difference(disliked, liked, alpha=settings.alpha).low

    assert difference([(0, -1.0)], [(1, 1.0)], alpha=settings.alpha).low == -2.0
    assert [low(voices) > -settings.margin for voices in (5, 6)] == [False, True]


@given(st.lists(st.tuples(st.integers(0, 50), REWARDS), max_size=30),
       st.lists(st.tuples(st.integers(0, 50), REWARDS), max_size=30))  # fmt: skip
def test_exchanging_the_versions_turns_the_difference_round(
    one: list[tuple[int, float]], other: list[tuple[int, float]]
) -> None:
    """Neither version is favoured, and the estimate lies within the bounds that are possible."""
    there, back = difference(one, other, alpha=0.05), difference(other, one, alpha=0.05)
    assert there.estimate == pytest.approx(-back.estimate)
    assert -2 <= there.low <= there.high <= 2
    assert len(list(observations(one, other))) <= min(len(one), len(other))


@given(st.lists(st.builds(Remark, st.sampled_from("abc"), REWARDS, st.integers(0, 60))))
def test_one_principal_is_one_voice_and_a_voice_that_has_spoken_stays(said: list[Remark]) -> None:
    """However much is said, each principal counts once; what comes later changes nothing of it."""
    before = voices(said, size=2, wait_ms=10, now_ms=60)
    assert len(before) <= len({remark.principal for remark in said})
    later = [*said, *(Remark(name, 1.0, 61) for name in "abc")]
    after = voices(later, size=2, wait_ms=10, now_ms=200)
    assert after[: len(before)] == before


@given(st.integers(0, 400), st.floats(0.02, 0.9))
def test_a_share_that_is_kept_is_no_mismatch(sessions: int, share: float) -> None:
    """The expected number of sessions never raises an alarm; none of a thousand does."""
    assert not mismatched(round(sessions * share), sessions, share)
    assert mismatched(0, 1000, share)
    assert mismatched(1, 1, 0.0)
