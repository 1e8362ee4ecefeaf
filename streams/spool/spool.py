"""The spool: the agent hands its records over and goes on; they reach the log, in order.

Invariants: `put` never waits for disk or log. A record whose future says True is on disk and is in
the log or will reach it, across restarts and kill −9, at least once and in the order of the calls,
unless the spool overflows; what is dropped then is counted and never silent. A record that the log
will never take (too large) becomes a dead letter and does not hold up the ones behind it.

Where the log is a file of this machine a record goes there at once, and lies on disk once: the
spool's own file (streams.spool.file) is for what the log does not take now, and for all that comes
before it has. Before a log elsewhere every record goes into that file first.

Each process has a folder of its own below the given one; what a dead process left there is drained
by the next that starts.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streams.backoff import Backoff
from streams.errors import LogUnavailableError, RecordTooLargeError
from streams.keeping import forgotten
from streams.log import dead_letters
from streams.log.contract import Log, Outgoing
from streams.records import speaker
from streams.settings import StreamsSettings
from streams.spool.folder import open_files
from streams.spool.table import ERRORS

# Appended to the log at once: large enough to hide its round trip, small beside its limits.
BATCH_RECORDS = 256
BATCH_BYTES = 2**20
# Between two tries while the log is away, growing from the first to the second, seconds.
RETRY_S = (0.1, 5.0)
# Records that wait in memory for the disk; a disk that hangs must not eat the memory.
QUEUE_RECORDS = 10_000

_log = logging.getLogger(__name__)

Append = Callable[[Sequence[Outgoing]], None]


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the spool is, and what became of what it was given."""

    records: int  # not yet in the log
    num_bytes: int  # of the spool's files
    dropped: int  # since the spool was made, over restarts
    drained: int  # into the log, by this process
    log_away: str | None  # why the log cannot be reached now


@dataclass(frozen=True, slots=True)
class _Put:
    """What one call handed over."""

    records: list[Outgoing]
    done: Future[bool]


class Spool:
    """Records on their way to the log. `put` and `depth` may be called from any thread."""

    def __init__(
        self, folder: Path, log: Log, settings: StreamsSettings, *, direct: Append | None = None
    ) -> None:
        """Open the spool and start to drain what an earlier process left.

        folder: where spools live, such as home/spool; this one takes a free folder in it
        direct: appends to the log as durably as the spool's file does, or raises soon; None where
            the log cannot promise that
        raises: OSError; SpoolUnavailableError when what waits there cannot be read now: a start
            that did not know of it would serve what an operator has taken back
        """
        self._log = log
        self._direct = direct
        self._max_record_bytes = settings.max_record_bytes
        # What is drained: other folders first, which dead processes have left, then our own.
        self._files = open_files(folder, settings)
        self.left = self._read_left()  # rollouts of earlier processes, before any is drained
        # Two locks: the files' is held while the disk syncs, the callers' never for long.
        self._disk = threading.RLock()
        self._work = threading.Condition(self._disk)  # there is something to drain
        self._settled = threading.Condition(self._disk)  # something was written or drained
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
            some were dropped and counted); whoever waits for it cannot cancel it
        """
        given = _Put(list(records), Future())
        # Under way from now on: a waiter that goes away must not settle what the writer settles.
        given.done.set_running_or_notify_cancel()
        with self._calls:
            ended = self._closed or not self._writer.is_alive()
            refused = ended or self._waiting + len(given.records) > QUEUE_RECORDS
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
            self._work.notify_all()

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
            return self._settled.wait_for(lambda: self.depth().records == 0, wait_s)

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
            self._work.notify_all()
        self._drainer.join()
        for file in self._files:
            file.close()

    def _read_left(self) -> list[Outgoing]:
        try:
            return [record for file in self._files for record in file.waiting("rollouts")]
        except BaseException:
            for file in self._files:
                file.close()
            raise

    def _measure(self) -> tuple[int, int, int]:
        """Return what waits, the disk that the files use, and what our own has dropped."""
        num_records = sum(file.num_records for file in self._files)
        return num_records, sum(file.num_bytes for file in self._files), self._files[-1].dropped

    def _write_all(self) -> None:
        while (first := self._incoming.get()) is not None:
            # What came while the disk was busy shares the next sync.
            taken, last = [first], False
            while not (last or self._incoming.empty() or _is_full(taken)):
                following = self._incoming.get()
                last = following is None
                if following is not None:
                    taken.append(following)
            self._write(taken)
            if last:
                return

    def _write(self, taken: Sequence["_Put"]) -> None:
        """Bring records to the log or to the spool's file, and tell their callers."""
        records = [record for given in taken for record in given.records]
        try:
            kept = self._append_directly(records) or self._keep(records)
        except Exception:  # a thread that died here would take all records to come with it
            _log.exception("the spool cannot keep %d records", len(records))
            kept = [False] * len(records)
        with self._disk:
            with self._calls:
                self._waiting -= len(records)
            self._settled.notify_all()
        start = 0
        for given in taken:
            with suppress(InvalidStateError):  # one whose caller settled it is told already
                given.done.set_result(all(kept[start : start + len(given.records)]))
            start += len(given.records)

    def _append_directly(self, records: Sequence[Outgoing]) -> list[bool] | None:
        """Append to the log where it is as good as our disk and nothing waits before these."""
        if self._direct is None or self._on_disk[0]:
            return None
        self._away = self._append(records, self._direct)
        if self._away is not None:
            return None
        with self._calls:
            self._drained += len(records)
        return [True] * len(records)

    def _keep(self, records: Sequence[Outgoing]) -> list[bool]:
        with self._disk:
            kept = self._files[-1].append(records)
            self._on_disk = self._measure()
            self._work.notify_all()
            return kept

    def _drain_all(self) -> None:
        backoff = Backoff(*RETRY_S)
        while not self._stop.is_set():
            try:
                away = self._drain_next()
            except (*ERRORS, OSError) as cause:  # a full disk, say, on which it was not opened yet
                away = f"the spool cannot be read: {cause}"
                _log.warning("%d records wait: %s", self.depth().records, away)
            except Exception as cause:
                # Retried: a thread that died here would hold back every record to come.
                away = f"the spool cannot be read: {cause}"
                _log.exception("the spool cannot be drained")
            with self._disk:
                self._away = away
                self._settled.notify_all()
            if away is None:
                backoff.succeeded()
            else:
                backoff.wait(self._stop)

    def _drain_next(self) -> str | None:
        """Append the front of the spool to the log, once there is one; says why it could not be."""
        with self._disk:
            self._work.wait_for(self._has_work)
            self._forget_now()
            file = next((file for file in self._files if file.num_records), self._files[-1])
            batch = file.peek(max_records=BATCH_RECORDS, max_bytes=BATCH_BYTES)
            self._on_disk = self._measure()
        if batch is None:
            return None
        away = self._append(batch.records, self._log.append)
        with self._disk:
            file.release(batch, drained=away is None)
            if not file.num_records and file is not self._files[-1]:
                self._files.remove(file)
                file.close()
            self._on_disk = self._measure()
        with self._calls:
            self._drained += len(batch.records) if away is None else 0
        return away

    def _has_work(self) -> bool:
        waiting = any(file.num_records for file in self._files)
        return self._stop.is_set() or self._must_forget or waiting

    def _forget_now(self) -> None:
        """Take what is forgotten off the disk; nothing is in flight here."""
        if not self._must_forget:
            return
        self._must_forget = False
        try:
            gone = sum(file.forget(self._is_forgotten) for file in self._files)
        except OSError:
            # It does not reach the log in any case; its bytes go with the next that is forgotten.
            _log.exception("what is forgotten cannot be taken out of the spool now")
            return
        _log.info("%d records of somebody who is forgotten were taken out of the spool", gone)

    def _is_forgotten(self, record: Outgoing) -> bool:
        spoken = speaker(record.value)
        return spoken is not None and forgotten.covers(self._forgotten, *spoken)

    def _append(self, records: Sequence[Outgoing], append: Append) -> str | None:
        """Append records to the log; says why when the log is away."""
        if self._forgotten:  # one may have been on its way to the disk when it was forgotten
            records = [record for record in records if not self._is_forgotten(record)]
        try:
            try:
                append(records)
            except RecordTooLargeError:
                self._append_singly(records, append)
        except LogUnavailableError as cause:
            _log.warning("the log is away, %d records wait: %s", self.depth().records, cause)
            return str(cause)
        except Exception as cause:
            # Retried, too: a thread that died here would hold back every record to come.
            _log.exception("the log cannot be appended to")
            return repr(cause)
        return None

    def _append_singly(self, records: Sequence[Outgoing], append: Append) -> None:
        for record in records:
            try:
                append([record])
            except RecordTooLargeError as cause:
                dead_letters.append_fitting(
                    append,
                    record,
                    str(cause),
                    max_bytes=self._max_record_bytes,
                    now_ms=int(time.time() * 1000),
                )


def _is_full(taken: Sequence[_Put]) -> bool:
    """Tell whether calls fill a transaction: one that is too long is a long write-ahead log."""
    records = [record for given in taken for record in given.records]
    return len(records) >= BATCH_RECORDS or sum(len(r.value) for r in records) >= BATCH_BYTES
