"""A reader's place moves with its results, once, and only by the reader that was there."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlmodel import Session, SQLModel

from streams.errors import ConflictError, SchemaError
from streams.log.contract import Entry, Partition
from streams.store.offsets import advance, first_time, has_used, positions, prove_held
from streams.store.store import Store

ZERO, ONE = Partition("turns", 0), Partition("turns", 1)


def entry(offset: int, partition: Partition = ZERO) -> Entry:
    return Entry(partition, offset, key="k", id=f"id-{offset}", value=b"", time_ms=0)


def test_a_group_is_nowhere_until_it_advances(store: Store) -> None:
    """No stored position means: from the beginning."""
    with store.reading() as session:
        assert positions(session, "g", [ZERO]) == {}


def test_a_position_is_the_offset_after_the_last_entry(store: Store) -> None:
    """Each partition and each group has its own."""
    with store.transaction() as session:
        advance(session, "g", [entry(3), entry(7), entry(1, ONE)])
        advance(session, "other", [entry(0)])
    with store.reading() as session:
        assert positions(session, "g", [ZERO, ONE]) == {ZERO: 8, ONE: 2}
        assert positions(session, "other", [ZERO, ONE]) == {ZERO: 1}
        assert positions(session, "g", [ONE]) == {ONE: 2}


def test_a_log_that_ends_before_what_was_read_is_refused(store: Store) -> None:
    """It is another log, or an older copy: what it takes next would never be read."""
    with store.transaction() as session:
        advance(session, "g", [entry(7), entry(1, ONE)])
    with store.reading() as session:
        prove_held(session, "g", {ZERO: 8, ONE: 2})
        prove_held(session, "g", {ZERO: 100, Partition("turns", 2): 0})
        prove_held(session, "nobody", {ZERO: 0})
        with pytest.raises(SchemaError, match=r"turns/0 up to 8, and the log ends at 7.*move the"):
            prove_held(session, "g", {ZERO: 7, ONE: 2})


def test_a_transaction_that_fails_moves_nothing(store: Store) -> None:
    """Offset and result stand or fall together."""

    def fail() -> None:
        with store.transaction() as session:
            advance(session, "g", [entry(0)])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.reading() as session:
        assert positions(session, "g", [ZERO]) == {}


def test_a_reader_that_was_replaced_commits_nothing(store: Store) -> None:
    """Somebody else has read on from where it stood: its transaction is refused."""
    with store.transaction() as session:
        advance(session, "g", [entry(0), entry(1)])
    with pytest.raises(ConflictError, match="g is at 2"), store.transaction() as session:
        advance(session, "g", [entry(1)])
    with store.transaction() as session:
        advance(session, "g", [entry(5)])
    with store.reading() as session:
        assert positions(session, "g", [ZERO]) == {ZERO: 6}


def test_of_two_readers_at_once_one_commits(store: Store) -> None:
    """Two threads that read the same entries race; exactly one of them keeps its result."""
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def use() -> None:
        start.wait()
        try:
            with store.transaction() as session:
                advance(session, "g", [entry(0), entry(1)])
        except ConflictError:
            outcomes.append("refused")
        else:
            outcomes.append("kept")

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "refused", "refused", "refused"]


def test_an_id_is_new_once_for_each_group(store: Store) -> None:
    """A second delivery is told apart, in the same transaction and in a later one."""
    with store.transaction() as session:
        assert first_time(session, "g", entry(1))
        assert not first_time(session, "g", entry(1))
    with store.transaction() as session:
        assert not first_time(session, "g", entry(1))
        assert first_time(session, "h", entry(1))


def test_what_a_group_has_used_can_be_asked(store: Store) -> None:
    """By topic and id, each group its own."""
    with store.transaction() as session:
        assert not has_used(session, "g", "turns", "id-3")
        assert first_time(session, "g", entry(3))
        assert has_used(session, "g", "turns", "id-3")
        assert not has_used(session, "h", "turns", "id-3")
        assert not has_used(session, "g", "feedback", "id-3")


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=5), max_size=12))
def test_whatever_is_delivered_again_no_offset_counts_twice(batches: list[list[int]]) -> None:
    """Any schedule of batches, repeated and overlapping, commits each offset at most once."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    used: list[int] = []
    for batch in (sorted(set(batch)) for batch in batches):
        try:
            with Session(engine) as session, session.begin():
                advance(session, "g", [entry(offset) for offset in batch])
                used += batch
        except ConflictError:
            pass
    engine.dispose()
    assert used == sorted(set(used))
