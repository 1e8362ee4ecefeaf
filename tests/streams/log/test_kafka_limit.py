"""Kafka's clients when they do not answer, or do not join their group: nobody waits for ever."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from streams.errors import LogUnavailableError
from streams.log.contract import Entry, Outgoing, Partition
from streams.log.kafka.client import KafkaAdminClient, Patience, servers
from streams.log.kafka.limit import NoAnswerError, within
from streams.log.kafka.log import KafkaLog
from streams.log.kafka.reader import KafkaSubscription
from streams.log.kafka.topics import init_topics
from streams.settings import StreamsSettings
from tests.streams.log.fake_kafka import FakeKafka

TURNS = Partition("turns", 0)
# What hangs is waited for so long, and what answers at once needs no more on a busy machine.
QUICK = Patience(call_s=0.5)
SETTINGS = StreamsSettings(log="kafka://nowhere:9")


class Place:
    """Where a reader's store says that it is, and what it was told to let go."""

    def __init__(self) -> None:
        self.next: dict[Partition, int] = {}
        self.revoked: list[frozenset[Partition]] = []

    def positions(self, _: frozenset[Partition]) -> Mapping[Partition, int]:
        return dict(self.next)

    def use(self, entries: list[Entry]) -> list[bytes]:
        self.next |= {entry.partition: entry.offset + 1 for entry in entries}
        return [entry.value for entry in entries]


@pytest.fixture
def kafka() -> Iterator[FakeKafka]:
    """A cluster; what hangs in it ends with the test."""
    made = FakeKafka("turns")
    yield made
    made.released.set()


def log_on(kafka: FakeKafka, patience: Patience = QUICK) -> KafkaLog:
    return KafkaLog(SETTINGS, patience=patience, consumer=kafka.consumer, producer=kafka.producer)


def reader_of(log: KafkaLog, place: Place, group: str | None = "g") -> KafkaSubscription:
    return log.subscribe(
        ["turns"], group=group, positions=place.positions, on_revoked=place.revoked.append
    )


def values_of(reader: KafkaSubscription, place: Place, count: int) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(10):
        found += place.use(reader.poll(wait_s=0))
        if len(found) >= count:
            break
    return found


def made(number: int) -> Outgoing:
    return Outgoing(topic="turns", key="k", id=f"id-{number}", value=b"%d" % number)


def test_a_call_gives_what_it_returns_or_raises() -> None:
    """Its own time-out is no limit of ours."""
    assert within(60.0, lambda: 3) == 3

    def times_out() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        within(60.0, times_out)


def test_a_call_that_does_not_return_is_waited_for_no_longer_than_its_limit() -> None:
    """What it gives later is handed to whoever closes it."""
    released, late = threading.Event(), threading.Event()
    with pytest.raises(NoAnswerError, match="has not answered"):
        within(0.01, released.wait, late=lambda _: late.set())
    released.set()
    assert late.wait(60.0)


@pytest.mark.parametrize("group", ["g", None])
def test_a_reader_whose_poll_hangs_reads_on_with_another_client(
    kafka: FakeKafka, group: str | None
) -> None:
    """Its partitions are let go, the client is closed, and nothing is read twice or skipped."""
    place = Place()
    reader = reader_of(log_on(kafka), place, group)
    kafka.values[kafka.places[0]] += [b"1", b"2"]
    assert values_of(reader, place, 2) == [b"1", b"2"]
    kafka.hanging = {"poll"}
    with pytest.raises(LogUnavailableError, match="given up"):
        reader.poll(wait_s=0)
    assert place.revoked == [frozenset([TURNS])]
    assert (reader.assigned(), reader.reached()) == (frozenset(), {})
    assert kafka.consumers[0].closed.wait(60.0)
    kafka.hanging = set()
    kafka.values[kafka.places[0]] += [b"3"]
    assert values_of(reader, place, 1) == [b"3"]
    assert reader.reached() == {TURNS: 3}
    assert len(kafka.consumers) == 2
    reader.close()


def test_a_reader_without_a_group_keeps_its_own_place(kafka: FakeKafka) -> None:
    """Also where its positions say only where it began."""
    reader = log_on(kafka).subscribe(["turns"], group=None, positions=lambda _: {})
    kafka.values[kafka.places[0]] += [b"1"]
    assert [entry.value for entry in reader.poll(wait_s=0)] == [b"1"]
    kafka.hanging = {"position"}
    with pytest.raises(LogUnavailableError):
        reader.reached()
    kafka.values[kafka.places[0]] += [b"2"]
    assert [entry.value for entry in reader.poll(wait_s=0)] == [b"2"]


def test_a_client_that_was_given_up_gives_a_reader_nothing_more(kafka: FakeKafka) -> None:
    """Whatever its group still tells it."""
    place = Place()
    reader = reader_of(log_on(kafka), place)
    reader.poll(wait_s=0)
    kafka.hanging = {"poll"}
    with pytest.raises(LogUnavailableError):
        reader.poll(wait_s=0)
    kafka.consumers[0].be_given()
    assert reader.assigned() == frozenset()
    kafka.hanging = set()
    reader.poll(wait_s=0)
    kafka.consumers[0].listener.on_partitions_lost(kafka.places)
    assert reader.assigned() == frozenset([TURNS])
    assert place.revoked == [frozenset([TURNS])]


def test_a_client_that_opens_too_late_is_closed(kafka: FakeKafka) -> None:
    """The reader has raised by then, and opens another."""
    reader = reader_of(log_on(kafka), Place())
    kafka.hanging = {"partitions_for_topic"}
    with pytest.raises(LogUnavailableError):
        reader.poll(wait_s=0)
    kafka.hanging = set()
    kafka.released.set()
    assert kafka.consumers[0].closed.wait(60.0)
    reader.poll(wait_s=0)
    assert reader.assigned() == frozenset([TURNS])


def test_a_join_that_a_poll_does_not_wait_for_is_seen_through(kafka: FakeKafka) -> None:
    """kafka-python forgets it: the reader would stay outside of its group for ever."""
    kafka.steps = 3
    place = Place()
    reader = reader_of(log_on(kafka), place)
    kafka.values[kafka.places[0]] += [b"1"]
    assert values_of(reader, place, 1) == [b"1"]
    assert len(kafka.consumers) == 1


def test_a_reader_that_does_not_get_into_its_group_is_given_up(kafka: FakeKafka) -> None:
    """It says so, and the next client joins."""
    kafka.steps = 10**6
    reader = reader_of(log_on(kafka, Patience(join_s=0.0)), Place())
    reader.poll(wait_s=0)
    with pytest.raises(LogUnavailableError, match="out of it for"):
        reader.poll(wait_s=0)
    kafka.steps = 1
    assert kafka.consumers[0].closed.wait(60.0)
    reader.poll(wait_s=0)
    assert reader.assigned() == frozenset([TURNS])


def test_end_offsets_that_hang_are_asked_of_another_client(kafka: FakeKafka) -> None:
    """The next time; the one that hangs is closed, and no other caller waits behind it."""
    log = log_on(kafka)
    kafka.hanging = {"end_offsets"}
    with pytest.raises(LogUnavailableError, match="given up"):
        log.end_offsets("turns")
    assert kafka.consumers[0].closed.wait(60.0)
    kafka.hanging = set()
    assert log.end_offsets("turns") == {TURNS: 0}
    assert len(kafka.consumers) == 2


@pytest.mark.parametrize("hanging", ["open", "flush"])
def test_an_append_that_hangs_raises_and_sends_nothing_later(
    kafka: FakeKafka, hanging: str
) -> None:
    """What is appended again stands there once, in order, however late the first try goes on."""
    log = log_on(kafka)
    kafka.hanging = {hanging}
    with pytest.raises(LogUnavailableError, match="given up"):
        log.append([made(1)])
    kafka.hanging = set()
    kafka.released.set()
    log.append([made(1)])
    log.append([made(2)])
    log.close()
    assert kafka.values[kafka.places[0]] == [b"1", b"2"]


def test_a_close_that_hangs_ends_the_heartbeats(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that others have the partitions after the session, and whoever closes goes on."""
    monkeypatch.setattr("streams.log.kafka.client.CLOSE_S", 0.05)
    reader = reader_of(log_on(kafka), Place())
    reader.poll(wait_s=0)
    kafka.hanging = {"close"}
    reader.close()
    assert kafka.consumers[0].stopped.is_set()
    assert not kafka.consumers[0].closed.is_set()


@pytest.mark.kafka
def test_a_reader_gets_partitions_that_are_added_however_short_its_polls(
    kafka_url: str, tmp_path: Path
) -> None:
    """A rebalance ends, though each poll looks in passing, as a learner's does that trains."""
    settings = StreamsSettings(home=tmp_path, partitions=2, log=kafka_url, topic_prefix="added.")
    init_topics(settings)
    log = KafkaLog(settings, patience=Patience(metadata_s=0.5))
    reader = log.subscribe(["turns"], group="g", positions=lambda _: {})
    admin: Any = KafkaAdminClient(bootstrap_servers=servers(settings))
    ends_s = time.monotonic() + 60.0
    for count in (2, 3, 4):
        if count > 2:
            admin.create_partitions({"added.turns": count})
        while len(reader.assigned()) < count:
            assert time.monotonic() < ends_s, f"holds {reader.assigned()}"
            reader.poll(wait_s=0)
    admin.close()
    reader.close()
    log.close()
