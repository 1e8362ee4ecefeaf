"""The table in which records wait for the log: SQL over one SQLite file, synced at every commit.

All topics stand in one order, so that the oldest record can be told. The embedded log has an order
a topic, and no bound: this is a table of its own.
"""

import sqlite3
import zlib
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from streams.log.contract import Outgoing, Topic
from streams.log.file import use_wal

PAGE_BYTES = 4096
# What an insert may take beside its record's pages: a leaf, and inner pages where some are split.
SPARE_PAGES = 3
# SQLite notices a page that makes no sense, and not one bit of a text that flipped: the checksum
# (CRC-32 of all four, a line each) does.
_TABLE = (
    "CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY, checksum INTEGER NOT NULL,"
    " topic BLOB NOT NULL, key BLOB NOT NULL, id BLOB NOT NULL, value BLOB NOT NULL)"
)
_ODD = "surrogatepass"  # half of a surrogate pair, which a client's text may hold
# What an operation on the file may raise; a message that quotes a damaged file cannot be decoded.
ERRORS = (sqlite3.Error, UnicodeDecodeError)
# What a later try may not meet again; everything else says that the file is not what we wrote.
_PASSING = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM,
)  # fmt: skip


class DamagedError(sqlite3.DatabaseError):
    """A page of the file makes no sense."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def open_table(path: Path, *, wal_pages: int) -> sqlite3.Connection:
    """Open the file, or make it.

    wal_pages: length at which the write-ahead log goes into the file
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {wal_pages}")
        connection.execute(f"PRAGMA journal_size_limit = {wal_pages * PAGE_BYTES}")
        connection.execute(_TABLE)
        _look_through(connection)
        return connection
    except BaseException:
        connection.close()
        raise


def _look_through(connection: sqlite3.Connection) -> None:
    """Look whether every page makes sense: rows of one that does not are left out unsaid."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(found)


def open_to_look(path: Path) -> sqlite3.Connection:
    """Open the file so that nothing can be changed; it must be there."""
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)


@contextmanager
def opened_alone(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open the file where it cannot be opened for others, too; None where no record ever was in it.

    The index of its write-ahead log is in our memory then: a full disk has no room for another.
    Only whoever holds the folder may do so.
    """
    if not path.exists():
        yield None
        return
    file = f"file:{quote(str(path.resolve()))}?mode=rw"
    with closing(sqlite3.connect(file, uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _look_through(connection)
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'waiting'").fetchone()
        yield connection if made else None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes, durably; when it raises, nothing of it is there."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def insert(connection: sqlite3.Connection, number: int, record: Outgoing) -> None:
    """Add a record at a place behind all others."""
    texts = [text.encode(errors=_ODD) for text in (record.topic, record.key, record.id)]
    parts = [*texts, record.value]
    connection.execute(
        "INSERT INTO waiting (number, checksum, topic, key, id, value) VALUES (?, ?, ?, ?, ?, ?)",
        (number, _checksum(parts), *parts),
    )


def read(
    connection: sqlite3.Connection, *, behind: int, topic: Topic | None = None
) -> Generator[tuple[int, Outgoing | None], None, None]:
    """Yield the records behind a number, oldest first, each with its own number.

    One that was damaged since is None.

    topic: the only one; None: all
    """
    query = (
        "SELECT number, checksum, topic, key, id, value FROM waiting WHERE number > ?"
        " AND topic = COALESCE(?, topic) ORDER BY number"
    )
    with closing(connection.execute(query, (behind, topic and topic.encode()))) as rows:
        for number, checksum, *parts in rows:
            whole = all(isinstance(part, bytes) for part in parts) and checksum == _checksum(parts)
            yield number, _record(*parts) if whole else None


def delete_up_to(connection: sqlite3.Connection, number: int) -> None:
    """Delete the records up to a number, that one included."""
    connection.execute("DELETE FROM waiting WHERE number <= ?", (number,))


def delete_oldest(
    connection: sqlite3.Connection, count: int, *, behind: int, spared: Collection[Topic] = ()
) -> int:
    """Delete so many of the oldest records behind a number; return how many there were.

    spared: topics whose records stay
    """
    topics = ", ".join("?" * len(spared))
    oldest = (
        f"SELECT number FROM waiting WHERE number > ? AND topic NOT IN ({topics})"  # noqa: S608
        " ORDER BY number LIMIT ?"
    )
    deleted = connection.execute(
        f"DELETE FROM waiting WHERE number IN ({oldest})",  # noqa: S608 - our own words
        (behind, *(topic.encode() for topic in spared), count),
    )
    return deleted.rowcount


def erase(connection: sqlite3.Connection, numbers: Iterable[int], *, up_to: int) -> None:
    """Delete some records and all up to a number, and every byte of what was ever deleted."""
    with transaction(connection):
        delete_up_to(connection, up_to)
        connection.executemany("DELETE FROM waiting WHERE number = ?", ((n,) for n in numbers))
    # Free pages and the write-ahead log quote what was deleted.
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def count(connection: sqlite3.Connection, *, behind: int = 0) -> int:
    """Count the records behind a number."""
    found = connection.execute("SELECT COUNT(*) FROM waiting WHERE number > ?", (behind,))
    return int(found.fetchone()[0])


def last_number(connection: sqlite3.Connection) -> int:
    """Return the number of the last record, 0 where there is none."""
    found = connection.execute("SELECT COALESCE(MAX(number), 0) FROM waiting")
    return int(found.fetchone()[0])


def size_bytes(connection: sqlite3.Connection) -> int:
    """Return how long the file is, as the transaction under way sees it."""
    return _pragma(connection, "page_count") * PAGE_BYTES


def pages_in_use(connection: sqlite3.Connection) -> int:
    """Count the pages that hold something; the file's others are used before it grows."""
    return _pragma(connection, "page_count") - _pragma(connection, "freelist_count")


def pages_for(record: Outgoing) -> int:
    """Return how many pages a record takes, at most."""
    num_bytes = len(record.value) + 4 * (len(record.key) + len(record.id))  # UTF-8
    return num_bytes // (PAGE_BYTES - 4) + SPARE_PAGES


def is_damage(cause: Exception) -> bool:
    """Tell a file that is damaged from one that cannot be used just now."""
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF not in _PASSING
    return isinstance(cause, UnicodeDecodeError)


def _checksum(parts: Iterable[bytes]) -> int:
    return zlib.crc32(b"\n".join(parts))


def _record(topic: bytes, key: bytes, id: bytes, value: bytes) -> Outgoing:
    texts = (text.decode(errors=_ODD) for text in (topic, key, id))
    return Outgoing(*texts, value)  # type: ignore[arg-type, call-arg]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
