"""The spool on disk: one SQLite file a folder, bounded, each record synced before it counts.

A record is in the file from the transaction that keeps it until one after the log has it. So a
crash repeats some that the log has already (readers drop them by id) and skips none.

Its owner holds a lock round every call. One process uses a folder, which a file lock in it says;
`look` disturbs nobody.
"""

import fcntl
import logging
import os
import sqlite3
import struct
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from streams.errors import SpoolUnavailableError
from streams.log.contract import Outgoing, Topic
from streams.spool import segments, table, unopened
from streams.spool.table import ERRORS, PAGE_BYTES

_log = logging.getLogger(__name__)

NAME = "waiting.db"
DROPPED = struct.Struct(">Q")
# The write-ahead log stands beside the file and takes a part of the bound: an eighth, this at most.
WAL_BYTES = 4 * 2**20
# An emptied file that has grown beyond this is removed, so that the disk has its room again.
SMALL_BYTES = 2**20
# Small, and somebody was told that it is kept: an operator's change, a deletion, a rating.
ANSWERED: tuple[Topic, ...] = ("rollouts", "feedback", "notes")
# Dropping goes by this part of the records, so that not every append to a full spool pays for it.
LUMPS = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Records at the front."""

    records: list[Outgoing]
    end: int  # the number of the last one
    damaged: int  # records among them that cannot be read any more


def open_free(folder: Path, *, max_bytes: int, drop_oldest: bool) -> "SpoolFile | None":
    """Open the file in a folder, or make both; None while another process holds the folder.

    max_bytes: disk that the file may use, its write-ahead log included
    drop_oldest: when that is used up the oldest turns give way; else it is the record that comes
    raises: OSError; SpoolUnavailableError when what waits in it cannot be read now
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder / "held", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    return SpoolFile(folder, held, max_bytes=max_bytes, drop_oldest=drop_oldest)


class SpoolFile:
    """The file in one folder, which is held against other processes until `close`."""

    def __init__(self, folder: Path, held: int, *, max_bytes: int, drop_oldest: bool) -> None:
        """See `open_free`. held: the locked file that is closed with this.

        raises: SpoolUnavailableError when what waits in it cannot be read now
        """
        self.folder = folder
        self.num_records = 0  # that still have to reach the log
        self.num_bytes = 0  # of the file
        self._held = held
        wal_bytes = min(WAL_BYTES, max_bytes // 8)
        self._wal_pages = max(1, wal_bytes // PAGE_BYTES)
        self._max_pages = (max_bytes - wal_bytes) // PAGE_BYTES
        self._drop_oldest = drop_oldest
        self._counter = os.open(folder / "dropped", os.O_RDWR | os.O_CREAT, 0o600)
        self.dropped = _count_in(os.pread(self._counter, DROPPED.size, 0))  # ever
        self._last = self._drained = 0  # numbers: of the last record, and of the last one drained
        self._in_flight = 0  # nothing up to this number is dropped: it may be in the log already
        self._connection: sqlite3.Connection | None = None
        try:
            self._open_or_count()
        except BaseException:
            self.close()
            raise

    def append(self, records: Sequence[Outgoing]) -> list[bool]:
        """Write records and sync them; return of each whether it was kept.

        What cannot be kept (bound reached, disk full or broken) is counted as dropped.
        """
        kept: list[bool] = []
        dropped = 0
        try:
            connection = self._open()
            last = self._last
            with table.transaction(connection):
                table.delete_up_to(connection, self._drained)
                for record in records:
                    fits, gone = self._make_room(connection, record)
                    kept.append(fits)
                    dropped += gone
                    if fits:
                        last += 1
                        table.insert(connection, last, record)
                num_bytes = table.size_bytes(connection)
        except (*ERRORS, OSError) as cause:
            kept, dropped = [False] * len(records), 0
            self._tell("keeps nothing now", cause)
        else:
            self._last, self.num_bytes = last, num_bytes
            self.num_records += kept.count(True) - dropped
        if dropped:
            _log.warning("the spool %s is full: dropped its %d oldest", self.folder, dropped)
        self._count_dropped(dropped + kept.count(False))
        return kept

    def peek(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """Return the records at the front, and guard them from being dropped until `release`.

        raises: sqlite3.Error, OSError when they cannot be read now
        """
        if not self.num_records:
            return None
        records: list[Outgoing] = []
        num_bytes = damaged = 0
        try:
            with closing(table.read(self._open(), behind=self._drained)) as rows:
                for number, record in rows:
                    num_bytes += len(record.value) if record else 0
                    if records and (len(records) == max_records or num_bytes > max_bytes):
                        break
                    if record is None:
                        damaged += 1
                    else:
                        records.append(record)
                    self._in_flight = number
        except ERRORS as cause:
            if not table.is_damage(cause):
                raise
            self._put_aside(cause)
            return None
        if not self._in_flight:  # it was opened only now, and damaged
            return None
        return Batch(records, self._in_flight, damaged)

    def waiting(self, topic: Topic) -> list[Outgoing]:
        """Return a topic's records that still have to reach the log, oldest first.

        raises: SpoolUnavailableError when they cannot be read now
        """
        if not self.num_records:
            return []
        try:
            if self._connection is None:
                found = unopened.read(self.folder, NAME, topic=topic)
                return [record for record in found if record is not None]
            with closing(table.read(self._connection, behind=self._drained, topic=topic)) as rows:
                return [record for _, record in rows if record is not None]
        except (*ERRORS, OSError) as cause:
            raise self._unavailable(cause) from cause

    def release(self, batch: Batch, *, drained: bool) -> None:
        """Say whether a batch that `peek` returned has reached the log.

        What has leaves the file with the next append, or now when nothing waits any more.
        """
        in_flight, self._in_flight = self._in_flight, 0
        if not drained or not in_flight:  # else the file was put aside meanwhile, with this batch
            return
        self._drained = batch.end
        self.num_records -= len(batch.records) + batch.damaged
        if batch.damaged:
            _log.error("the spool %s: %d records were damaged", self.folder, batch.damaged)
            self._count_dropped(batch.damaged)
        if self.num_records:
            return
        try:
            if self.num_bytes > SMALL_BYTES:
                self._begin_anew()
            else:
                connection = self._open()
                with table.transaction(connection):
                    table.delete_up_to(connection, self._drained)
        except (*ERRORS, OSError) as cause:  # after a crash it would be drained again
            self._tell("cannot note what was drained", cause)

    def forget(self, concerned: Callable[[Outgoing], bool]) -> int:
        """Take records out, to the byte, with all that was drained; return how many waited.

        A damaged file that was put aside goes whole. Nothing may be in flight.

        raises: OSError when the disk does not take it: some of their bytes may still be there
        """
        for path in self.folder.glob("damaged.db*"):
            path.unlink()
        try:
            connection = self._open()
            waiting = table.read(connection, behind=self._drained)
            gone = [number for number, record in waiting if record is None or concerned(record)]
            table.erase(connection, gone, up_to=self._drained)
        except ERRORS as cause:
            raise OSError(f"the spool {self.folder} cannot be cleaned now: {cause}") from cause
        finally:
            if self._connection is not None:
                self.num_records = table.count(self._connection, behind=self._drained)
        self.num_bytes = table.size_bytes(connection)
        return len(gone)

    def close(self) -> None:
        """Let go of the folder; what was not drained stays."""
        self._close_file()
        os.close(self._counter)
        os.close(self._held)

    def _open_or_count(self) -> None:
        """Open the file, or count what waits in it: whoever uses it next tries again to open it."""
        try:
            self._open()
            return
        except (*ERRORS, OSError) as cause:
            self._tell("cannot be opened now", cause)
        try:
            self.num_records = sum(1 for _ in unopened.read(self.folder, NAME))
            with suppress(FileNotFoundError):
                self.num_bytes = (self.folder / NAME).stat().st_size
        except (*ERRORS, OSError) as cause:
            if not table.is_damage(cause):
                raise self._unavailable(cause) from cause
            self._put_aside(cause)

    def _unavailable(self, cause: Exception) -> SpoolUnavailableError:
        return SpoolUnavailableError(
            f"what waits for the log in {self.folder} cannot be read now: {cause}. Start again when"
            " it can; where the folder is moved away, it never reaches the log"
        )

    def _open(self) -> sqlite3.Connection:
        """Return the connection, opened if it is not; a damaged file is put aside before.

        What an older build left in the folder comes first, whatever the bound says: until the disk
        takes it, nothing is kept behind it.
        """
        if self._connection is not None:
            return self._connection
        try:
            connection = table.open_table(self.folder / NAME, wal_pages=self._wal_pages)
        except ERRORS as cause:
            if not table.is_damage(cause):
                raise
            self._put_aside(cause)
            connection = table.open_table(self.folder / NAME, wal_pages=self._wal_pages)
        try:
            last = max(table.last_number(connection), self._last)
            for records in segments.read(self.folder):
                with table.transaction(connection):
                    for record in records:
                        last += 1
                        table.insert(connection, last, record)
            segments.remove(self.folder)
            self.num_records = table.count(connection)
            self.num_bytes = table.size_bytes(connection)
        except BaseException:
            connection.close()
            raise
        self._last, self._drained = last, 0
        self._connection = connection
        return connection

    def _make_room(self, connection: sqlite3.Connection, record: Outgoing) -> tuple[bool, int]:
        """Return whether a record fits, and how many older ones were dropped for it."""
        need, dropped = table.pages_for(record), 0
        while table.pages_in_use(connection) + need > self._max_pages:
            gone = 0
            if self._drop_oldest and need < self._max_pages:
                lump = max(1, (self.num_records - dropped) // LUMPS)
                gone = self._drop(connection, lump, for_one_of=record.topic)
            if not gone:
                return False, dropped
            dropped += gone
        return True, dropped

    def _drop(self, connection: sqlite3.Connection, count: int, *, for_one_of: Topic) -> int:
        """Drop the oldest turns; what somebody was told is kept, only for another of its kind."""
        gone = table.delete_oldest(connection, count, behind=self._in_flight, spared=ANSWERED)
        if not gone and for_one_of in ANSWERED:
            gone = table.delete_oldest(connection, count, behind=self._in_flight)
        return gone

    def _begin_anew(self) -> None:
        """Remove the file, of which nothing is needed any more, and begin another."""
        self._close_file()
        for path in self._paths():
            path.unlink(missing_ok=True)
        self._open()

    def _put_aside(self, cause: BaseException) -> None:
        """Move a damaged file away, with what waits in it, and say so."""
        self._close_file()
        for path in self._paths():
            with suppress(FileNotFoundError):
                path.rename(path.with_name(path.name.replace(NAME, "damaged.db")))
        lost, self.num_records, self.num_bytes, self._in_flight = self.num_records, 0, 0, 0
        _log.error(
            "the spool %s was damaged (%s) and is put aside as damaged.db: what waited in it, %s"
            " records, is lost", self.folder, cause, lost or "nobody knows how many",
        )  # fmt: skip
        self._count_dropped(lost)

    def _close_file(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _paths(self) -> list[Path]:
        # In this order: a write-ahead log without its file is nothing, a file without its log torn.
        return [self.folder / (NAME + suffix) for suffix in ("", "-wal", "-shm")]

    def _tell(self, what: str, cause: Exception) -> None:
        _log.error("the spool %s %s: %s", self.folder, what, cause)
        if table.is_damage(cause):
            with suppress(OSError):
                self._put_aside(cause)

    def _count_dropped(self, count: int) -> None:
        """Count records as dropped, over restarts.

        A disk that takes no more is no reason to stop: it is said, and the next count holds this.
        """
        self.dropped += count
        try:
            if count:
                os.pwrite(self._counter, DROPPED.pack(self.dropped), 0)
        except OSError as cause:
            _log.error("the spool %s cannot note its counts: %s", self.folder, cause)


def look(folder: Path) -> tuple[int, int, int]:
    """Say from outside how full a spool's folder is: records to drain, bytes on disk, dropped.

    Reads only, and does not disturb the process that uses the folder.
    """
    dropped = records = num_bytes = 0
    with suppress(FileNotFoundError):
        dropped = _count_in((folder / "dropped").read_bytes())
    with (
        suppress(*ERRORS),  # not there, or being made
        closing(table.open_to_look(folder / NAME)) as file,
    ):
        records = table.count(file)
        num_bytes = table.size_bytes(file)
    return records, num_bytes, dropped


def _count_in(packed: bytes) -> int:
    """Read a count that may not have been written whole: none then."""
    return int(DROPPED.unpack(packed)[0]) if len(packed) == DROPPED.size else 0
