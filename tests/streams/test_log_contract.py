"""What every log promises, on the embedded log and on a real Kafka."""

import threading
import time
from collections.abc import Callable, Mapping

import pytest

from streams.errors import RecordTooLargeError
from streams.log import TOPICS, Entry, Log, Outgoing, Partition, Subscription
from streams.open import init_streams
from streams.settings import StreamsSettings

Positions = Callable[[frozenset[Partition]], Mapping[Partition, int]]


def from_the_beginning(_: frozenset[Partition]) -> dict[Partition, int]:
    return {}


def made(number: int, key: str = "a", topic: str = "turns", value: bytes | None = None) -> Outgoing:
    body = value if value is not None else f"value {number}".encode()
    return Outgoing(topic=topic, key=key, id=f"{topic}-{key}-{number}", value=body)  # type: ignore[arg-type]


def read(subscription: Subscription, count: int, *, within_s: float = 30.0) -> list[Entry]:
    """Poll until `count` entries came."""
    entries: list[Entry] = []
    deadline = time.monotonic() + within_s
    while len(entries) < count:
        assert time.monotonic() < deadline, f"{len(entries)} of {count} entries came"
        entries += subscription.poll(wait_s=0.5)
    return entries


def hold(subscription: Subscription, count: int, *, within_s: float = 30.0) -> None:
    """Poll until the reader holds `count` partitions."""
    deadline = time.monotonic() + within_s
    while len(subscription.assigned()) != count:
        assert time.monotonic() < deadline, f"holds {subscription.assigned()}"
        assert subscription.poll(wait_s=0.1) == []


def test_a_record_comes_back_as_it_was_appended(log: Log) -> None:
    """Topic, key, id and value survive; the offset and the time are the log's."""
    value = bytes(range(256))
    log.append([Outgoing(topic="turns", key="schlüssel", id="één", value=value)])
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    [entry] = read(subscription, 1)
    subscription.close()
    assert (entry.partition.topic, entry.key, entry.id, entry.value) == (
        "turns",
        "schlüssel",
        "één",
        value,
    )
    assert abs(entry.time_ms - time.time() * 1000) < 60_000


def test_records_of_one_key_keep_their_order(log: Log) -> None:
    """However appends are cut, each key is read in the order in which it was appended."""
    records = [made(number, key=f"key-{number % 5}") for number in range(200)]
    for start in range(0, 200, 23):
        log.append(records[start : start + 23])
    subscription = log.subscribe(["turns"], group="g", positions=from_the_beginning)
    entries = read(subscription, 200)
    subscription.close()
    for key in {record.key for record in records}:
        assert [e.id for e in entries if e.key == key] == [r.id for r in records if r.key == key]


def test_a_key_stays_in_its_partition_and_offsets_grow(log: Log) -> None:
    """Order per key rests on it."""
    log.append([made(number, key=f"key-{number % 7}") for number in range(50)])
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    entries = read(subscription, 50)
    subscription.close()
    assert all(
        len({e.partition for e in entries if e.key == key}) == 1 for key in {e.key for e in entries}
    )
    for partition in {e.partition for e in entries}:
        offsets = [e.offset for e in entries if e.partition == partition]
        assert offsets == sorted(set(offsets))


def test_a_reader_starts_where_its_positions_say(log: Log) -> None:
    """A stored position is the next offset to read; a partition without one begins at its start."""
    log.append([made(number) for number in range(10)])
    first = log.subscribe(["turns"], group="g", positions=from_the_beginning)
    entries = read(first, 10)
    first.close()
    stored = {entries[0].partition: entries[6].offset}
    second = log.subscribe(["turns"], group="g", positions=lambda _: stored)
    assert [e.id for e in read(second, 4)] == [e.id for e in entries[6:]]
    second.close()


def test_what_was_appended_survives_the_log_object(
    log: Log, open_another: Callable[[], Log]
) -> None:
    """Another process sees what one appended, and one that starts later too."""
    log.append([made(1)])
    other = open_another()
    other.append([made(2)])
    subscription = other.subscribe(["turns"], group=None, positions=from_the_beginning)
    assert [e.id for e in read(subscription, 2)] == ["turns-a-1", "turns-a-2"]
    subscription.close()


def test_a_waiting_reader_is_woken_by_an_append(log: Log, open_another: Callable[[], Log]) -> None:
    """A reader that waits sees a record long before its wait is over."""
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    subscription.poll(wait_s=0.5)
    other = open_another()
    other.append([made(0, topic="feedback")])  # connects, so that the append below is quick
    appender = threading.Timer(0.2, lambda: other.append([made(1)]))
    appender.start()
    began = time.monotonic()
    assert [e.id for e in subscription.poll(wait_s=30)] == ["turns-a-1"]
    assert time.monotonic() - began < 5
    appender.join()
    subscription.close()


def test_an_empty_poll_returns_in_time(log: Log) -> None:
    """Nothing to read is an empty list after wait_s, no error."""
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    subscription.poll(wait_s=0)
    began = time.monotonic()
    assert subscription.poll(wait_s=0.2) == []
    assert time.monotonic() - began < 5
    subscription.close()


def test_a_poll_gives_no_more_than_it_was_asked_for(log: Log) -> None:
    """max_records bounds what a reader must hold in memory."""
    log.append([made(number) for number in range(10)])
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    got: list[Entry] = []
    while len(got) < 10:
        entries = subscription.poll(wait_s=1, max_records=3)
        assert len(entries) <= 3
        got += entries
    assert [e.id for e in got] == [f"turns-a-{number}" for number in range(10)]
    subscription.close()


def test_readers_without_a_group_all_read_everything(log: Log) -> None:
    """Every agent reads all recipes."""
    log.append([made(number, topic="recipes") for number in range(3)])
    readers = [
        log.subscribe(["recipes"], group=None, positions=from_the_beginning) for _ in range(2)
    ]
    assert [[e.id for e in read(reader, 3)] for reader in readers] == [
        [f"recipes-a-{number}" for number in range(3)]
    ] * 2
    for reader in readers:
        reader.close()


def test_a_group_shares_its_partitions(log: Log, open_another: Callable[[], Log]) -> None:
    """Two readers of a group never hold the same partition; when one goes, the other has all."""
    num_partitions = len(log.end_offsets("turns"))
    first = log.subscribe(["turns"], group="g", positions=from_the_beginning)
    hold(first, num_partitions)
    other = open_another()
    second = other.subscribe(["turns"], group="g", positions=from_the_beginning)
    ends_s = time.monotonic() + 60.0  # on Kafka a reader learns of the other by a heartbeat
    while time.monotonic() < ends_s:
        second.poll(wait_s=0.1)
        first.poll(wait_s=0.1)
        both_hold = len(first.assigned()) + len(second.assigned()) == num_partitions
        if both_hold and (num_partitions == 1 or second.assigned()):
            break
    assert not first.assigned() & second.assigned()
    assert first.assigned() | second.assigned() == set(log.end_offsets("turns"))
    first.close()
    hold(second, num_partitions)
    second.close()


def test_the_next_reader_of_a_group_starts_at_the_stored_positions(
    log: Log, open_another: Callable[[], Log]
) -> None:
    """Positions are asked when partitions are assigned, not when the reader subscribes."""
    log.append([made(number) for number in range(6)])
    stored: dict[Partition, int] = {}
    first = log.subscribe(["turns"], group="g", positions=lambda _: stored)
    entries = read(first, 6)
    second = open_another().subscribe(["turns"], group="g", positions=lambda _: stored)
    stored[entries[0].partition] = entries[3].offset + 1
    first.close()
    assert [e.id for e in read(second, 2)] == ["turns-a-4", "turns-a-5"]
    second.close()


def test_a_record_over_the_limit_is_refused_and_nothing_is_appended(log: Log) -> None:
    """The other records of that append are not there either."""
    with pytest.raises(RecordTooLargeError, match="2097152 bytes"):
        log.append([made(1), made(2, value=bytes(2**21))])
    assert sum(log.end_offsets("turns").values()) == 0


def test_a_record_at_the_limit_is_taken(log: Log, log_settings: StreamsSettings) -> None:
    """What settings call the limit fits, several of them in one append too."""
    large = bytes(log_settings.max_record_bytes)
    log.append([made(number, value=large) for number in range(3)])
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    assert [len(e.value) for e in read(subscription, 3)] == [len(large)] * 3
    subscription.close()


def test_end_offsets_count_what_is_there(log: Log) -> None:
    """The end of every partition, empty ones too, so that lag can be told."""
    assert set(log.end_offsets("turns").values()) == {0}
    log.append([made(number, key=str(number)) for number in range(20)])
    assert sum(log.end_offsets("turns").values()) == 20
    assert sum(log.end_offsets("feedback").values()) == 0


def test_an_append_of_nothing_does_nothing(log: Log) -> None:
    """An empty outbox is published without harm."""
    log.append([])
    assert sum(log.end_offsets("turns").values()) == 0


def test_threads_may_append_at_once(log: Log) -> None:
    """Nothing is lost and every thread's records keep their order."""

    def append_all(key: str) -> None:
        for number in range(20):
            log.append([made(number, key=key)])

    threads = [threading.Thread(target=append_all, args=(f"key-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    entries = read(subscription, 80)
    subscription.close()
    for key in range(4):
        ids = [e.id for e in entries if e.key == f"key-{key}"]
        assert ids == [f"turns-key-{key}-{number}" for number in range(20)]


def test_every_topic_is_there_and_initialising_again_changes_nothing(
    log: Log, log_settings: StreamsSettings
) -> None:
    """`quickset streams init` is idempotent."""
    assert init_streams(log_settings) == []
    for topic in TOPICS:
        assert set(log.end_offsets(topic).values()) == {0}
