"""The history checker itself: it passes what is right and finds each kind of wrong."""

from hypothesis import given
from hypothesis import strategies as st

from tests.flow.history import Appended, Applied, violations

keys = st.sampled_from(["a", "b", "c"])


def appended(pairs: list[tuple[str, int]]) -> list[Appended]:
    return [Appended(key, f"{key}-{number}", "acknowledged") for key, number in pairs]


histories = st.lists(keys, max_size=12).map(
    lambda drawn: appended([(key, number) for number, key in enumerate(drawn)])
)


@given(histories, st.randoms(use_true_random=False))
def test_any_run_that_keeps_the_order_of_each_key_is_right(
    history: list[Appended], random: st.DrawFn
) -> None:
    """Keys may overtake each other as they like."""
    waiting = {key: [a for a in history if a.key == key] for key in ("a", "b", "c")}
    applied = []
    while left := [key for key, records in waiting.items() if records]:
        taken = waiting[random.choice(left)].pop(0)  # type: ignore[attr-defined]
        applied.append(Applied(taken.key, taken.id))
    assert violations(history, applied) == []


@given(histories.filter(bool), st.data())
def test_a_lost_a_doubled_and_an_invented_record_are_found(
    history: list[Appended], data: st.DataObject
) -> None:
    """Each by its id."""
    applied = [Applied(a.key, a.id) for a in history]
    at = data.draw(st.integers(0, len(applied) - 1))
    one = applied[at]
    assert f"lost: {one.id}" in violations(history, applied[:at] + applied[at + 1 :])
    assert f"twice: {one.id} (2 times)" in violations(history, [*applied, one])
    assert "out of nothing: x" in violations(history, [*applied, Applied("a", "x")])


def test_two_records_of_a_key_in_the_wrong_order_are_found() -> None:
    """Of one key only; of two keys there is no order."""
    history = appended([("a", 1), ("b", 2), ("a", 3)])
    wrong = [Applied("a", "a-3"), Applied("b", "b-2"), Applied("a", "a-1")]
    assert violations(history, wrong) == ["out of order: a-1 after a-3 of key a"]


def test_a_record_of_unknown_outcome_may_be_there_or_not() -> None:
    """The process that appended it died: both are right."""
    history = [Appended("a", "a-1", "unknown")]
    assert violations(history, []) == []
    assert violations(history, [Applied("a", "a-1")]) == []
