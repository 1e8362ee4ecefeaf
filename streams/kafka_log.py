"""The log on Kafka: the contract of streams.log over topics that `streams init` made.

Order: records go out a chunk at a time, all of a chunk's records of a partition in one batch, and
the next chunk only after the broker has confirmed the one before. A batch is appended whole or not
at all, so what failed cannot end up behind what followed it. When a chunk is not confirmed in time,
its fate is unknown: the append raises, the producer is thrown away with all that it would still
try, and whoever appends the chunk again repeats its records at worst, in order, to be dropped by
their ids. The producer is idempotent with acks=all; correctness does not rest on Kafka's
transactions (no Python client implements KIP-890) but on record ids.

Positions are the reader's own (streams.offsets); nothing is committed to Kafka. Partitions that a
rebalance assigns stay paused until the reader's `positions` have been asked and set.

Clients connect at their first use, so a process starts while the broker is away.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from streams.errors import LogUnavailableError, RecordTooLargeError
from streams.kafka_client import (
    ConsumerRebalanceListener,
    KafkaConsumer,
    KafkaError,
    KafkaProducer,
    KafkaTimeoutError,
    Patience,
    TopicPartition,
    connection,
    open_client,
    translated,
)
from streams.log import Entry, Outgoing, Partition, Topic
from streams.settings import StreamsSettings

_log = logging.getLogger(__name__)

ID_HEADER = "id"
# Sent in one go: large enough to hide a round trip, small enough for one batch a partition.
CHUNK_BYTES = 2**20
# What a batch needs beside keys and values: its own header, and each record's id and lengths.
OVERHEAD_BYTES = 64 * 1024
# The batch leaves when it is flushed, never by itself in the middle of being filled.
LINGER_S = 1.0
CLOSE_S = 5.0
# How long a poll waits before it looks at newly assigned partitions.
STEP_S = 0.25


class KafkaLog:
    """A log on Kafka. `append` and `end_offsets` may be called from any thread."""

    def __init__(self, settings: StreamsSettings, *, patience: Patience | None = None) -> None:
        """Name the brokers; nothing connects before it is used.

        raises: ValueError when the setting names no broker
        """
        self._settings = settings
        self._patience = patience or Patience()
        self._connection = connection(settings, self._patience)
        self._prefix = settings.topic_prefix
        self._lock = threading.Lock()
        self._producer: Any = None
        self._looking = threading.Lock()
        self._looker: Any = None

    def append(self, records: Iterable[Outgoing]) -> None:
        """Append records; every one is on all in-sync replicas when it returns."""
        batch = list(records)
        for record in batch:
            if len(record.value) > self._settings.max_record_bytes:
                raise RecordTooLargeError(
                    f"{record.topic} {record.id} has {len(record.value)} bytes, over the log's"
                    f" limit of {self._settings.max_record_bytes}"
                )
        with self._lock:
            for chunk in _chunks(batch):
                try:
                    with translated():
                        self._send(chunk)
                except BaseException:
                    self._throw_away()
                    raise

    def subscribe(
        self,
        topics: Iterable[Topic],
        *,
        group: str | None,
        positions: Callable[[frozenset[Partition]], Mapping[Partition, int]],
        on_revoked: Callable[[frozenset[Partition]], None] = lambda _: None,
    ) -> "KafkaSubscription":
        """Read topics from stored positions; connects at the first poll.

        on_revoked is called while `poll` runs, from another thread.
        """
        return KafkaSubscription(
            self._settings,
            list(topics),
            self._patience,
            group=group,
            positions=positions,
            on_revoked=on_revoked,
        )

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """Give the offset that the next record of each partition will get."""
        with self._looking, translated():
            if self._looker is None:
                self._looker = open_client(KafkaConsumer, **_reading(self._connection))
            places = _places(self._looker, [self._prefix + topic])
            ends = self._looker.end_offsets(places, timeout_ms=int(self._patience.append_s * 1000))
        return {Partition(topic, place.partition): end for place, end in ends.items()}

    def close(self) -> None:
        """Close the connections; every append has returned, so nothing is on its way."""
        with self._lock:
            if self._producer is not None:
                self._producer.close(timeout=CLOSE_S)
                self._producer = None
        with self._looking:
            if self._looker is not None:
                self._looker.close(autocommit=False, timeout_ms=int(CLOSE_S * 1000))
                self._looker = None

    def _open_producer(self) -> Any:
        if self._producer is None:
            largest = batch_bytes(self._settings.max_record_bytes)
            self._producer = open_client(
                KafkaProducer,
                **self._connection,
                allow_auto_create_topics=False,
                acks="all",
                enable_idempotence=True,
                max_in_flight_requests_per_connection=5,
                batch_size=largest,
                max_request_size=largest,
                linger_ms=int(LINGER_S * 1000),
                # Later than append_s, which decides.
                delivery_timeout_ms=int(
                    (self._patience.append_s + self._patience.request_s + LINGER_S) * 1000
                ),
                max_block_ms=int(self._patience.append_s * 1000),
                metrics_enabled=False,
            )
        return self._producer

    def _send(self, chunk: list[Outgoing]) -> None:
        """Send a chunk and wait until the broker has confirmed it."""
        producer = self._open_producer()
        try:
            sent = [
                producer.send(
                    self._prefix + record.topic,
                    key=record.key.encode(),
                    value=record.value,
                    headers=[(ID_HEADER, record.id.encode())],
                )
                for record in chunk
            ]
            producer.flush(timeout=self._patience.append_s)
        except KafkaTimeoutError as cause:
            raise LogUnavailableError(
                f"Kafka did not take {len(chunk)} records in {self._patience.append_s:g} s; are its"
                f" topics there (quickset streams init)? {cause}"
            ) from cause
        for future in sent:
            if future.failed():
                raise future.exception

    def _throw_away(self) -> None:
        """End the producer now, with what it would still send."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # Its own close() would first wait for what cannot be sent, and give up before it closes.
        producer._sender.force_close()
        producer._sender.join(CLOSE_S)
        try:
            producer.close(timeout=CLOSE_S)
        except KafkaError:
            _log.exception("a producer could not be closed")


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
        self._closing = False

    def poll(self, *, wait_s: float, max_records: int = 256) -> list[Entry]:
        """Give the next entries, waiting at most wait_s for the first (and for a connection)."""
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
            **_reading(connection(self._settings, self._patience)),
            group_id=None if self._group is None else self._prefix + self._group,
            max_partition_fetch_bytes=batch_bytes(self._settings.max_record_bytes),
            max_poll_interval_ms=int(self._patience.max_poll_s * 1000),
            session_timeout_ms=int(self._patience.session_s * 1000),
            heartbeat_interval_ms=int(self._patience.session_s * 200),
        )
        try:
            # Asked for a group, too: a reader that joins before it knows the partitions, and is
            # its group's leader, assigns none to anybody.
            places = _places(consumer, self._topics)
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
            unplaced = self._unplaced
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
            self._unplaced -= unplaced

    def _take(self, places: Iterable[Any]) -> None:
        with self._lock:
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


def batch_bytes(max_record_bytes: int) -> int:
    """Give the largest batch that we send, and that a topic must take."""
    return max(max_record_bytes, CHUNK_BYTES) + OVERHEAD_BYTES


def _reading(connection: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **connection,
        "allow_auto_create_topics": False,
        "enable_auto_commit": False,
        # Where retention removed what a reader had not read, it goes on with the oldest left.
        "auto_offset_reset": "earliest",
        "metrics_enabled": False,
    }


def _places(consumer: Any, topics: Iterable[str]) -> list[Any]:
    places = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LogUnavailableError(
                f"Kafka has no topic {topic} yet: make it with quickset streams init"
            )
        places += [TopicPartition(topic, number) for number in sorted(numbers)]
    return places


def _chunks(records: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    chunk: list[Outgoing] = []
    num_bytes = 0
    for record in records:
        size = len(record.value) + len(record.key) + len(record.id) + 64
        if chunk and num_bytes + size > CHUNK_BYTES:
            yield chunk
            chunk, num_bytes = [], 0
        chunk.append(record)
        num_bytes += size
    if chunk:
        yield chunk


def _entry(partition: Partition, record: Any) -> Entry:
    named = dict(record.headers).get(ID_HEADER, b"").decode(errors="replace")
    return Entry(
        partition=partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        # Another program's record has no id of ours; its place names it.
        id=named or f"{partition.topic}/{partition.number}/{record.offset}",
        value=record.value or b"",
        time_ms=record.timestamp,
    )
