"""The log: records kept in their order. One contract, an embedded log and Kafka behind it.

Guarantees, on every implementation:
- `append` is durable when it returns. When it raises LogUnavailableError, the same records have to
  be appended again before others of their keys: some of them may be in the log already (readers
  deduplicate by record id), and none can appear behind what is appended after that.
- Records of one key are read in the order in which they were appended (at least once).
- An offset names one record of a partition for ever; offsets grow, and may have holes.

The log keeps no consumer's position: a consumer stores its offset in the same SQL transaction as
what it derived (streams.store.offsets), and starts from there.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from streams.errors import LogUnavailableError, RecordError
from streams.records import Record, decode, encode, record_id

Topic = Literal[
    "turns", "feedback", "judgements", "recipes", "rollouts", "dead-letters", "forgotten", "notes"
]
# In this order for ever: the embedded log numbers them by it.
TOPICS: tuple[Topic, ...] = (
    "turns", "feedback", "judgements", "recipes", "rollouts", "dead-letters", "forgotten", "notes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way into the log."""

    topic: Topic
    key: str  # records of one key keep their order
    id: str  # readers drop a second record of the same id
    value: bytes  # streams.records.encode


def outgoing(topic: Topic, key: str, record: Record) -> Outgoing:
    """Make a record ready for the log."""
    return Outgoing(topic=topic, key=key, id=record_id(record), value=encode(record))


@dataclass(frozen=True, slots=True)
class Partition:
    """One ordered part of a topic."""

    topic: Topic
    number: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it stands in the log."""

    partition: Partition
    offset: int
    key: str
    id: str
    value: bytes
    time_ms: int  # when it was appended


class Subscription(Protocol):
    """A reader's place in some topics. Not shared between threads."""

    def poll(self, *, wait_s: float, max_records: int = 256) -> list[Entry]:
        """Return the next entries, waiting at most wait_s for the first.

        raises: LogUnavailableError (poll again later; the position is kept)
        """
        ...

    def assigned(self) -> frozenset[Partition]:
        """The partitions that this reader holds now."""
        ...

    def reached(self) -> Mapping[Partition, int]:
        """The next offset to be read of each partition held, where that is known.

        It is the end offset where all has been read, whatever became of the last records.
        """
        ...

    def close(self) -> None: ...


class Log(Protocol):
    """A durable, ordered, at-least-once log."""

    def append(self, records: Iterable[Outgoing]) -> None:
        """Append records, in order; durable when it returns. May be called from any thread.

        raises: LogUnavailableError (append the same again), RecordTooLargeError (before anything
            is appended; but a broker that takes less than our settings say may have some)
        """
        ...

    def subscribe(
        self,
        topics: Iterable[Topic],
        *,
        group: str | None,
        positions: Callable[[frozenset[Partition]], Mapping[Partition, int]],
        on_revoked: Callable[[frozenset[Partition]], None] = lambda _: None,
    ) -> Subscription:
        """Read topics from stored positions.

        group: readers of one group share the partitions between them; None reads all of them
        positions: asked whenever partitions are assigned; gives the next offset to read of each
            (missing: from the beginning)
        on_revoked: told, before they are read elsewhere, which partitions were taken away (inside
            `poll`; not by `close`, which the reader itself calls)
        raises: LogUnavailableError
        """
        ...

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """Return the offset that the next record of each partition will get (for lag).

        raises: LogUnavailableError
        """
        ...

    def close(self) -> None: ...


# Of a log that holds more: a broker that was started again elects its leaders within it. Shorter
# than a lease, so that waiting loses none.
SILENCE_S = 10.0
# How soon what a poll gave, and where it came to, are looked at.
_STEP_S = 0.25


def entries_now(log: Log, topic: Topic, *, silence_s: float = SILENCE_S) -> Iterator[Entry]:
    """Return all that a topic holds now, from the beginning.

    silence_s: how long a log that holds more may give nothing
    raises: LogUnavailableError, also after some entries: those were not all then
    """
    ends = log.end_offsets(topic)
    if not any(ends.values()):
        return
    subscription = log.subscribe([topic], group=None, positions=lambda _: {})
    try:
        heard_s, reached = time.monotonic(), subscription.reached()
        while any(reached.get(partition, 0) < end for partition, end in ends.items()):
            entries = subscription.poll(wait_s=_STEP_S)
            yield from entries
            before, reached = reached, subscription.reached()
            if reached != before:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > silence_s:
                raise LogUnavailableError(
                    f"the log holds more of {topic} and gave nothing for {silence_s:g} s"
                )
    finally:
        subscription.close()


def records_now(log: Log, topic: Topic) -> Iterator[Record]:
    """Return all that a topic holds now and this build can read. Raises: as `entries_now`."""
    for entry in entries_now(log, topic):
        try:
            yield decode(entry.value)
        except RecordError:
            continue  # of a later build, which will read it, or poison, which has a dead letter
