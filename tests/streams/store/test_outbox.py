"""What committed is published, in order; what did not, is not."""

from pathlib import Path

import pytest
from sqlmodel import select

from streams.errors import LeaseLostError, LogUnavailableError
from streams.log.contract import Log, Outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Mask, Record, decode, record_id
from streams.store import outbox
from streams.store.lease import Lease
from streams.store.store import Store
from streams.store.tables import OutboxRow


def record(number: int) -> Mask:
    return Mask(base=f"base {number}", neurons={}, groups={})


def published(log: Log) -> list[Record]:
    subscription = log.subscribe(["recipes"], group=None, positions=lambda _: {})
    entries = subscription.poll(wait_s=0, max_records=10_000)
    subscription.close()
    assert [entry.id for entry in entries] == [record_id(decode(e.value)) for e in entries]
    return [decode(entry.value) for entry in entries]


@pytest.fixture
def embedded(tmp_path: Path) -> SqliteLog:
    return SqliteLog(tmp_path / "log.db")


def test_records_are_published_in_the_order_of_the_calls(store: Store, embedded: Log) -> None:
    """Over transactions and over batches."""
    count = outbox.BATCH + 10
    for start in range(0, count, 100):
        with store.transaction() as session:
            for number in range(start, min(start + 100, count)):
                outbox.put(session, "recipes", "main", record(number), line="main")
    assert outbox.publish(store, embedded, "main") == count
    assert outbox.publish(store, embedded, "main") == 0
    assert published(embedded) == [record(number) for number in range(count)]
    embedded.close()


def test_what_was_rolled_back_is_not_published(store: Store, embedded: Log) -> None:
    """A record tells of nothing that did not happen."""

    def fail() -> None:
        with store.transaction() as session:
            outbox.put(session, "recipes", "main", record(0), line="main")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert outbox.publish(store, embedded, "main") == 0
    embedded.close()


class AwayLog:
    """A log that cannot be reached, or that dies after it has appended."""

    def __init__(self, log: Log, *, appends: bool) -> None:
        self._log, self._appends = log, appends

    def append(self, records: list[Outgoing]) -> None:
        if self._appends:
            self._log.append(records)
        raise LogUnavailableError("away")


@pytest.mark.parametrize("appends", [False, True])
def test_a_record_waits_until_the_log_has_it(store: Store, embedded: Log, appends: bool) -> None:
    """With the log away nothing is lost; after a crash behind the append, it is there twice."""
    with store.transaction() as session:
        outbox.put(session, "recipes", "main", record(0), line="main")
    with pytest.raises(LogUnavailableError):
        outbox.publish(store, AwayLog(embedded, appends=appends), "main")  # type: ignore[arg-type]
    assert outbox.publish(store, embedded, "main") == 1
    assert published(embedded) == [record(0)] * (2 if appends else 1)
    embedded.close()


def test_a_number_is_never_used_twice(store: Store, embedded: Log) -> None:
    """A row is not taken for one that was published before, by whoever still holds its number."""
    numbers: list[int | None] = []
    for number in range(3):
        with store.transaction() as session:
            outbox.put(session, "recipes", "main", record(number), line="main")
        with store.reading() as session:
            numbers += session.exec(select(OutboxRow.number)).all()
        assert outbox.publish(store, embedded, "main") == 1
    assert len(set(numbers)) == 3
    embedded.close()


def test_a_line_publishes_its_own(store: Store, embedded: Log) -> None:
    """What another line's learner owes waits for that learner."""
    with store.transaction() as session:
        for number, line in enumerate(("main", "other", "main")):
            outbox.put(session, "recipes", line, record(number), line=line)
    assert outbox.publish(store, embedded, "main") == 2
    assert published(embedded) == [record(0), record(2)]
    assert outbox.publish(store, embedded, "other") == 1
    assert published(embedded)[-1] == record(1)
    embedded.close()


def test_a_holder_that_was_replaced_appends_nothing(store: Store, embedded: Log) -> None:
    """What it owed is its successor's to append, and is not said again behind what that one says.

    It is noticed between two batches, too.
    """
    old, new = (Lease(store, "learner/main", holder=name, duration_s=0) for name in ("a", "b"))
    assert old.acquire()
    with store.transaction() as session:
        for number in range(outbox.BATCH + 1):
            outbox.put(session, "recipes", "main", record(number), line="main")

    def replace(_: Outgoing) -> None:
        assert new.epoch is not None or new.acquire()

    with pytest.raises(LeaseLostError):
        outbox.publish(store, embedded, "main", prove=old.check, told=replace)
    with pytest.raises(LeaseLostError):
        outbox.publish(store, embedded, "main", prove=old.check)
    assert published(embedded) == [record(number) for number in range(outbox.BATCH)]
    assert outbox.publish(store, embedded, "main", prove=new.check) == 1
    embedded.close()
