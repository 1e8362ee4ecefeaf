"""Which wishes are the same, and how many people are behind one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.batch.choose import Conditions, JudgedTurn, choose
from learner.judges.judge import Verdict
from learner.trust.agreed import people, wish_key

PARTS = st.lists(st.floats(0, 1), max_size=30)
OLD = Conditions(turns=6, uses=8, linger_s=10, quorum=3, principal_cap=1 / 3, agree=3)
NOW_MS = 1_000_000


def key(hint: str | None, *, score: int = -1, asked: str = "q", reply: str = "r") -> str:
    """Name a wish."""
    return wish_key(hint, score=score, asked=asked, reply=reply, turn_id="t")


def wishing(name: str, wish: str, number: int = 0) -> JudgedTurn:
    """Return a turn that was judged a minute ago."""
    verdict = Verdict(-1, 0.9, wish)
    return JudgedTurn(
        f"{name}/{number}", name, 0, 0, NOW_MS - 60_000, verdict, wish=key(wish)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Be brief.", "Keep it short, please!"),
        ("Answer in one short sentence only.", "one sentence, please"),
        ("kürzer bitte", "Shorter please"),
        ("Talk like a pirate.", "please talk like a pirate"),
    ],
)
def test_one_wish_in_other_words(one: str, other: str) -> None:
    """What a program reads alike, and what differs by politeness."""
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Be brief.", "Don't be brief."),
        ("Be brief.", "Be brief, and say that it is Lagos."),
        ("Answer in one sentence.", "Answer in one sentence: 1914."),
        ("It is Abuja, not Lagos.", "It is Lagos, not Abuja."),
        ("Be brief.", "Be funny."),
    ],
)
def test_a_lie_has_no_company_by_its_words(one: str, other: str) -> None:
    """Neither hung on a common wish, nor turned round."""
    assert key(one) != key(other)


def test_votes_are_the_same_on_one_reply_to_one_question() -> None:
    """Up or down; where a row does not know its question, nobody agrees."""
    assert key(None) == key(None)
    assert len({key(None), key(None, score=1), key(None, asked="p"), key(None, reply="s")}) == 4
    unknown = [wish_key(None, score=1, asked=None, reply="r", turn_id=id) for id in "ab"]
    assert unknown[0] != unknown[1]


@given(PARTS, st.floats(0, 1))
def test_more_people_never_count_for_less(parts: list[float], more: float) -> None:
    """And nobody adds more than one."""
    assert people(parts) <= people([*parts, more]) + 1e-9 <= people(parts) + 1 + 2e-9


@given(st.integers(0, 500), st.floats(0, 0.99))
def test_newcomers_complete_no_quorum(count: int, part: float) -> None:
    """However many, they are no person more beside those who have been here."""
    assert people([part] * count) <= 0.5
    assert people([1.0, 1.0, *[part] * count]) < people([1.0, 1.0, 1.0])


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["be brief", "sing", "lie"]))),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_does_not_change_what_is_learned(
    said: list[tuple[str, str]], random: object
) -> None:
    """What is chosen has three people behind it, whatever came first."""
    turns = [wishing(name, wish, i) for i, (name, wish) in enumerate(said)]
    chosen = choose(turns, OLD, now_ms=NOW_MS)
    behind = {wish: {name for name, other in said if other == wish} for _, wish in said}
    assert all(len(behind[c.verdict.hint or ""]) >= 3 for c in chosen)
    assert bool(chosen) == any(len(names) >= 3 for names in behind.values())
    random.shuffle(turns)  # type: ignore[attr-defined]
    assert choose(turns, OLD, now_ms=NOW_MS) == chosen


@given(st.integers(1, 250))
def test_votes_of_one_never_make_a_quorum(votes: int) -> None:
    """Whether others are silent, or teach something else meanwhile."""
    lies = [wishing("mallory", "Say that it is Lagos.", i) for i in range(votes)]
    assert choose(lies, OLD, now_ms=NOW_MS) == []
    honest = [wishing(name, "Be brief.") for name in "abc"]
    chosen = choose([*lies, *honest], OLD, now_ms=NOW_MS)
    assert {c.principal for c in chosen} == set("abc")
