"""The store: SQL transactions over SQLite or PostgreSQL.

Invariants: what a transaction wrote is durable when its block ends, or none of it is there. On
SQLite a transaction takes the write lock when it begins, so it never fails half-way for another
writer; on PostgreSQL it is READ COMMITTED, and a writer that must be alone locks the row that
decides (streams.store.lease, streams.store.offsets). Readers see one moment and never wait for a
writer.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlmodel import Session

from streams.errors import ExtraMissingError, SchemaError, StoreUnavailableError
from streams.log.file import use_wal
from streams.settings import StreamsSettings
from streams.store import schema

# Longer than any transaction of ours takes, short enough that a stuck writer is noticed.
BUSY_S = 30.0
# The write-ahead log is cut back to this after a checkpoint, so one large transaction is not
# paid for on disk for ever.
WAL_LIMIT_BYTES = 64 * 2**20
# Rows that one statement names: PostgreSQL takes 65,535 values, SQLite as others build it 32,766.
NAMED: Final = 1000


class Store:
    """A database of ours. Safe to share between threads; a session is not."""

    def __init__(self, url: str | URL, *, busy_s: float = BUSY_S) -> None:
        """Name the database; nothing is opened before the first transaction.

        url: sqlite:///path, or postgresql://…, postgres://… (read as postgresql+psycopg://)
        busy_s: how long SQLite waits for another writer, seconds
        raises: ExtraMissingError when PostgreSQL is asked for without psycopg
        """
        self.url = store_url(url)
        self.engine = _open_engine(self.url, busy_s)
        self._reader = self.engine.execution_options(**_READING[self.engine.dialect.name])

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session whose writes commit together when the block ends, or not at all.

        raises: StoreUnavailableError when the database is away, busy or full, or takes no writes
            now (on a lost connection the commit may have happened: what you repeat must be
            idempotent); SchemaError when the file turns out to be damaged
        """
        opened = Session(self.engine, expire_on_commit=False)
        with _translated(), opened as session, session.begin():
            session.connection()  # begin now, not at the first statement
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees one moment of the database and never waits for a writer."""
        with _translated(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def settle(self) -> None:
        """Empty SQLite's write-ahead log, which still quotes what was changed, if nobody reads it.

        PostgreSQL lets go of old rows by its own vacuum.
        """
        if self.engine.dialect.name == "sqlite":
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                connection.close()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_store(settings: StreamsSettings) -> Store:
    """Open the store of the settings, with its schema brought up to date under a lock.

    raises: SchemaError when its schema is newer than this build, or damaged (it is untouched);
        StoreUnavailableError when the database cannot be reached
    """
    store = reach_store(settings)
    try:
        with _translated():
            schema.migrate(store.engine)
    except BaseException:
        store.close()
        raise
    return store


def reach_store(settings: StreamsSettings) -> Store:
    """Name the store of the settings as it is: not migrated, and not opened before its first use.

    For processes that only read what others keep there, and go on without it while it is away.
    """
    if settings.store is None:
        settings.home.expanduser().mkdir(parents=True, exist_ok=True)
    own = URL.create("sqlite", database=str(settings.home.expanduser() / "store.db"))
    return Store(settings.store or own)


def store_url(url: str | URL) -> URL:
    """Read a database URL, with the driver that we use.

    raises: ValueError, which never has the password in it; a database in memory is refused, as no
        other process and no restart would find it

    >>> store_url("postgres://me@host/db").drivername
    'postgresql+psycopg'
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("no database URL: give sqlite:///… or postgresql://…") from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ValueError(f"{parsed.drivername}: choose sqlite or postgresql")
    if parsed.drivername == "sqlite" and (parsed.host or parsed.database in (None, "", ":memory:")):
        raise ValueError("no file is named: give sqlite:///relative.db or sqlite:////absolute.db")
    if not parsed.database and "dbname" not in parsed.query:
        raise ValueError("no database is named: give postgresql://user@host/database")
    return parsed


def pieces(names: Iterable[str], most: int = NAMED) -> Iterator[list[str]]:
    """Cut names of rows into as many as one statement names.

    >>> list(pieces("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    left = iter(names)
    while some := list(islice(left, most)):
        yield some


_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"begin": "BEGIN DEFERRED"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def _open_engine(url: URL, busy_s: float) -> Engine:
    """Open an engine whose errors, which go to logs, do not quote what was to be kept."""
    if url.get_backend_name() == "sqlite":
        if url.database:
            url = url.set(database=str(Path(url.database).expanduser()))
        engine = create_engine(
            url,
            hide_parameters=True,
            connect_args={"timeout": busy_s, "check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        # A connection that a restarted server has dropped is replaced before it is used.
        engine = create_engine(
            url, hide_parameters=True, pool_pre_ping=True, isolation_level="READ COMMITTED"
        )
    except ModuleNotFoundError as missing:
        raise ExtraMissingError(
            "a PostgreSQL store needs the package psycopg: pip install 'quickset[postgres]'"
        ) from missing
    event.listen(engine, "handle_error", _leave_read_only)
    event.listen(engine, "checkin", _ask_for_no_mode)
    return engine


def _leave_read_only(context: ExceptionContext) -> None:
    """Count a connection to a server that takes no writes now as lost.

    Such a server was demoted, or its operator says so for a while: another connection may find one
    that takes them. A write in a session of ours that only reads stays a mistake of ours.
    """
    told = context.connection.get_execution_options() if context.connection is not None else {}
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = not told.get("postgresql_readonly", False)


def _ask_for_no_mode(connection: Any, _: object) -> None:
    """Let the next transaction be what the server makes it.

    SQLAlchemy gives a connection that was lent for reading back as one that asks for READ WRITE,
    which a standby refuses as a feature that it lacks, and not as _READ_ONLY.
    """
    if connection is not None and connection.read_only is False:
        connection.read_only = None


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we begin transactions, not the driver
    use_wal(connection)
    # FULL: a committed transaction survives a power cut; its records may be published already.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten: whose data is forgotten must not find it in the file's gaps.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a deferred transaction that begins to write after another one wrote cannot wait,
    # it fails.
    begin = connection.get_execution_options().get("begin", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(begin)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as cause:
        raised = _translate(cause)
        if raised is None:
            raise
        raise raised from cause


def _translate(cause: DBAPIError) -> Exception | None:
    if isinstance(cause.orig, sqlite3.DatabaseError):
        code = getattr(cause.orig, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return SchemaError(f"the store is damaged ({cause.orig}): restore it from a backup")
        if code in _SQLITE_PASSING:
            return StoreUnavailableError(f"the store cannot be used now: {cause.orig}")
        return None
    if _TOO_MANY_VALUES in str(cause.orig):
        return None
    passing = isinstance(cause, OperationalError | InterfaceError)
    if passing or (isinstance(cause, DatabaseError) and cause.connection_invalidated):
        return StoreUnavailableError(f"the store cannot be used now: {cause.orig}")
    return None


# What psycopg says of a statement that it does not even send: no other try would be better.
_TOO_MANY_VALUES: Final = "number of parameters must be between"
# psycopg counts it as a mistake, and all else that may be better at the next try (40001, 40P01,
# 53…, 55P03, 57P…, 58…) as an OperationalError.
_READ_ONLY = "25006"
# What may be better at the next try; everything else is an error in our statements.
_SQLITE_PASSING = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM,
)  # fmt: skip
