"""Which turns score a generation, and when one is due."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from learner.batch.choose import Conditions, JudgedTurn, choose, heard
from learner.judges.judge import Verdict

CONDITIONS = Conditions(turns=3, uses=4, linger_s=10, quorum=1, principal_cap=1.0)
BAD = Verdict(-1, 0.9, "be brief")
WEAK = Verdict(-1, 0.15, None)
NOTHING = Verdict(0, 0.2, None)
NOW = 1_000_000


def candidate(
    name: str, *, principal: str = "p", uses: int = 0, age_s: float = 1, verdict: Verdict = BAD
) -> JudgedTurn:
    """Return a turn judged `age_s` ago."""
    judged_ms = NOW - int(age_s * 1000)
    return JudgedTurn(name, principal, judged_ms - 500, uses, judged_ms, verdict)


def names(candidates: list[JudgedTurn], conditions: Conditions = CONDITIONS) -> list[str]:
    """Choose now, and give the turns' names."""
    return [c.turn_id for c in choose(candidates, conditions, now_ms=NOW)]


def test_enough_turns_make_a_generation_at_once() -> None:
    """As soon as a batch is full, nobody waits."""
    assert names([candidate("a"), candidate("b"), candidate("c")]) == ["a", "b", "c"]


def test_a_lone_turn_waits_for_company_and_then_learns_alone() -> None:
    """One corrected chat alone leads to one generation, after it lingered."""
    assert names([candidate("a", age_s=9)]) == []
    assert names([candidate("a", age_s=11)]) == ["a"]


def test_a_used_turn_alone_leads_to_no_other_generation() -> None:
    """What was used once starts nothing by itself again."""
    assert names([candidate("a", uses=1, age_s=60)]) == []


def test_a_used_turn_that_is_judged_otherwise_is_fresh() -> None:
    """It lingers and starts a generation, and goes before those that are only used."""
    renewed = dataclasses.replace(candidate("z", uses=3, age_s=11), renewed=True)
    used = [candidate(f"u{i}", uses=1, age_s=0) for i in range(3)]
    assert names([renewed]) == ["z"]
    assert "z" in names([*used, renewed])


def test_an_old_turn_helps_a_fresh_one() -> None:
    """When a fresh turn lingered, used ones with uses left join it."""
    batch = [candidate("old", uses=2, age_s=60), candidate("new", age_s=11)]
    assert sorted(names(batch)) == ["new", "old"]


def test_turns_without_uses_left_are_left_alone() -> None:
    """Each turn scores at most so many generations."""
    assert names([candidate(x, uses=4) for x in "abc"]) == []


def test_what_teaches_nothing_does_not_count() -> None:
    """Turns of score 0 without a hint neither start nor join a generation."""
    assert names([candidate(x, verdict=NOTHING, age_s=60) for x in "abcd"]) == []


def test_weak_evidence_starts_nothing_but_joins() -> None:
    """Weak verdicts alone lead to no generation; in company they count."""
    assert names([candidate(x, verdict=WEAK, age_s=60) for x in "abcd"]) == []
    assert "weak" in names([candidate("weak", verdict=WEAK), candidate("sure", age_s=11)])


def test_weak_evidence_is_never_in_the_way() -> None:
    """However many weak verdicts wait, and however fresh, strong ones take their places."""
    weak = [candidate(f"w{i}", verdict=WEAK, age_s=0) for i in range(20)]
    assert "sure" in names([*weak, candidate("sure", age_s=11)])
    used = [candidate(f"s{i}", uses=3, age_s=60) for i in range(3)]
    assert names([*weak, *used]) == ["s0", "s1", "s2"]


def test_the_freshest_go_first() -> None:
    """What somebody said last is used before what they said long ago."""
    old = [candidate(f"o{i}", age_s=500 + i) for i in range(9)]
    assert "last" in names([*old, candidate("last", age_s=1)])


def test_a_clock_that_runs_ahead_holds_nothing_up() -> None:
    """A verdict from the future has lingered."""
    assert names([candidate("a", age_s=-3600)]) == ["a"]


def test_the_least_used_go_first() -> None:
    """A batch takes fresh turns before used ones."""
    batch = [candidate(f"u{i}", uses=1) for i in range(3)] + [candidate("fresh")]
    assert "fresh" in names(batch)


def test_a_flood_leaves_the_others_their_places() -> None:
    """Principals take turns, so one who brings many takes what is left over."""
    flood = [candidate(f"m{i}", principal="mallory", age_s=99) for i in range(50)]
    batch = [*flood, candidate("a", principal="alice"), candidate("b", principal="bob")]
    assert {"a", "b"} <= set(names(batch))


def test_a_quorum_of_principals_is_needed() -> None:
    """With too few principals nothing is learned, however many turns there are."""
    conditions = dataclasses.replace(CONDITIONS, quorum=2)
    alone = [candidate(x, age_s=60) for x in "abcd"]
    assert names(alone, conditions) == []
    assert names([*alone, candidate("e", principal="q")], conditions) != []
    assert names([*alone, candidate("e", principal="q", verdict=WEAK)], conditions) == []
    assert names(alone, dataclasses.replace(CONDITIONS, principal_cap=0.5)) == []


SETTLED = [f"p{i}" for i in range(4)]
CROWD = dataclasses.replace(
    CONDITIONS, turns=4, quorum=3, principal_cap=0.34,
    standing=dict.fromkeys(SETTLED, 1.0) | {"new": 0.2, "newer": 0.2},
)  # fmt: skip
PLEASED = Verdict(1, 0.9, None)


def test_a_newcomers_complaint_is_in_the_generation_that_waited_for_it() -> None:
    """Those who have been here longer have the other places, with turns that were used."""
    used = [candidate(name, principal=name, uses=1, age_s=60) for name in SETTLED[:3]]
    pleased = candidate("p3", principal="p3", verdict=PLEASED, age_s=60)
    fresh = candidate("a", principal="new", age_s=11)
    for others in ([*used, pleased], [*used, candidate("p3", principal="p3", uses=1, age_s=60)]):
        assert "a" in names([*others, fresh], CROWD)
        assert len(names([*others, fresh], CROWD)) == 4
        older = choose([*others, fresh], CROWD, now_ms=NOW, seats=False)
        assert "a" not in {c.turn_id for c in older}
    praise = [candidate(name, principal=name, verdict=PLEASED, age_s=60) for name in SETTLED]
    assert "a" in names([*praise, fresh], CROWD)


def test_newcomers_however_many_take_one_place_of_others() -> None:
    """And none where somebody who has been here longer is waited for as well."""
    used = [candidate(name, principal=name, uses=1, age_s=60) for name in SETTLED]
    fresh = [candidate(x, principal=x, age_s=11) for x in ("new", "newer")]
    assert len({"new", "newer"}.intersection(names([*used, *fresh], CROWD))) == 1
    waiting = candidate("p0", principal="p0", age_s=12)
    assert names([waiting, *used[1:], *fresh], CROWD) == ["p1", "p2", "p3", "p0"]


def test_nothing_starts_a_generation_that_it_is_not_in() -> None:
    """Where the quorum leaves it no place, it waits until its person has been here longer."""
    asked = dataclasses.replace(CROWD, turns=3)
    praise = [candidate(name, principal=name, verdict=PLEASED, age_s=60) for name in SETTLED[:2]]
    turns = [*praise, candidate("p2", principal="p2", uses=1, age_s=60)]
    fresh = candidate("a", principal="new", age_s=11)
    assert names([*turns, fresh], asked) == []
    assert heard([*turns, fresh], asked) < asked.people
    settled = dataclasses.replace(asked, standing={})
    assert "a" in names([*turns, fresh], settled)
    assert heard([*turns, fresh], settled) == asked.people
    used = [candidate(name, principal=name, uses=1, age_s=60) for name in SETTLED[:3]]
    assert names([*used, fresh], asked) == ["p0", "p1", "p2"]  # enough without it: it stops nobody


def test_a_turn_that_is_waited_for_takes_a_place_of_its_own_principal() -> None:
    """However many somebody brings, they take none of the others'."""
    praise = [candidate(x, principal=x, verdict=PLEASED, age_s=60) for x in "qr"]
    own = [candidate("sooner", age_s=11), candidate("later", age_s=1)]
    assert set(names([*praise, *own])) == {"sooner", "q", "r"}


CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.uuids().map(str),
        principal=st.sampled_from("pqr"),
        uses=st.integers(0, 5),
        age_s=st.integers(-5, 60),
        verdict=st.sampled_from([BAD, WEAK, NOTHING]),
    ),
    max_size=12,
)


@given(CANDIDATES, st.randoms())
def test_the_order_of_arrival_does_not_change_the_batch(
    candidates: list[JudgedTurn], random: object
) -> None:
    """The same turns give the same batch, in the same order."""
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert names(candidates) == names(shuffled)


@given(CANDIDATES)
def test_a_batch_is_never_larger_than_agreed(candidates: list[JudgedTurn]) -> None:
    """No batch exceeds its size, repeats a turn, or uses one up twice."""
    chosen = names(candidates)
    assert len(chosen) == len(set(chosen)) <= CONDITIONS.turns
