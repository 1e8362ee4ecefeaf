"""Readers of a log on Kafka: partitions shared in a group, places that only the reader keeps.

Nothing is committed to Kafka. Partitions that a rebalance assigns stay paused until the reader's
`positions` have been asked and set, so nothing is read from a place that the reader did not name.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streams.errors import LogUnavailableError
from streams.log.contract import Entry, Partition, Topic
from streams.log.kafka.client import (
    CLOSE_S,
    ID_HEADER,
    ConsumerRebalanceListener,
    KafkaConsumer,
    Patience,
    TopicPartition,
    batch_bytes,
    connection,
    open_client,
    translated,
)
from streams.settings import StreamsSettings

# How long a poll waits before it looks at newly assigned partitions.
STEP_S = 0.25


class KafkaSubscription:
    """A reader's place in some topics of Kafka."""

    def __init__(
        self,
        settings: StreamsSettings,
        topics: list[Topic],
        patience: Patience,
        *,
        group: str | None,
        positions: Callable[[frozenset[Partition]], Mapping[Partition, int]],
        on_revoked: Callable[[frozenset[Partition]], None],
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._prefix = settings.topic_prefix
        self._topics = [self._prefix + topic for topic in topics]
        self._group = group
        self._positions = positions
        self._on_revoked = on_revoked
        self._consumer: Any = None
        self._lock = threading.Lock()  # the listener is called from the consumer's thread
        self._assigned: frozenset[Partition] = frozenset()
        self._unplaced: frozenset[Partition] = frozenset()
        self._assignment = 0  # how many times partitions were given
        self._closing = False

    def poll(self, *, wait_s: float, max_records: int = 256) -> list[Entry]:
        """Return the next entries, waiting at most wait_s for the first (and for a connection)."""
        deadline = time.monotonic() + wait_s
        with translated():
            if self._consumer is None:
                self._open()
            while True:
                self._place()
                left_s = max(0.0, deadline - time.monotonic())
                found = self._consumer.poll(
                    timeout_ms=int(min(left_s, STEP_S) * 1000), max_records=max_records
                )
                if found or left_s == 0:
                    return [
                        _entry(self._partition(place), record)
                        for place, records in found.items()
                        for record in records
                    ]

    def assigned(self) -> frozenset[Partition]:
        """The partitions that this reader holds now."""
        with self._lock:
            return self._assigned

    def reached(self) -> Mapping[Partition, int]:
        """The next offset to be read of each partition that has its place."""
        with self._lock:
            placed = self._assigned - self._unplaced
        found = {}
        with translated():
            for partition in placed:
                place = TopicPartition(self._prefix + partition.topic, partition.number)
                found[partition] = self._consumer.position(place, timeout_ms=0)
        return {partition: offset for partition, offset in found.items() if offset is not None}

    def close(self) -> None:
        """Leave the group, so that its other readers take over at once."""
        self._closing = True
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=int(CLOSE_S * 1000))
            self._consumer = None
        self._assigned = self._unplaced = frozenset()

    def _open(self) -> None:
        consumer = open_client(
            KafkaConsumer,
            **reading(connection(self._settings, self._patience)),
            group_id=None if self._group is None else self._prefix + self._group,
            max_partition_fetch_bytes=batch_bytes(self._settings.max_record_bytes),
            max_poll_interval_ms=int(self._patience.max_poll_s * 1000),
            session_timeout_ms=int(self._patience.session_s * 1000),
            heartbeat_interval_ms=int(self._patience.session_s * 200),
        )
        try:
            # Asked for a group, too: a reader that joins before it knows the partitions, and is
            # its group's leader, assigns none to anybody.
            places = places_of(consumer, self._topics)
            if self._group is None:
                consumer.assign(places)
                consumer.pause(*places)
                self._take(places)
            else:
                consumer.subscribe(self._topics, listener=_Listener(self, consumer))
        except BaseException:
            consumer.close(autocommit=False, timeout_ms=1000)
            raise
        self._consumer = consumer

    def _place(self) -> None:
        """Start newly assigned partitions where the reader's positions say."""
        with self._lock:
            unplaced, assignment = self._unplaced, self._assignment
        if not unplaced:
            return
        stored = self._positions(unplaced)
        for partition in unplaced:
            place = TopicPartition(self._prefix + partition.topic, partition.number)
            if partition in stored:
                self._consumer.seek(place, stored[partition])
            else:
                self._consumer.seek_to_beginning(place)
            self._consumer.resume(place)
        with self._lock:
            if self._assignment == assignment:
                self._unplaced = frozenset()
            # Else the partitions were taken and given anew meanwhile, and wait for their places.

    def _take(self, places: Iterable[Any]) -> None:
        with self._lock:
            self._assignment += 1
            self._assigned = self._unplaced = frozenset(map(self._partition, places))

    def _partition(self, place: Any) -> Partition:
        return Partition(place.topic.removeprefix(self._prefix), place.partition)

    def _let_go(self) -> None:
        with self._lock:
            revoked, self._assigned, self._unplaced = self._assigned, frozenset(), frozenset()
        if revoked and not self._closing:
            self._on_revoked(revoked)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Told of rebalances, on the consumer's thread, while the reader's `poll` waits.

    Every rebalance takes all partitions away and gives the new ones (Kafka's eager protocol): the
    positions are asked again each time.
    """

    def __init__(self, subscription: KafkaSubscription, consumer: Any) -> None:
        self._subscription = subscription
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:  # noqa: ARG002
        self._subscription._let_go()

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:  # noqa: ARG002
        self._subscription._let_go()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        places = list(assigned)
        self._consumer.pause(*places)
        self._subscription._take(places)


def reading(connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that every reader shares."""
    return {
        **connection,
        "allow_auto_create_topics": False,
        "enable_auto_commit": False,
        # Where retention removed what a reader had not read, it goes on with the oldest left.
        "auto_offset_reset": "earliest",
        "metrics_enabled": False,
    }


def places_of(consumer: Any, topics: Iterable[str]) -> list[Any]:
    """Return the partitions of some topics, by their names on the cluster.

    raises: LogUnavailableError when a topic has not been made
    """
    places = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LogUnavailableError(
                f"Kafka has no topic {topic} yet: make it with quickset streams init"
            )
        places += [TopicPartition(topic, number) for number in sorted(numbers)]
    return places


def _entry(partition: Partition, record: Any) -> Entry:
    # Of another program's record every part may be null.
    named = (dict(record.headers).get(ID_HEADER) or b"").decode(errors="replace")
    return Entry(
        partition=partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        # Another program's record has no id of ours; its place names it.
        id=named or f"{partition.topic}/{partition.number}/{record.offset}",
        value=record.value or b"",
        time_ms=record.timestamp,
    )
