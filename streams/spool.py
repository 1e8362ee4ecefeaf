"""The spool: the agent hands its records over and goes on; disk first, then the log, in order.

Invariants: `put` never waits for disk or log. A record whose future says True is on disk and will
reach the log, across restarts and kill −9, at least once and in the order of the calls, unless the
spool overflows; what is dropped then is counted and never silent. A record that the log will never
take (too large) is buried in dead letters and does not hold up the ones behind it.

Each process has a folder of its own below the given one, held by a file lock; what a dead process
left there is drained by the next that starts.
"""

import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from streams.errors import LogUnavailableError, RecordTooLargeError
from streams.keeping import forgotten
from streams.log import dead_letters
from streams.log.contract import Log, Outgoing
from streams.settings import StreamsSettings
from streams.spool_files import SYNC, Batch, SpoolFiles
from streams.spool_segments import adopt

# Appended to the log at once: large enough to hide its round trip, small beside its limits.
BATCH_RECORDS = 256
BATCH_BYTES = 2**20
# Between two tries while the log is away, growing from the first to the second, seconds.
RETRY_S = (0.1, 5.0)
# Records that wait in memory for the disk; a disk that hangs must not eat the memory.
QUEUE_RECORDS = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the spool is, and what became of what it was given."""

    records: int  # on disk, not yet in the log
    num_bytes: int
    dropped: int  # since the spool was made, over restarts
    drained: int
    log_away: str | None  # why the log cannot be reached now


@dataclass(frozen=True, slots=True)
class _Put:
    """What one call handed over."""

    records: list[Outgoing]
    done: Future[bool]


class Spool:
    """Records on their way to the log. `put` and `depth` may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        log: Log,
        settings: StreamsSettings,
        *,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = SYNC,
    ) -> None:
        """Open the spool and start to drain what an earlier process left.

        folder: where spools live, such as home/spool; this one takes a free folder in it
        """
        self._log = log
        self._max_record_bytes = settings.max_record_bytes
        self._held, own = _hold_folder(folder)
        self._files = SpoolFiles(
            own,
            max_bytes=settings.spool_bytes,
            drop_oldest=settings.spool_when_full == "drop-oldest",
            write=write,
            sync=sync,
        )
        # Two locks: the files' is held while the disk syncs, the callers' never for long.
        self._disk = threading.Condition()
        self._calls = threading.Lock()
        self._incoming: queue.SimpleQueue[_Put | None] = queue.SimpleQueue()
        self._waiting = self._refused = self._drained = 0
        self._away: str | None = None
        self._forgotten: dict[str, int] = {}
        self._must_forget = False
        self._closed = False
        self._stop = threading.Event()
        self._on_disk = self._measure()
        self._writer = threading.Thread(target=self._write_all, name="spool-write", daemon=True)
        self._drainer = threading.Thread(target=self._drain_all, name="spool-drain", daemon=True)
        self._writer.start()
        self._drainer.start()

    def put(self, records: Iterable[Outgoing]) -> Future[bool]:
        """Hand records over; returns at once.

        returns: a future that says, once it is known, whether all of them are safe on disk (False:
            some were dropped and counted)
        """
        given = _Put(list(records), Future())
        with self._calls:
            refused = self._closed or self._waiting + len(given.records) > QUEUE_RECORDS
            if refused:
                self._refused += len(given.records)
            else:
                self._waiting += len(given.records)
                self._incoming.put(given)
        if refused:
            given.done.set_result(False)
        return given.done

    def forget(self, principal: str, until_ms: int) -> None:
        """Let nothing that a principal said up to a moment reach the log; returns at once.

        What waits on disk is taken out, with what was drained and is still there.
        """
        with self._disk:
            self._forgotten[principal] = max(until_ms, self._forgotten.get(principal, 0))
            self._must_forget = True
            self._disk.notify_all()

    def depth(self) -> Depth:
        """Say how full the spool is, without waiting for the disk."""
        records, num_bytes, dropped = self._on_disk
        with self._calls:
            return Depth(
                records=records + self._waiting,
                num_bytes=num_bytes,
                dropped=dropped + self._refused,
                drained=self._drained,
                log_away=self._away,
            )

    def wait_drained(self, wait_s: float) -> bool:
        """Wait until the log has everything, at most wait_s seconds; says whether it has."""
        with self._disk:
            return self._disk.wait_for(lambda: self.depth().records == 0, wait_s)

    def close(self, *, drain_s: float = 5.0) -> None:
        """Write what was put, drain for at most drain_s seconds, stop; the rest stays on disk."""
        with self._calls:
            if self._closed:
                return
            self._closed = True
        self._incoming.put(None)
        self._writer.join()
        self.wait_drained(drain_s)
        self._stop.set()
        with self._disk:
            self._disk.notify_all()
        self._drainer.join()
        self._files.close()
        os.close(self._held)

    def _measure(self) -> tuple[int, int, int]:
        return self._files.num_records, self._files.num_bytes, self._files.dropped

    def _write_all(self) -> None:
        while (first := self._incoming.get()) is not None:
            # Everything that came while the disk was busy shares the next sync.
            taken: list[_Put] = [first]
            last = False
            while not last and not self._incoming.empty():
                following = self._incoming.get()
                last = following is None
                if following is not None:
                    taken.append(following)
            self._write_batch(taken)
            if last:
                return

    def _write_batch(self, taken: Sequence["_Put"]) -> None:
        records = [record for given in taken for record in given.records]
        with self._disk:
            kept = self._files.append(records)
            self._on_disk = self._measure()
            with self._calls:
                self._waiting -= len(records)
            self._disk.notify_all()
        start = 0
        for given in taken:
            given.done.set_result(all(kept[start : start + len(given.records)]))
            start += len(given.records)

    def _drain_all(self) -> None:
        retry_s = RETRY_S[0]
        while not self._stop.is_set():
            try:
                away = self._drain_next()
            except Exception as cause:
                # Retried: a thread that died here would hold back every record to come.
                away = f"the spool cannot be read: {cause}"
                _log.exception("the spool cannot be drained")
            with self._disk:
                self._away = away
                self._disk.notify_all()
            if away is None:
                retry_s = RETRY_S[0]
            else:
                self._stop.wait(retry_s)
                retry_s = min(retry_s * 2, RETRY_S[1])

    def _drain_next(self) -> str | None:
        """Append the front of the spool to the log, once there is one; says why it could not be."""
        with self._disk:
            self._forget_now()
            batch = self._files.peek(max_records=BATCH_RECORDS, max_bytes=BATCH_BYTES)
            if batch is None:
                self._disk.wait_for(self._has_work)
                return None
        away = self._append(batch)
        with self._disk:
            self._files.release(batch, drained=away is None)
            self._on_disk = self._measure()
            self._drained += len(batch.records) if away is None else 0
        return away

    def _has_work(self) -> bool:
        return self._stop.is_set() or self._must_forget or self._files.num_records > 0

    def _forget_now(self) -> None:
        """Take what is forgotten off the disk; nothing is in flight here."""
        if not self._must_forget:
            return
        self._must_forget = False
        try:
            gone = self._files.forget(self._is_forgotten)
        except OSError:
            # It does not reach the log in any case; the files go when they are drained.
            _log.exception("what is forgotten cannot be taken out of the spool now")
            return
        self._on_disk = self._measure()
        _log.info("%d records of somebody who is forgotten were taken out of the spool", gone)

    def _is_forgotten(self, record: Outgoing) -> bool:
        spoken = forgotten.speaker(record.value)
        return spoken is not None and forgotten.covers(self._forgotten, *spoken)

    def _append(self, batch: Batch) -> str | None:
        """Append a batch to the log; says why when the log is away."""
        records = batch.records
        if self._forgotten:  # one may have been on its way to the disk when it was forgotten
            records = [record for record in records if not self._is_forgotten(record)]
        try:
            try:
                self._log.append(records)
            except RecordTooLargeError:
                self._append_singly(records)
        except LogUnavailableError as cause:
            _log.warning("the log is away, %d records spooled: %s", self.depth().records, cause)
            return str(cause)
        except Exception as cause:
            # Retried, too: a thread that died here would hold back every record to come.
            _log.exception("the log cannot be appended to")
            return repr(cause)
        return None

    def _append_singly(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            try:
                self._log.append([record])
            except RecordTooLargeError as cause:
                letter = dead_letters.of_outgoing(
                    record,
                    str(cause),
                    max_bytes=self._max_record_bytes,
                    now_ms=int(time.time() * 1000),
                )
                self._log.append([letter])


def forget_left(folder: Path, principal: str, until_ms: int, settings: StreamsSettings) -> int:
    """Forget in the spools that no living process holds; give how many records went.

    Who lives forgets when it reads the Forgotten record (`Spool.forget`).
    """
    gone = 0
    for own in sorted(folder.iterdir()) if folder.is_dir() else ():
        held = _try_hold(own) if own.is_dir() else None
        if held is None:
            continue
        try:
            files = SpoolFiles(own, max_bytes=settings.spool_bytes, drop_oldest=False)
            try:
                gone += files.forget(lambda record: _said(record, principal, until_ms))
            finally:
                files.close()
        finally:
            os.close(held)
    return gone


def _said(record: Outgoing, principal: str, until_ms: int) -> bool:
    said_ms = forgotten.said_by(record.value, principal)
    return said_ms is not None and said_ms <= until_ms


def _hold_folder(folder: Path) -> tuple[int, Path]:
    """Take the first folder that no living process holds, with what dead ones left elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while (held := _try_hold(folder / str(number))) is None:
        number += 1
    own = folder / str(number)
    for other in sorted(folder.iterdir()):
        if other != own and other.is_dir() and (left := _try_hold(other)) is not None:
            adopt(own, other)
            os.close(left)
    return held, own


def _try_hold(folder: Path) -> int | None:
    folder.mkdir(exist_ok=True)
    file = os.open(folder / "held", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
