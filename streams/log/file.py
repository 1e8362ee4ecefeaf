"""The file of the embedded log: opened, made, and refused untouched when it is not one of ours."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from streams.clock import UNSET_BEFORE_S
from streams.errors import LogUnavailableError, SchemaError
from streams.log.contract import TOPICS

APPLICATION_ID = int.from_bytes(b"QSlg")  # marks the file as a log of ours (SQLite file header)
SCHEMA_VERSION = 1
# `place` is topic number · 2^48 + offset: one clustered table in which every topic is a range.
OFFSET_BITS = 48
BUSY_S = 10.0
TURN_S = 0.0005  # between two tries to begin to write, which takes some milliseconds
RETRY_S = 0.01  # another process switches a new file's mode within this, mostly
WAL_LIMIT_BYTES = 64 * 2**20
_AHEAD_MS = 24 * 60 * 60 * 1000

_SCHEMA = (
    """CREATE TABLE topics (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, next_offset INTEGER NOT NULL
    )""",
    """CREATE TABLE entries (
        place INTEGER PRIMARY KEY, key TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL,
        time_ms INTEGER NOT NULL
    )""",
)


# Appends to a topic by its number, at the offset that follows. It writes into a view of the
# connection's own (`open_door`): a record is one statement then, and so a transaction by itself.
# Each statement of a thread takes the interpreter from the replies some three times.
#
# No record is dated before the one before it where the appender's clock was never set, or is a
# little behind another process's: it would be older than it is, and pruned too early. One that is
# set is not held to a record that was dated more than a day ahead of it, for years perhaps.
APPEND = "INSERT INTO appended VALUES (?, ?, ?, ?, ?)"
_DOOR = f"""
    CREATE TEMP VIEW appended (topic, key, id, value, time_ms) AS SELECT 0, '', '', x'', 0;
    CREATE TEMP TRIGGER append INSTEAD OF INSERT ON appended BEGIN
        SELECT RAISE(ABORT, 'the topic is not in the file')
            WHERE NOT EXISTS (SELECT 1 FROM topics WHERE number = NEW.topic);
        UPDATE topics SET next_offset = next_offset + 1 WHERE number = NEW.topic;
        INSERT INTO entries (place, key, id, value, time_ms)
            SELECT (number << {OFFSET_BITS}) + next_offset - 1,
                NEW.key, NEW.id, NEW.value,
                max(NEW.time_ms, coalesce((
                    SELECT time_ms FROM (
                        SELECT time_ms FROM entries
                        WHERE place >= number << {OFFSET_BITS}
                            AND place < (number << {OFFSET_BITS}) + next_offset - 1
                        ORDER BY place DESC LIMIT 1
                    ) WHERE NEW.time_ms < {UNSET_BEFORE_S * 1000}
                        OR time_ms - NEW.time_ms <= {_AHEAD_MS}
                ), 0))
            FROM topics WHERE number = NEW.topic;
    END;
"""  # noqa: S608 - our own words


def connect(path: Path, *, busy_s: float = BUSY_S) -> sqlite3.Connection:
    """Open the file for reading and writing, durably.

    busy_s: how long a statement waits while others write; 0: not at all, for `insist`
    raises: SchemaError, LogUnavailableError
    """
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=busy_s, isolation_level=None, check_same_thread=False
        )
        use_wal(connection)
        # FULL: an appended record survives a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        # What is pruned or erased is overwritten: whose words they were is not in the file's gaps.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        return connection


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch a file to write-ahead logging; of many that open a new file at once, one does it.

    SQLite's own timeout does not hold here: while another process writes, it refuses at once.
    """
    insist(connection, "PRAGMA journal_mode = WAL", pause_s=RETRY_S)


def open_door(connection: sqlite3.Connection) -> None:
    """Let a connection take `APPEND`; the file stays as it is."""
    connection.executescript(_DOOR)


def begin(connection: sqlite3.Connection) -> None:
    """Begin to write through a connection that waits by itself otherwise; see `insist`."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        insist(connection, "BEGIN IMMEDIATE")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")


def insist(
    connection: sqlite3.Connection,
    statement: str,
    values: Sequence[object] = (),
    *,
    busy_s: float = BUSY_S,
    pause_s: float = TURN_S,
) -> sqlite3.Cursor:
    """Execute as soon as nobody else writes; at the latest after busy_s seconds.

    SQLite's own waiting looks again ever more seldom, ten times a second in the end. A process that
    appends in a loop leaves the file alone for some microseconds at a time: others would starve.

    raises: sqlite3.OperationalError, when others are busy for longer
    """
    deadline = time.monotonic() + busy_s
    while True:
        try:
            return connection.execute(statement, values)
        except sqlite3.OperationalError as cause:
            busy = cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(pause_s)


def look_first(path: Path) -> None:
    """Refuse what is not ours through a connection that cannot write: it stays untouched."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with translated(path):
        look = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
        try:
            _prove_ours(look, path)
        finally:
            look.close()


def _prove_ours(connection: sqlite3.Connection, path: Path) -> None:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    mark = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if mark == APPLICATION_ID and version > SCHEMA_VERSION:
        raise SchemaError(
            f"the log {path} is of schema {version}, this build reads up to {SCHEMA_VERSION}:"
            " upgrade quickset"
        )
    if tables and mark != APPLICATION_ID:
        raise SchemaError(f"{path} is a database of another program: name another streams home")
    if tables and not {"topics", "entries"} <= tables:
        raise SchemaError(f"the log {path} is damaged: restore it from a backup, or move it away")


def create(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing, in the transaction that the caller has begun."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    # A topic that a later build adds gets the next number; the numbers never change.
    connection.executemany(
        "INSERT INTO topics (name, next_offset) VALUES (?, 0) ON CONFLICT DO NOTHING",
        [(topic,) for topic in TOPICS],
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Tell a damaged file from one that cannot be used just now."""
    try:
        yield
    except sqlite3.DatabaseError as cause:
        if getattr(cause, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            raise SchemaError(
                f"the log {path} is damaged ({cause}): restore it from a backup, or move it away"
            ) from cause
        raise LogUnavailableError(f"the log {path} cannot be used now: {cause}") from cause
