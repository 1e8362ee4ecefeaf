"""What committed is published, in order; what did not, is not."""

from pathlib import Path

import pytest
from sqlmodel import select

from streams.errors import LeaseLostError, LogUnavailableError, RecordTooLargeError
from streams.log import dead_letters
from streams.log.contract import Entry, Log, Outgoing, Partition, Topic
from streams.log.sqlite import SqliteLog
from streams.records import Judgement, Mask, Record, decode, record_id
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


def entries(log: Log, topic: Topic) -> list[Entry]:
    subscription = log.subscribe([topic], group=None, positions=lambda _: {})
    found = subscription.poll(wait_s=0)
    subscription.close()
    return found


def judgement(number: int, *, evidence: str = "") -> Judgement:
    return Judgement(
        id=f"j{number}", turn_id="t", line="main", version="v", principal="ann", source="explicit",
        score=1, confidence=1, evidence=evidence, created_ms=5,
    )  # fmt: skip


def test_a_judgement_that_no_log_takes_holds_up_nothing(store: Store, tmp_path: Path) -> None:
    """It goes to the dead letters, with the cause and whose it was; what is behind it is sent."""
    log = SqliteLog(tmp_path / "log.db", max_record_bytes=2**12)
    with store.transaction() as session:
        for number, evidence in enumerate(("", "x" * 2**13, "")):
            each = judgement(number, evidence=evidence)
            outbox.put(session, "judgements", "s", each, line="main")
    assert outbox.publish(store, log, "main", max_record_bytes=2**12) == 3
    assert [entry.id for entry in entries(log, "judgements")] == ["j0", "j2"]
    [found] = dead_letters.read_all(log)
    assert (found.letter.record_id, found.letter.speaker) == ("j1", "ann")
    assert "over the log's limit" in found.letter.cause
    log.close()


def test_a_letter_that_no_log_takes_is_cut(store: Store, tmp_path: Path) -> None:
    """An older build owed it, or the log took more then: it is the same letter."""
    log = SqliteLog(tmp_path / "log.db", max_record_bytes=2**12)
    came = Entry(Partition("turns", 1), 7, key="s", id="t", value=b"x" * 2**13, time_ms=5)
    letter = dead_letters.of_entry(came, "not a record", max_bytes=2**20, now_ms=10)
    with store.transaction() as session:
        outbox.put(session, dead_letters.TOPIC, letter.id, letter, line="main")
    assert outbox.publish(store, log, "main", max_record_bytes=2**12) == 1
    [found] = dead_letters.read_all(log)
    assert (found.letter.id, found.letter.cause) == (letter.id, "not a record")
    log.close()


def test_a_recipe_that_no_log_takes_is_said(store: Store, tmp_path: Path) -> None:
    """Whoever follows the line could not go on without it: it waits until the log takes more."""
    log = SqliteLog(tmp_path / "log.db", max_record_bytes=2**12)
    large = Mask(base="b" * 2**13, neurons={}, groups={})
    with store.transaction() as session:
        outbox.put(session, "judgements", "s", judgement(1), line="main")
        outbox.put(session, "recipes", "main", large, line="main")
    for _ in range(2):
        with pytest.raises(RecordTooLargeError):
            outbox.publish(store, log, "main", max_record_bytes=2**12)
    assert entries(log, "judgements") == entries(log, "recipes") == []
    log.close()


def test_what_only_the_broker_refuses_holds_up_nothing(store: Store, tmp_path: Path) -> None:
    """Its topics take less than our settings say: letters are cut, until they are taken."""
    log = SqliteLog(tmp_path / "log.db", max_record_bytes=2**12)
    came = Entry(Partition("turns", 1), 7, key="s", id="t", value=b"x" * 2**14, time_ms=5)
    letter = dead_letters.of_entry(came, "not a record", max_bytes=2**20, now_ms=10)
    with store.transaction() as session:
        for number, evidence in enumerate(("", "x" * 2**13, "")):
            each = judgement(number, evidence=evidence)
            outbox.put(session, "judgements", "s", each, line="main")
        outbox.put(session, dead_letters.TOPIC, letter.id, letter, line="main")
    assert outbox.publish(store, log, "main", max_record_bytes=2**20) == 4
    assert [entry.id for entry in entries(log, "judgements")] == ["j0", "j2"]
    of_judgement, same = dead_letters.read_all(log)
    assert (of_judgement.letter.record_id, same.letter.id) == ("j1", letter.id)
    log.close()


def test_a_holder_that_is_replaced_while_a_broker_refuses_appends_no_more(
    store: Store, tmp_path: Path
) -> None:
    """One append at a time may take long; what is behind it is the successor's to say."""
    log = SqliteLog(tmp_path / "log.db", max_record_bytes=2**12)
    with store.transaction() as session:
        outbox.put(session, "judgements", "s", judgement(0, evidence="x" * 2**13), line="main")
        outbox.put(session, "recipes", "main", record(1), line="main")

    def lost_with_the_first(_: object) -> None:
        if dead_letters.read_all(log):
            raise LeaseLostError("another holds it")

    with pytest.raises(LeaseLostError):
        outbox.publish(store, log, "main", prove=lost_with_the_first, max_record_bytes=2**20)
    assert published(log) == []
    log.close()


def test_a_recipe_that_only_the_broker_refuses_is_said(store: Store, tmp_path: Path) -> None:
    """It waits until the topics take more, with all that is behind it."""
    path, large = tmp_path / "log.db", Mask(base="b" * 2**13, neurons={}, groups={})
    with store.transaction() as session:
        for each in (judgement(0), large, judgement(1)):
            topic: Topic = "recipes" if each is large else "judgements"
            outbox.put(session, topic, "main", each, line="main")
    log = SqliteLog(path, max_record_bytes=2**12)
    with pytest.raises(RecordTooLargeError):
        outbox.publish(store, log, "main", max_record_bytes=2**20)
    assert [entry.id for entry in entries(log, "judgements")] == ["j0"]
    log.close()
    log = SqliteLog(path, max_record_bytes=2**20)
    assert outbox.publish(store, log, "main", max_record_bytes=2**20) == 3
    assert [entry.id for entry in entries(log, "judgements")] == ["j0", "j0", "j1"]
    assert published(log) == [large]
    log.close()


def test_a_key_that_no_log_takes_holds_up_nothing(store: Store, embedded: Log) -> None:
    """A session that somebody else named with half a surrogate pair is escaped."""
    odd = judgement(1).model_copy(update={"id": "j\ud800"})
    with store.transaction() as session:
        outbox.put(session, "judgements", "s\ud800", odd, line="main")
    assert outbox.publish(store, embedded, "main") == 1
    [entry] = entries(embedded, "judgements")
    assert (entry.key, entry.id, decode(entry.value)) == ("s\x10d800", "j\x10d800", odd)
    embedded.close()
