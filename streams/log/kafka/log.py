"""The log on Kafka: the contract of streams.log over topics that `streams init` made.

Order: records go out a chunk at a time, all of a chunk's records of a partition in one batch, and
the next chunk only after the broker has confirmed the one before. A batch is appended whole or not
at all, so what failed cannot end up behind what followed it. When a chunk is not confirmed in time,
its fate is unknown: the append raises, the producer is thrown away with all that it would still
try, and whoever appends the chunk again repeats its records at worst, in order, to be dropped by
their ids. The producer is idempotent with acks=all; correctness does not rest on Kafka's
transactions (no Python client implements KIP-890) but on record ids.

Clients connect at their first use, so a process starts while the broker is away. One that does not
answer within Patience.call_s is thrown away, too, and the next use opens another.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from streams.errors import LogUnavailableError, RecordTooLargeError
from streams.log.contract import Outgoing, Partition, Topic
from streams.log.kafka.client import (
    CHUNK_BYTES,
    CLOSE_S,
    ID_HEADER,
    KafkaConsumer,
    KafkaError,
    KafkaProducer,
    KafkaTimeoutError,
    Patience,
    abandon,
    batch_bytes,
    connection,
    end,
    open_client,
    translated,
)
from streams.log.kafka.limit import NoAnswerError, within
from streams.log.kafka.reader import KafkaSubscription, places_of, reading
from streams.settings import StreamsSettings

_log = logging.getLogger(__name__)

# The batch leaves when it is flushed, never by itself in the middle of being filled.
LINGER_S = 1.0


class KafkaLog:
    """A log on Kafka. `append` and `end_offsets` may be called from any thread."""

    def __init__(
        self,
        settings: StreamsSettings,
        *,
        patience: Patience | None = None,
        consumer: Callable[..., Any] = KafkaConsumer,
        producer: Callable[..., Any] = KafkaProducer,
    ) -> None:
        """Name the brokers; nothing connects before it is used.

        consumer, producer: make the clients that read and append
        raises: ValueError when the setting names no broker
        """
        self._settings = settings
        self._patience = patience or Patience()
        self._connection = connection(settings, self._patience)
        self._prefix = settings.topic_prefix
        self._make_consumer, self._make_producer = consumer, producer
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
                        producer = self._open_producer()
                        within(self._patience.call_s, partial(self._send, producer, chunk))
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
            consumer=self._make_consumer,
        )

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """Return the offset that the next record of each partition will get."""
        with self._looking, translated():
            if self._looker is None:
                opened = partial(open_client, self._make_consumer, **reading(self._connection))
                self._looker = within(self._patience.call_s, opened, late=end)
            try:
                return within(self._patience.call_s, partial(self._ends, self._looker, topic))
            except NoAnswerError:
                abandon(self._looker)
                self._looker = None
                raise

    def close(self) -> None:
        """Close the connections; every append has returned, so nothing is on its way."""
        with self._lock:
            if self._producer is not None:
                _close(self._producer)
                self._producer = None
        with self._looking:
            if self._looker is not None:
                end(self._looker)
                self._looker = None

    def _ends(self, looker: Any, topic: Topic) -> dict[Partition, int]:
        places = places_of(looker, [self._prefix + topic])
        ends = looker.end_offsets(places, timeout_ms=int(self._patience.append_s * 1000))
        return {Partition(topic, place.partition): end for place, end in ends.items()}

    def _open_producer(self) -> Any:
        if self._producer is None:
            largest = batch_bytes(self._settings.max_record_bytes)
            opened = partial(
                open_client,
                self._make_producer,
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
            self._producer = within(self._patience.call_s, opened, late=_close)
        return self._producer

    def _send(self, producer: Any, chunk: list[Outgoing]) -> None:
        """Send a chunk and wait until the broker has confirmed it."""
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
            _close(producer)
        except KafkaError:
            _log.exception("a producer could not be closed")


def _close(producer: Any) -> None:
    """Close a producer; one that does not close is left behind."""
    try:
        within(3 * CLOSE_S, partial(producer.close, timeout=CLOSE_S))
    except NoAnswerError:
        _log.warning("a connection that appends to Kafka could not be closed and is left behind")


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
