"""The embedded log: one SQLite file, any number of processes on one machine.

Every topic has one partition, number 0, with offsets 0, 1, 2, … An append is one transaction,
synced to disk before it returns. The order of a topic is the order of the transactions, so all keys
keep theirs.

Groups: the reader of a topic for a group holds a file lock beside the log. A second reader of that
group holds nothing (`assigned()` is empty, `poll` waits) until the first one closes or its process
ends, however it ends; then it has the topic at its next poll. Nothing is ever taken from a reader
that lives, so `on_revoked` is never called.

Waiting readers look for appends of other processes at a counter in shared memory (SQLite's
data_version), some dozens of times a second, and are woken at once by those of their own that are
for them; they read only when something came.
"""

import fcntl
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from streams.clock import steady
from streams.errors import RecordTooLargeError
from streams.log.contract import Entry, Outgoing, Partition, Topic
from streams.log.file import (
    APPEND,
    BUSY_S,
    OFFSET_BITS,
    connect,
    create,
    insist,
    look_first,
    open_door,
    translated,
)

# Longest time until a waiting reader sees an append of another process: one of a group, on which
# judgements wait; and any other, such as an agent's, whose looks take the interpreter from replies.
WAKE_S = 0.02
WAKE_ALONE_S = 0.05
MAX_RECORD_BYTES = 4 * 2**20


class SqliteLog:
    """A log in a file. `append` and `end_offsets` may be called from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        max_record_bytes: int = MAX_RECORD_BYTES,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Open the log, or make it.

        clock: Unix time in seconds, for the entries' time_ms; by default one that does not jump
        raises: SchemaError when the file is of a newer schema, damaged or not a log (untouched);
            LogUnavailableError when it cannot be opened
        """
        self.path = path
        self._max_record_bytes = max_record_bytes
        self._clock = clock or steady()
        self._lock = threading.Lock()
        self._listeners: dict[threading.Event, frozenset[Topic]] = {}
        self._elsewhere = 0  # what `elsewhere` found last
        path.parent.mkdir(parents=True, exist_ok=True)
        look_first(path)
        self._connection = connect(path, busy_s=0)
        with self._transaction():
            create(self._connection)
            rows = self._connection.execute("SELECT name, number FROM topics").fetchall()
        with translated(path):
            open_door(self._connection)
        self._numbers: dict[str, int] = dict(rows)

    def append(self, records: Iterable[Outgoing], *, busy_s: float = BUSY_S) -> None:
        """Append records in one transaction: all of them are there, or none.

        busy_s: how long to wait while others write
        """
        batch = list(records)
        for record in batch:
            if len(record.value) > self._max_record_bytes:
                raise RecordTooLargeError(
                    f"{record.topic} {record.id} has {len(record.value)} bytes, over the log's"
                    f" limit of {self._max_record_bytes}"
                )
        if not batch:
            return
        time_ms = int(self._clock() * 1000)
        rows = [(self._numbers[r.topic], r.key, r.id, r.value, time_ms) for r in batch]
        if len(rows) == 1:  # a transaction by itself, in one statement
            with self._lock, translated(self.path):
                insist(self._connection, APPEND, rows[0], busy_s=busy_s)
        else:
            with self._transaction(busy_s) as connection:
                connection.executemany(APPEND, rows)
        topics = {record.topic for record in batch}
        for appended, wanted in list(self._listeners.items()):
            if not wanted.isdisjoint(topics):
                appended.set()

    def subscribe(
        self,
        topics: Iterable[Topic],
        *,
        group: str | None,
        positions: Callable[[frozenset[Partition]], Mapping[Partition, int]],
        on_revoked: Callable[[frozenset[Partition]], None] = lambda _: None,  # noqa: ARG002
    ) -> "SqliteSubscription":
        """Read topics from stored positions; see the module for what a group does."""
        return SqliteSubscription(self, list(topics), group=group, positions=positions)

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """Return the offset that the topic's next record will get."""
        with self._lock, translated(self.path):
            row = insist(
                self._connection, "SELECT next_offset FROM topics WHERE name = ?", (topic,)
            ).fetchone()
        return {Partition(topic, 0): row[0]}

    def prune(
        self,
        partition: Partition,
        *,
        before_ms: int,
        below: int,
        most: int,
        newest_ms: int | None = None,
    ) -> int:
        """Remove records of a partition from its beginning; offsets keep their meaning.

        What stands behind a young record is young, too, whatever a clock that was behind has dated.

        Only the oldest `most` are looked at. What is freed is used again: the file stops growing,
        and does not shrink.

        before_ms: Unix milliseconds; what was appended earlier goes
        below: an offset; only what stands before it goes
        newest_ms: what is dated later is of a clock that ran ahead, and makes nothing young
        returns: number of records removed
        """
        low = self._numbers[partition.topic] << OFFSET_BITS
        with self._transaction() as connection:
            oldest = connection.execute(
                "SELECT place, time_ms FROM entries WHERE place >= ? AND place < ?"
                " ORDER BY place LIMIT ?",
                (low, low + below, most),
            ).fetchall()
            old = list(_old(oldest, before_ms, newest_ms))
            connection.executemany("DELETE FROM entries WHERE place = ?", old)
        return len(old)

    def close(self) -> None:
        """Close the file; subscriptions are closed by their readers."""
        with self._lock:
            self._connection.close()

    def number(self, topic: Topic) -> int:
        """Return the number under which the file keeps a topic."""
        return self._numbers[topic]

    def listen(self, topics: Iterable[Topic]) -> threading.Event:
        """Return an event that is set whenever this object appends to one of the topics.

        Readers of other topics sleep on: each that wakes takes the interpreter from the replies.
        """
        appended = threading.Event()
        self._listeners[appended] = frozenset(topics)
        return appended

    def unlisten(self, appended: threading.Event) -> None:
        """Set the event no more; twice is once."""
        self._listeners.pop(appended, None)

    def elsewhere(self) -> int:
        """Return a number that changes with what others append, and never with our own appends.

        While an append of ours is under way it stays what it was: nobody waits for that here.
        """
        if self._lock.acquire(blocking=False):
            try:
                with translated(self.path):
                    found = insist(self._connection, "PRAGMA data_version").fetchone()
                self._elsewhere = found[0]
            finally:
                self._lock.release()
        return self._elsewhere

    @contextmanager
    def _transaction(self, busy_s: float = BUSY_S) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            connection = self._connection
            insist(connection, "BEGIN IMMEDIATE", busy_s=busy_s)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _old(
    oldest: Iterable[tuple[int, int]], before_ms: int, newest_ms: int | None
) -> Iterator[tuple[int]]:
    """Yield the places of what is old, up to the first that is young."""
    for place, time_ms in oldest:
        if time_ms < before_ms:
            yield (place,)
        elif newest_ms is None or time_ms <= newest_ms:
            return


class SqliteSubscription:
    """A reader's place in some topics of the embedded log."""

    def __init__(
        self,
        log: SqliteLog,
        topics: list[Topic],
        *,
        group: str | None,
        positions: Callable[[frozenset[Partition]], Mapping[Partition, int]],
    ) -> None:
        self._log = log
        self._positions = positions
        self._group = group
        self._wake_s = WAKE_ALONE_S if group is None else WAKE_S
        self._locks: dict[Topic, int] = {}
        self._wanted = list(dict.fromkeys(topics))
        self._next: dict[Partition, int] = {}
        self._connection = connect(log.path)
        self._appended = log.listen(topics)
        try:
            self._take_partitions()
        except BaseException:
            self.close()
            raise

    def poll(self, *, wait_s: float, max_records: int = 256) -> list[Entry]:
        """Return the next entries, waiting at most wait_s for the first."""
        deadline = time.monotonic() + wait_s
        while True:
            with translated(self._log.path):
                self._take_partitions()
                self._appended.clear()  # before the reading, so that no append is slept over
                seen = self._log.elsewhere()
                entries = self._read(max_records)
            left_s = deadline - time.monotonic()
            if entries or left_s <= 0:
                return entries
            self._wait(seen, deadline)

    def assigned(self) -> frozenset[Partition]:
        """The partitions that this reader holds now."""
        return frozenset(self._next)

    def reached(self) -> Mapping[Partition, int]:
        """The next offset to be read of each partition."""
        return dict(self._next)

    def close(self) -> None:
        """Let the partitions go; the group's next reader may take them at once."""
        self._log.unlisten(self._appended)
        self._next.clear()
        self._wanted.clear()
        self._connection.close()
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()

    def _take_partitions(self) -> None:
        taken = [topic for topic in self._wanted if self._lock(topic)]
        if not taken:
            return
        partitions = frozenset(Partition(topic, 0) for topic in taken)
        stored = self._positions(partitions)  # may raise: asked again at the next poll
        self._wanted = [topic for topic in self._wanted if topic not in taken]
        self._next |= {partition: stored.get(partition, 0) for partition in partitions}

    def _lock(self, topic: Topic) -> bool:
        """Try to become the group's reader of a topic; the kernel lets go when the process ends."""
        if self._group is None or topic in self._locks:  # held, and its place is not known yet
            return True
        folder = self._log.path.with_name(self._log.path.name + ".readers")
        folder.mkdir(exist_ok=True)
        file = os.open(folder / f"{quote(self._group, safe='')}.{topic}", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._locks[topic] = file
        return True

    def _read(self, max_records: int) -> list[Entry]:
        entries: list[Entry] = []
        moved: dict[Partition, int] = {}
        # one row: each that is fetched takes the interpreter from the replies
        (found,) = self._connection.execute(
            "SELECT json_group_object(name, next_offset) FROM topics"
        ).fetchone()
        ends = json.loads(found)
        # The partition that was read longest ago comes first, so that none starves.
        for partition, start in self._next.items():
            room = max_records - len(entries)
            if room <= 0:
                break
            if start >= ends[partition.topic]:
                continue
            low = self._log.number(partition.topic) << OFFSET_BITS
            found = self._connection.execute(
                "SELECT place, key, id, value, time_ms FROM entries"
                " WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
                (low + start, low + (1 << OFFSET_BITS), room),
            ).fetchall()
            if not found:  # nothing up to the end, that is, which may stand behind a hole
                moved[partition] = max(start, ends[partition.topic])
                continue
            entries += [Entry(partition, place - low, *rest) for place, *rest in found]
            moved[partition] = entries[-1].offset + 1
        # Behind the last statement: where one fails, what the others gave is read again.
        for partition, place in moved.items():
            del self._next[partition]
            self._next[partition] = place
        return entries

    def _wait(self, seen: int, deadline: float) -> None:
        while (left_s := deadline - time.monotonic()) > 0:
            came = self._appended.wait(min(self._wake_s, left_s))
            if came or self._wanted or self._log.elsewhere() != seen:
                return
