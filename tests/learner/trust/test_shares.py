"""What one principal can do to a generation."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.trust.shares import Voice, capped_shares, principals_needed, weights

TOTALS = st.dictionaries(st.text("abcdef", min_size=1), st.floats(0.01, 100), min_size=1)
CAPS = st.floats(0.05, 1)


@given(TOTALS, CAPS)
def test_nobody_exceeds_the_cap(totals: dict[str, float], cap: float) -> None:
    """No share is over the cap, and together they are never more than 1."""
    shares = capped_shares(totals, cap=cap)
    assert max(shares.values()) <= cap + 1e-6
    assert sum(shares.values()) <= 1 + 1e-6


@given(TOTALS, CAPS)
def test_enough_principals_share_out_everything(totals: dict[str, float], cap: float) -> None:
    """With as many principals as the cap needs, the shares sum to 1."""
    if len(totals) >= principals_needed(1, cap):
        assert sum(capped_shares(totals, cap=cap).values()) == pytest.approx(1)


@given(TOTALS, CAPS)
def test_who_brings_more_never_counts_less(totals: dict[str, float], cap: float) -> None:
    """The cap keeps the order of the principals."""
    shares = capped_shares(totals, cap=cap)
    order = sorted(totals, key=lambda name: totals[name])
    for less, more in itertools.pairwise(order):
        assert shares[less] <= shares[more] + 1e-6


@given(st.integers(1, 200))
def test_a_flood_weighs_no_more_than_the_cap(flood: int) -> None:
    """However many turns one principal brings, the others keep their share."""
    voices = [Voice(f"m{i}", "mallory", 1.0) for i in range(flood)]
    voices += [Voice("a", "alice", 1.0), Voice("b", "bob", 1.0)]
    found = weights(voices, cap=0.4)
    assert sum(w for turn, w in found.items() if turn.startswith("m")) <= 0.4 + 1e-6
    assert found["a"] == found["b"] >= 0.3 - 1e-6


def test_weights_follow_confidence_within_a_principal() -> None:
    """A surer verdict of the same person counts more; without confidence, nothing."""
    found = weights([Voice("a", "p", 0.9), Voice("b", "p", 0.3), Voice("c", "q", 0.0)], cap=1.0)
    assert found == {"a": pytest.approx(0.75), "b": pytest.approx(0.25)}
