"""The turns that may be asked for again, and the last feedback on any: one SQLite file.

It is made from the log alone. Only turns that carry a response are kept, so that it is small. It
may be deleted at any time, and is made again; so it is when it is damaged, of another build, or of
another log. Several processes of a machine may share it: whatever one of them has read, all have.
Damage that only shows later is told to whoever meets it, as DamagedError, and to all after them;
whoever reads the log makes the file anew then, and begins at the log's beginning.

Invariants: what a forgotten principal said before the moment is not in it, whichever of the two is
read first; a deleted turn stays deleted, also when it is read after its deletion, and so does its
principal's feedback on it; of the feedback on a turn the last in the log's order is kept, whoever
of several processes reads it when, and feedback that the log has twice stands where it came first;
what is older than the log keeps is not in it, by when the log took it, which a clock that is ahead
has no say in (streams.keeping.leap).

Knows nothing of HTTP, nor of how the log is read.
"""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from agent.errors import DamagedError
from streams.clock import steady
from streams.errors import RecordError, UnreadableRecordError
from streams.keeping import forgotten
from streams.keeping.leap import DAY_MS, leap
from streams.log.contract import Entry, Partition, Topic
from streams.log.file import use_wal
from streams.log.mark import Mark
from streams.records import Deletion, Feedback, Forgotten, Turn, decode

FILE: Final = "responses.db"  # in the home of the agents that share it
TOPICS: Final[tuple[Topic, ...]] = ("turns", "feedback", "forgotten")
SCHEMA_VERSION: Final = 4
_AGEING: Final = ("turns", "feedback", "feedback_ids")
# What the records of interest have in their canonical bytes; most records are passed over by it.
# No text can hold these bytes: a quotation mark in one is escaped.
_MARKS: Final[Mapping[Topic, bytes]] = {
    "turns": b'"response":{',
    "feedback": b'"kind":',
    "forgotten": b'"kind":"forgotten"',
}
_SCHEMA: Final = (
    """CREATE TABLE offsets (
        topic TEXT, number INTEGER, next INTEGER, last_id TEXT NOT NULL, PRIMARY KEY (topic, number)
    )""",  # last_id: of the record before the next
    """CREATE TABLE turns (
        id TEXT PRIMARY KEY, principal TEXT NOT NULL, created_ms INTEGER NOT NULL,
        taken_ms INTEGER NOT NULL, value BLOB
    )""",  # a deleted turn has no value
    "CREATE INDEX turns_taken ON turns (taken_ms)",
    "CREATE INDEX turns_principal ON turns (principal)",
    """CREATE TABLE feedback (
        turn_id TEXT PRIMARY KEY, principal TEXT NOT NULL, created_ms INTEGER NOT NULL,
        taken_ms INTEGER NOT NULL, at INTEGER NOT NULL, value BLOB NOT NULL
    )""",  # at: offset, in the one partition that all feedback on a turn has
    "CREATE INDEX feedback_taken ON feedback (taken_ms)",
    "CREATE INDEX feedback_principal ON feedback (principal)",
    """CREATE TABLE feedback_ids (
        id TEXT PRIMARY KEY, taken_ms INTEGER NOT NULL, at INTEGER NOT NULL
    )""",  # all that was read, by where it came first
    "CREATE INDEX feedback_ids_taken ON feedback_ids (taken_ms)",
    "CREATE TABLE forgotten (principal TEXT PRIMARY KEY, moment_ms INTEGER NOT NULL)",
)

# Raised by a number over 64 bits, and by half of a surrogate pair: of another program's records.
_NOT_HELD: Final = (OverflowError, UnicodeEncodeError)

_LOG = logging.getLogger(__name__)


class Projection:
    """The file. Any thread may call every method; all but `mend` and `close` raise DamagedError."""

    def __init__(
        self, path: Path, *, keep_days: int, clock: Callable[[], float] | None = None
    ) -> None:
        """Open the file, or make it.

        keep_days: as the log keeps turns
        clock: Unix seconds, which no record is believed to be ahead of; by default a steady one
        """
        self._path, self._keep_days, self._clock = path, keep_days, clock or steady()
        self._first_after: dict[int, int] = {}  # the last of what is old → the first that is not
        self._lock = threading.Lock()
        self._closed = False
        self._damage: str | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _open_or_make(path)
        self._file = _which(path)

    @property
    def is_damaged(self) -> bool:
        """Whether somebody met damage that has not been mended."""
        return self._damage is not None

    def mend(self) -> None:
        """Make the file anew where it is damaged: nothing has been read then.

        Another process that shares it may have done so already: then that file is used.
        """
        with self._lock:
            if self._damage is None or self._closed:
                return
            self._connection.close()
            if _which(self._path) == self._file:
                _LOG.warning("%s is damaged and is made anew: %s", self._path, self._damage)
                _remove(self._path)
            self._connection = _open_or_make(self._path)
            self._file, self._damage = _which(self._path), None

    def positions(self) -> dict[Partition, int]:
        """The next offset to read of each partition that was read before."""
        return {partition: mark.next_offset for partition, mark in self.marks().items()}

    def marks(self) -> dict[Partition, Mark]:
        """How far each partition was read, and what was read of it last."""
        with self._using() as connection:
            rows = connection.execute("SELECT topic, number, next, last_id FROM offsets").fetchall()
        return {Partition(topic, number): Mark(*mark) for topic, number, *mark in rows}

    def take(self, entries: Sequence[Entry]) -> list[tuple[str, bool]]:
        """Keep what is to be kept of these entries, and that they have been read.

        returns: the turns that were among them, by id, and whether each is deleted
        """
        with self._transaction() as connection:
            seen = [each for entry in entries for each in _take_if_held(connection, entry)]
            self._let_go(connection, [entry.time_ms for entry in entries])
            _advance(connection, entries)
        if any(entry.partition.topic != "turns" for entry in entries):
            self._settle()
        return seen

    def forget(self, records: Iterable[Forgotten]) -> None:
        """Take out what principals said before their moments; doing it again changes nothing."""
        with self._transaction() as connection:
            for record in records:
                with suppress(*_NOT_HELD):
                    _forget(connection, record)
        self._settle()

    def find(self, turn_id: str) -> tuple[bool, Turn | None]:
        """Look for a turn. returns: whether it is known, and the turn; None: it was deleted."""
        with self._using() as connection:
            row = connection.execute("SELECT value FROM turns WHERE id = ?", (turn_id,)).fetchone()
            found = decode(row[0]) if row is not None and row[0] is not None else None
        return row is not None, found if isinstance(found, Turn) else None

    def feedback(self, turn_id: str) -> Feedback | None:
        """Return the last feedback on a turn, also one that takes back all before it."""
        with self._using() as connection:
            row = connection.execute(
                "SELECT value FROM feedback WHERE turn_id = ?", (turn_id,)
            ).fetchone()
            found = decode(row[0]) if row is not None else None
        return found if isinstance(found, Feedback) else None

    def has_read(self, feedback_id: str) -> bool:
        """Whether this feedback has been read, also where other feedback has replaced it."""
        with self._using() as connection:
            row = connection.execute(
                "SELECT 1 FROM feedback_ids WHERE id = ?", (feedback_id,)
            ).fetchone()
        return row is not None

    def clear(self) -> None:
        """Begin anew: the log that this was made from is not there any more."""
        with self._transaction() as connection:
            for table in ("offsets", "turns", "feedback", "feedback_ids", "forgotten"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  # names of our own
        self._settle()

    def close(self) -> None:
        """Close the file; closing again changes nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _let_go(self, connection: sqlite3.Connection, read_ms: Sequence[int]) -> None:
        """Delete what is too old beside the newest of what was read."""
        now_ms = int(self._clock() * 1000)
        newest_ms = min(max(read_ms, default=0), now_ms)  # one that is dated ahead came now
        old_ms = newest_ms - self._keep_days * DAY_MS
        before_ms = max(_ends(connection, "max", "<", old_ms), default=None)
        if before_ms is None:
            return
        young_ms = [each for each in read_ms if each >= old_ms]
        young_ms += _ends(connection, "min", ">=", old_ms)
        first_ms = min(self._first_after.get(before_ms, newest_ms), *young_ms)
        self._first_after = {before_ms: first_ms}
        if leap(self._keep_days, before_ms=before_ms, first_ms=first_ms, newest_ms=newest_ms):
            old_ms = before_ms - self._keep_days * DAY_MS
        for table in _AGEING:
            old = f"DELETE FROM {table} WHERE taken_ms < ?"  # noqa: S608  # names of our own
            connection.execute(old, (old_ms,))

    def _settle(self) -> None:
        """Empty the write-ahead log, which still quotes what was taken out, if nobody reads it."""
        with self._using() as connection, contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Use the connection, one thread at a time, and tell damage from all other trouble."""
        with self._lock:
            if self._damage is not None:
                raise DamagedError(f"{self._path} is damaged: {self._damage}")
            try:
                yield self._connection
            except (sqlite3.DatabaseError, UnreadableRecordError) as cause:
                if not _is_damage(cause):
                    raise
                self._damage = str(cause)
                raise DamagedError(f"{self._path} is damaged: {cause}") from cause

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _is_damage(cause: Exception) -> bool:
    if isinstance(cause, UnreadableRecordError):
        return True  # only what could be read is kept
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _open_or_make(path: Path) -> sqlite3.Connection:
    try:
        return _open(path)
    except sqlite3.DatabaseError as cause:
        _LOG.warning("%s cannot be used and is made anew: %s", path, cause)
        _remove(path)
        return _open(path)


def _which(path: Path) -> tuple[int, int] | None:
    """Which file lies there now; None: none."""
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    try:
        use_wal(connection)
        # NORMAL: after a power cut it may lack what came last, which is read again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            connection.execute("SELECT count(*) FROM offsets").fetchone()
            return connection
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"its schema is {version}, ours is {SCHEMA_VERSION}")
        if version == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _take_if_held(connection: sqlite3.Connection, entry: Entry) -> list[tuple[str, bool]]:
    """Take an entry; what no file holds is passed over, else it would be read again for ever."""
    try:
        return list(_take(connection, entry))
    except _NOT_HELD as cause:
        place = f"{entry.partition.topic} {entry.partition.number} at {entry.offset}"
        _LOG.warning("%s cannot be kept: %s", place, cause)
        return []


def _take(connection: sqlite3.Connection, entry: Entry) -> Iterator[tuple[str, bool]]:
    if _MARKS[entry.partition.topic] not in entry.value:
        return
    try:
        record = decode(entry.value)
    except RecordError:
        return  # of a later build, which keeps a file of its own kind
    match record:
        case Turn() if record.response is not None:
            if not _is_forgotten(connection, record, entry.time_ms):
                _keep_turn(connection, record, entry)
            yield record.id, False
        case Deletion():
            _delete(connection, record, entry)
            yield record.turn_id, True
        case Feedback() if not _is_forgotten(connection, record, entry.time_ms):
            if not _is_repeat(connection, entry):
                _keep_feedback(connection, record, entry)
        case Forgotten():
            _forget(connection, record)


def _keep_turn(connection: sqlite3.Connection, record: Turn, entry: Entry) -> None:
    connection.execute(
        "INSERT INTO turns VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
        " SET principal = excluded.principal, value = excluded.value"
        " WHERE principal != excluded.principal",  # who deleted it had no right to
        (record.id, record.principal, record.created_ms, entry.time_ms, entry.value),
    )


def _delete(connection: sqlite3.Connection, record: Deletion, entry: Entry) -> None:
    connection.execute(
        "INSERT INTO turns VALUES (?, ?, ?, ?, NULL) ON CONFLICT (id) DO UPDATE"
        " SET value = NULL WHERE principal = excluded.principal",
        (record.turn_id, record.principal, record.created_ms, entry.time_ms),
    )
    connection.execute(
        "DELETE FROM feedback WHERE turn_id = ? AND principal = ?",
        (record.turn_id, record.principal),
    )


def _keep_feedback(connection: sqlite3.Connection, record: Feedback, entry: Entry) -> None:
    connection.execute(
        "INSERT INTO feedback SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS"
        " (SELECT 1 FROM turns WHERE id = ?1 AND principal = ?2 AND value IS NULL)"  # deleted
        " ON CONFLICT (turn_id) DO UPDATE"
        " SET principal = excluded.principal, created_ms = excluded.created_ms,"
        " taken_ms = excluded.taken_ms, at = excluded.at, value = excluded.value"
        " WHERE at <= excluded.at OR value = excluded.value",  # the same, by where it came first
        (record.turn_id, record.principal, record.created_ms, entry.time_ms, entry.offset,
         entry.value),
    )  # fmt: skip


def _is_repeat(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Whether the log has this feedback before, too: a spool hands over again what it may have."""
    connection.execute(
        "INSERT INTO feedback_ids VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
        " SET at = excluded.at WHERE at > excluded.at",
        (entry.id, entry.time_ms, entry.offset),
    )
    first = connection.execute("SELECT at FROM feedback_ids WHERE id = ?", (entry.id,)).fetchone()
    return bool(first[0] < entry.offset)


def _is_forgotten(connection: sqlite3.Connection, said: Turn | Feedback, taken_ms: int) -> bool:
    row = connection.execute(
        "SELECT moment_ms FROM forgotten WHERE principal = ?", (said.principal,)
    ).fetchone()
    moments = {said.principal: row[0]} if row else {}
    return forgotten.covers(moments, said.principal, said.created_ms, taken_ms)


def _forget(connection: sqlite3.Connection, record: Forgotten) -> None:
    connection.execute(
        "INSERT INTO forgotten VALUES (?, ?) ON CONFLICT (principal) DO UPDATE"
        " SET moment_ms = max(moment_ms, excluded.moment_ms)",
        (record.principal, record.created_ms),
    )
    for table in ("turns", "feedback"):
        connection.execute(
            f"DELETE FROM {table} WHERE principal = ?"  # noqa: S608  # names of our own
            " AND min(created_ms, taken_ms) <= ?",
            (record.principal, record.created_ms),
        )


def _ends(connection: sqlite3.Connection, end: str, side: str, than_ms: int) -> list[int]:
    """Return the first or the last that the log took on one side of a moment, of each table."""
    found = (
        connection.execute(
            f"SELECT {end}(taken_ms) FROM {table} WHERE taken_ms {side} ?",  # noqa: S608
            (than_ms,),
        ).fetchone()[0]
        for table in _AGEING
    )
    return [each for each in found if each is not None]


def _advance(connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    last = {entry.partition: entry for entry in entries}
    connection.executemany(
        "INSERT INTO offsets VALUES (?, ?, ?, ?) ON CONFLICT (topic, number) DO UPDATE"
        " SET next = excluded.next, last_id = excluded.last_id WHERE next < excluded.next",
        [(at.topic, at.number, entry.offset + 1, entry.id) for at, entry in last.items()],
    )
