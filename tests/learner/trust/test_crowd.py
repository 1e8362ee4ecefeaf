"""What is asked of people by default: one at home teaches, one of many does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.trust.crowd import Crowd, age_weight, quorum_of
from learner.trust.shares import Voice, weights

DAYS = st.floats(0, 400)


@pytest.mark.parametrize(("active", "quorum"), [(0, 1), (1, 1), (2, 1), (5, 2), (20, 3), (100, 3)])
def test_the_quorum_follows_the_people(active: int, quorum: int) -> None:
    """One alone at home is enough; of many, three are."""
    assert quorum_of(active, turns=6) == quorum
    assert quorum_of(active, turns=1) == 1


@given(DAYS, DAYS)
def test_age_never_counts_against_anybody(days: float, more: float) -> None:
    """A voice grows with its days and stays between nothing and one."""
    assert 0 < age_weight(days) <= age_weight(days + more) < 1


@given(st.integers(1, 20), st.floats(28, 400))
def test_twenty_fresh_keys_weigh_less_than_five_old_ones(turns: int, old: float) -> None:
    """In the weight of a generation, however many turns each fresh key brings."""
    days = {f"new{i}": 0.0 for i in range(20)} | {f"old{i}": old for i in range(5)}
    voices = [Voice(f"{name}/{i}", name, 0.9) for name in days for i in range(turns)]
    found = weights(voices, cap=1 / 3, trust=Crowd(9, days, old).weights)
    assert sum(w for turn, w in found.items() if turn.startswith("new")) < 0.5


@given(st.integers(1, 6), st.floats(28, 400))
def test_fresh_keys_make_no_quorum_beside_old_ones(fresh: int, oldest: float) -> None:
    """As many as a generation of six turns holds stand for fewer than two people."""
    crowd = Crowd(9, {f"new{i}": 0.0 for i in range(fresh)}, oldest)
    assert sum(crowd.standing.values()) < 2


@given(st.integers(1, 9), DAYS)
def test_where_all_came_together_all_count_in_full(count: int, days: float) -> None:
    """A service of today learns today."""
    crowd = Crowd(count, {f"p{i}": days for i in range(count)}, days)
    assert set(crowd.standing.values()) == {1.0}


@given(st.lists(st.floats(7, 400), min_size=3, max_size=3))
def test_three_who_have_been_here_a_week_are_a_quorum(days: list[float]) -> None:
    """However old the others are: an honest minority is heard."""
    crowd = Crowd(9, {f"p{i}": each for i, each in enumerate(days)}, 400.0)
    assert sum(crowd.standing.values()) == pytest.approx(3, abs=0.02)


@given(st.integers(1, 200))
def test_a_flood_is_one_voice(flood: int) -> None:
    """However many turns one principal brings, it weighs what others of its age do."""
    voices = [Voice(f"m{i}", "mallory", 1.0) for i in range(flood)]
    voices += [Voice("a", "alice", 1.0), Voice("b", "bob", 1.0)]
    trust = dict.fromkeys(("mallory", "alice", "bob"), 0.5)
    found = weights(voices, cap=1.0, trust=trust)
    assert sum(w for turn, w in found.items() if turn.startswith("m")) == pytest.approx(1 / 3)
