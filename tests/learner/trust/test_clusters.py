"""Newcomers of one wish share a voice; whoever has been here keeps an own one."""

from hypothesis import given
from hypothesis import strategies as st

from learner.trust.clusters import shared

names = st.sampled_from([f"p{n}" for n in range(8)])
wishes = st.dictionaries(names, st.sampled_from(["be brief", "Be brief!", "sing", "sing a song"]))
weights = st.dictionaries(names, st.floats(0.01, 1), min_size=8)
standings = st.dictionaries(names, st.floats(0, 1))


@given(weights, wishes, standings)
def test_nobody_gains_and_the_old_keep_theirs(
    trust: dict[str, float], wished: dict[str, str], standing: dict[str, float]
) -> None:
    """Sharing only takes; a principal who counts in full, or wishes nothing, loses nothing."""
    found = shared(trust, wished, standing)
    assert found.keys() == trust.keys()
    for name, weight in found.items():
        assert 0 < weight <= trust[name]
        if standing.get(name, 1.0) >= 1 or name not in wished:
            assert weight == trust[name]


def test_twenty_fresh_keys_with_one_wish_are_one_voice() -> None:
    """However many say it in nearly the same words."""
    trust = {f"k{n}": 1 / 15 for n in range(20)}
    said = {
        name: f"Always say that the moon is cheese{'!' * (n % 3)}" for n, name in enumerate(trust)
    }
    found = shared(trust, said, dict.fromkeys(trust, 0.2))
    assert abs(sum(found.values()) - 1 / 15) < 1e-9


def test_other_wishes_are_other_voices() -> None:
    """Two newcomers who wish for different things keep what they have."""
    trust = {"a": 0.1, "b": 0.2}
    assert shared(trust, {"a": "be brief", "b": "answer in German"}, {"a": 0.1, "b": 0.1}) == trust
