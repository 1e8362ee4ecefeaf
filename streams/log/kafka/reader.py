"""Readers of a log on Kafka: partitions shared in a group, places that only the reader keeps.

Nothing is committed to Kafka. Partitions that a rebalance assigns stay paused until the reader's
`positions` have been asked and set, so nothing is read from a place that the reader did not name.

A client that does not answer, or does not get back into its group, is given up: its partitions are
let go as if another reader had them, the poll raises, and the next one opens another client.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from streams.errors import LogUnavailableError
from streams.log.contract import Entry, Partition, Topic
from streams.log.kafka.client import (
    ID_HEADER,
    ConsumerRebalanceListener,
    KafkaConsumer,
    MemberState,
    Patience,
    TopicPartition,
    abandon,
    batch_bytes,
    connection,
    end,
    open_client,
    translated,
)
from streams.log.kafka.limit import NoAnswerError, within
from streams.settings import StreamsSettings

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)

# How long a poll waits before it looks at newly assigned partitions, and at least for the group.
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
        consumer: Callable[..., Any] = KafkaConsumer,
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._prefix = settings.topic_prefix
        self._topics = [self._prefix + topic for topic in topics]
        self._group = group
        self._positions = positions
        self._on_revoked = on_revoked
        self._make = consumer
        self._consumer: Any = None
        self._lock = threading.Lock()  # the listener is called from the consumer's thread
        self._assigned: frozenset[Partition] = frozenset()
        self._unplaced: frozenset[Partition] = frozenset()
        self._assignment = 0  # how many times partitions were given
        self._outside_s: float | None = None  # since when the reader is seen to be out of its group
        # Where a reader without a group is: nobody else reads on for it.
        self._read: dict[Partition, int] = {}
        self._closing = False

    def poll(self, *, wait_s: float, max_records: int = 256) -> list[Entry]:
        """Return the next entries, waiting at most wait_s for the first.

        And for a connection, and a moment for the group while it shares its partitions anew.
        """
        deadline = time.monotonic() + wait_s
        with translated():
            if self._consumer is None:
                self._open()
            while True:
                self._place()
                left_s = max(0.0, deadline - time.monotonic())
                found = self._ask(partial(self._look, self._consumer, left_s, max_records))
                if found or left_s == 0:
                    return self._entries(found)

    def assigned(self) -> frozenset[Partition]:
        """The partitions that this reader holds now."""
        with self._lock:
            return self._assigned

    def reached(self) -> Mapping[Partition, int]:
        """The next offset to be read of each partition that has its place."""
        with self._lock:
            placed, consumer = self._assigned - self._unplaced, self._consumer
        if not placed:
            return {}

        def positions() -> dict[Partition, int | None]:
            return {at: consumer.position(self._place_of(at), timeout_ms=0) for at in placed}

        with translated():
            found = self._ask(positions)
        return {partition: offset for partition, offset in found.items() if offset is not None}

    def close(self) -> None:
        """Leave the group, so that its other readers take over at once."""
        self._closing = True
        if self._consumer is not None:
            end(self._consumer)
            self._consumer = None
        self._assigned = self._unplaced = frozenset()

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Wait for a call of the client; one that does not answer is given up."""
        try:
            return within(self._patience.call_s, call)
        except NoAnswerError as cause:
            _log.warning("reading %s: %s", ", ".join(self._topics), cause)
            self._give_up(self._consumer)
            raise

    def _give_up(self, consumer: Any) -> None:
        try:
            self._let_go(consumer, for_good=True)
        finally:
            abandon(consumer)

    def _look(self, consumer: Any, wait_s: float, max_records: int) -> Mapping[Any, list[Any]]:
        """Poll the client once, and see that a rebalance comes to its end."""
        if self._group is not None and consumer.group_metadata().state != MemberState.STABLE:
            self._prove_joins()
            # kafka-python 3.0.12 joins anew when metadata have changed, takes note of them while it
            # joins, and sees no reason to go on if a poll ends then: it would stay outside for ever
            # without a word. So it is told that it is still to join.
            consumer._coordinator.request_rejoin()
            wait_s = max(wait_s, STEP_S)  # a join that ends between two polls is begun again
        else:
            self._outside_s = None
        found: Mapping[Any, list[Any]] = consumer.poll(
            timeout_ms=int(min(wait_s, STEP_S) * 1000), max_records=max_records
        )
        return found

    def _prove_joins(self) -> None:
        now_s = time.monotonic()
        self._outside_s = now_s if self._outside_s is None else self._outside_s
        if now_s - self._outside_s > self._patience.join_s:
            raise NoAnswerError(
                f"a reader of the group {self._group} has been out of it for"
                f" {now_s - self._outside_s:.0f} s, longer than a rebalance takes, and is given up:"
                " the next try opens another"
            )

    def _open(self) -> None:
        self._outside_s = None
        self._consumer = within(self._patience.call_s, self._opened, late=end)
        if self._group is None:
            self._take(self._consumer, self._consumer.assignment())

    def _opened(self) -> Any:
        consumer = open_client(
            self._make,
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
            else:
                consumer.subscribe(self._topics, listener=_Listener(self, consumer))
        except BaseException:
            consumer.close(autocommit=False, timeout_ms=1000)
            raise
        return consumer

    def _place(self) -> None:
        """Start newly assigned partitions where the reader's positions say."""
        with self._lock:
            unplaced, assignment = self._unplaced, self._assignment
        if not unplaced:
            return
        stored = {**self._positions(unplaced), **self._read}
        for partition in unplaced:
            place = self._place_of(partition)
            if partition in stored:
                self._consumer.seek(place, stored[partition])
            else:
                self._consumer.seek_to_beginning(place)
            self._consumer.resume(place)
        with self._lock:
            if self._assignment == assignment:
                self._unplaced = frozenset()
            # Else the partitions were taken and given anew meanwhile, and wait for their places.

    def _entries(self, found: Mapping[Any, list[Any]]) -> list[Entry]:
        entries = [
            _entry(self._partition(place), record)
            for place, records in found.items()
            for record in records
        ]
        if self._group is None:
            self._read |= {entry.partition: entry.offset + 1 for entry in entries}
        return entries

    def _partition(self, place: Any) -> Partition:
        return Partition(place.topic.removeprefix(self._prefix), place.partition)

    def _place_of(self, partition: Partition) -> Any:
        return TopicPartition(self._prefix + partition.topic, partition.number)

    def _take(self, consumer: Any, places: Iterable[Any]) -> None:
        with self._lock:
            if consumer is not self._consumer:
                return  # it was given up
            self._assignment += 1
            self._assigned = self._unplaced = frozenset(map(self._partition, places))

    def _let_go(self, consumer: Any, *, for_good: bool = False) -> None:
        with self._lock:
            if consumer is not self._consumer:
                return  # it was given up, and its partitions with it
            if for_good:
                self._consumer = None
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
        self._subscription._let_go(self._consumer)

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:  # noqa: ARG002
        self._subscription._let_go(self._consumer)

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        places = list(assigned)
        self._consumer.pause(*places)
        self._subscription._take(self._consumer, places)


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
