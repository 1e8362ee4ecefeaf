"""What every log promises, on the embedded log and on a real Kafka."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.errors import LogUnavailableError, RecordTooLargeError
from streams.log.contract import (
    TOPICS,
    Entry,
    Log,
    Outgoing,
    Partition,
    Subscription,
    Topic,
    entries_now,
)
from streams.log.kafka.client import KafkaAdminClient, TopicPartition, servers
from streams.log.kafka.reader import _entry
from streams.log.mark import Mark, other_log
from streams.log.sqlite import SqliteLog
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
    hear_nothing(subscription, lambda: len(subscription.assigned()) == count, within_s=within_s)


def hear_nothing(
    subscription: Subscription, until: Callable[[], bool], *, within_s: float = 30.0
) -> None:
    """Poll until it is so; nothing comes meanwhile."""
    deadline = time.monotonic() + within_s
    while not until():
        assert time.monotonic() < deadline, f"holds {subscription.assigned()}"
        assert subscription.poll(wait_s=0.1) == []


def remove_all(log: Log, settings: StreamsSettings, partition: Partition) -> None:
    """Remove all records of a partition, as retention does in time."""
    end = log.end_offsets(partition.topic)[partition]
    if isinstance(log, SqliteLog):
        assert log.prune(partition, before_ms=2**62, below=end, most=1000) == end
        return
    place = TopicPartition(settings.topic_prefix + partition.topic, partition.number)
    admin: Any = KafkaAdminClient(bootstrap_servers=servers(settings))
    admin.delete_records({place: end})
    admin.close()


class SilentLog(SqliteLog):
    """A log whose last record never comes."""

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """Count one more."""
        return {partition: end + 1 for partition, end in super().end_offsets(topic).items()}


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
    assert time.monotonic() - began < 20
    appender.join()
    subscription.close()


def test_an_empty_poll_returns_in_time(log: Log) -> None:
    """Nothing to read is an empty list after wait_s, no error."""
    subscription = log.subscribe(["turns"], group=None, positions=from_the_beginning)
    subscription.poll(wait_s=0)
    began = time.monotonic()
    assert subscription.poll(wait_s=0.2) == []
    assert time.monotonic() - began < 20
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


def test_groups_read_side_by_side(log: Log, open_another: Callable[[], Log]) -> None:
    """Each has every record; a reader that leaves is replaced within its own group alone."""
    records = [made(number, key=f"key-{number % 5}") for number in range(20)]
    log.append(records)
    num_partitions = len(log.end_offsets("turns"))
    groups = ["learner/main", "learner/other"]
    firsts = {
        group: log.subscribe(["turns"], group=group, positions=from_the_beginning)
        for group in groups
    }
    for reader in firsts.values():
        assert {entry.id for entry in read(reader, 20)} == {record.id for record in records}
        assert len(reader.assigned()) == num_partitions
    second = open_another().subscribe(["turns"], group=groups[0], positions=from_the_beginning)
    firsts[groups[0]].close()
    assert {entry.id for entry in read(second, 20)} == {record.id for record in records}
    log.append([made(20, key="key-0")])
    for reader in (second, firsts[groups[1]]):
        assert [entry.id for entry in read(reader, 1)] == ["turns-key-0-20"]
        reader.close()


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


def test_a_reader_knows_how_far_it_has_come(log: Log) -> None:
    """To the next record, by partition; at its end where all was read or nothing ever was."""
    log.append([made(number, key=f"key-{number % 5}") for number in range(20)])
    subscription = log.subscribe(["turns", "feedback"], group=None, positions=from_the_beginning)
    got: list[Entry] = []
    while len(got) < 20:
        got += subscription.poll(wait_s=0.5, max_records=3)
        reached = subscription.reached()
        for partition in {entry.partition for entry in got}:
            newest = [entry.offset for entry in got if entry.partition == partition][-1]
            assert reached[partition] == newest + 1
    ends = log.end_offsets("turns") | log.end_offsets("feedback")
    hear_nothing(subscription, lambda: len(subscription.reached()) == len(ends))
    assert subscription.reached() == ends
    subscription.close()


def test_a_place_tells_its_own_log_from_another(log: Log, log_settings: StreamsSettings) -> None:
    """By the record before it, as long as that is there; by its length else."""
    log.append([made(number, key=f"key-{number % 5}") for number in range(20)])
    marks = {e.partition: Mark(e.offset + 1, e.id) for e in entries_now(log, "turns")}
    assert other_log(log, marks) is None
    log.append([made(number, key=f"key-{number % 5}") for number in range(20, 600)])
    assert other_log(log, marks) is None
    partition, mark = next(iter(marks.items()))
    another = marks | {partition: Mark(mark.next_offset, "of another log")}
    told = other_log(log, another)
    assert told is not None
    assert f"had of another log at {mark.next_offset - 1}" in told
    longer = marks | {partition: Mark(10_000, mark.last_id)}
    assert "was read up to 10000, and the log ends at" in (other_log(log, longer) or "")
    remove_all(log, log_settings, partition)
    assert other_log(log, another) is None


def test_what_a_topic_holds_now_is_read_whole(log: Log) -> None:
    """All of it, in order per key, however much more comes; of an empty topic nothing."""
    records = [made(number, key=f"key-{number % 5}") for number in range(600)]
    log.append(records)
    entries = list(entries_now(log, "turns"))
    for key in {record.key for record in records}:
        assert [e.id for e in entries if e.key == key] == [r.id for r in records if r.key == key]
    assert list(entries_now(log, "feedback")) == []


def test_what_was_removed_is_not_waited_for(log: Log, log_settings: StreamsSettings) -> None:
    """What retention took, to the last record, is no reason to wait, nor to say that more comes."""
    log.append([made(number, key=f"key-{number % 5}") for number in range(20)])
    *first, last = sorted(log.end_offsets("turns"), key=lambda each: each.number)
    for partition in first or [last]:
        remove_all(log, log_settings, partition)
    began_s = time.monotonic()
    left = [entry.partition for entry in entries_now(log, "turns", silence_s=60)]
    assert time.monotonic() - began_s < 30
    assert set(left) == ({last} if first else set())


def test_a_log_that_keeps_something_back_is_away(tmp_path: Path) -> None:
    """What came before it fell silent was not all, and nobody may take it for all."""
    log = SilentLog(tmp_path / "log.db")
    log.append([made(0), made(1)])
    came: list[str] = []
    with pytest.raises(LogUnavailableError, match="holds more of turns"):
        came.extend(entry.id for entry in entries_now(log, "turns", silence_s=0.3))
    assert came == ["turns-a-0", "turns-a-1"]
    log.close()


@pytest.mark.parametrize("headers", [[], [("id", None)], [("id", b"")], [("other", None)]])
def test_another_programs_record_is_read_whatever_it_lacks(
    headers: list[tuple[str, bytes | None]],
) -> None:
    """On Kafka every part of it may be null: its place names it, and no reader stands still."""
    record = SimpleNamespace(headers=headers, offset=3, key=None, value=None, timestamp=-1)
    entry = _entry(Partition("turns", 1), record)
    assert entry == Entry(Partition("turns", 1), 3, "", "turns/1/3", b"", -1)


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
