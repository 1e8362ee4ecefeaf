"""A reader's place moves with its results, once, and only by the reader that was there."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlmodel import Session, SQLModel

from streams.errors import ConflictError, SchemaError
from streams.log.contract import Entry, Outgoing, Partition, entries_now
from streams.log.sqlite import SqliteLog
from streams.store.offsets import (
    advance,
    first_time,
    has_used,
    marks,
    pass_over,
    positions,
    prove_held,
)
from streams.store.store import Store
from streams.store.tables import OffsetRow, SeenRow

OpenLog = Callable[[str], SqliteLog]
ZERO, ONE = Partition("turns", 0), Partition("turns", 1)


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[OpenLog]:
    """Open logs by name."""
    logs: list[SqliteLog] = []

    def opened(name: str) -> SqliteLog:
        logs.append(SqliteLog(tmp_path / f"{name}.db"))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


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


def said(log: SqliteLog, *ids: str) -> None:
    log.append([Outgoing("turns", "k", id, b"words") for id in ids])


def read_of(store: Store, log: SqliteLog) -> None:
    """Read the whole log for the group g."""
    with store.transaction() as session:
        advance(session, "g", entries_now(log, "turns"))


def prove(store: Store, log: SqliteLog) -> None:
    with store.reading() as session:
        read = marks(session, "g")
    prove_held(read, log)


def test_a_log_that_was_read_is_proved_also_when_it_grew_or_lost_what_is_old(
    store: Store, open_log: OpenLog
) -> None:
    """Also one that nobody has read, and one of which an older build noted no record."""
    log = open_log("one")
    prove(store, log)
    said(log, "a", "b", "c")
    read_of(store, log)
    prove(store, log)
    said(log, "d", "e")
    prove(store, log)
    log.prune(ZERO, before_ms=2**62, below=3, most=9)
    prove(store, log)
    log.prune(ZERO, before_ms=2**62, below=5, most=9)
    prove(store, log)
    with store.transaction() as session:
        session.get_one(OffsetRow, ("g", "turns", 0)).last_id = None
    other = open_log("other")
    said(other, "v", "w", "x", "y")
    prove(store, other)


def test_a_log_that_ends_before_what_was_read_is_refused(store: Store, open_log: OpenLog) -> None:
    """It is another log, or an older copy: what it takes next would never be read."""
    log, other = open_log("one"), open_log("other")
    said(log, "a", "b", "c")
    read_of(store, log)
    said(other, "a", "b")
    with pytest.raises(SchemaError, match=r"turns/0 was read up to 3, and the log ends at 2.*move"):
        prove(store, other)


@pytest.mark.parametrize("num_more", [0, 1, 300])
def test_another_log_that_has_grown_past_what_was_read_is_refused(
    store: Store, open_log: OpenLog, num_more: int
) -> None:
    """What it took before that place would never be read, and nobody would know."""
    log, other = open_log("one"), open_log("other")
    said(log, "a", "b", "c")
    read_of(store, log)
    said(other, "a", "b", "x", *(f"more {n}" for n in range(num_more)))
    with pytest.raises(SchemaError, match=r"turns/0 had c at 2, and the log has x there: it is"):
        prove(store, other)


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


def test_a_group_passes_over_what_it_sends_itself(store: Store) -> None:
    """As often as it sends it, and for as long as what it has used last is remembered."""
    with store.transaction() as session:
        assert first_time(session, "g", replace(entry(1), time_ms=7))
        for _ in range(2):
            pass_over(session, "g", "turns", "id-2")
        assert not first_time(session, "g", entry(2))
        assert first_time(session, "h", entry(2))
        assert session.get_one(SeenRow, ("g", "turns/id-2")).time_ms == 7


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
