"""The spool on disk: segments, bounded, each record synced before it counts.

How far the spool has been drained is written after the log has the records, so that a crash in
between drains some again (readers drop them by id) and never skips any. What a crash tore off the
end was never acknowledged and is cut away.

Knows nothing of threads: its owner holds a lock round every call.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.log.contract import Outgoing
from streams.spool_segments import (
    DRAINED,
    DROPPED,
    Segment,
    frame,
    mark_drained,
    read,
    read_exactly,
    recover,
    sync_folder,
    whole,
)

_log = logging.getLogger(__name__)

# macOS has no fdatasync.
SYNC: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
# Dropping goes by whole segments: with this many, little more than needed is dropped.
SEGMENTS = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Records at the front of the spool, and where they end."""

    records: list[Outgoing]
    segment: int
    end: int


class SpoolFiles:
    """The segments of one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        drop_oldest: bool,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = SYNC,
    ) -> None:
        """Open a folder and recover what is in it.

        max_bytes: disk that the segments may use
        drop_oldest: what gives way when it is used up; else the record that comes does
        write, sync: how a segment's file is written, so that tests can fill the disk
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = max(1, max_bytes // SEGMENTS)
        self._drop_oldest = drop_oldest
        self._write, self._sync = write, sync
        folder.mkdir(parents=True, exist_ok=True)
        self._dropped_file = os.open(folder / "dropped", os.O_RDWR | os.O_CREAT, 0o600)
        self._dropped = DROPPED.unpack(read_exactly(self._dropped_file, DROPPED.size))[0]
        self._segments = [recover(path) for path in sorted(folder.glob("*.spool"))]
        self._drained = os.open(folder / "drained", os.O_RDWR | os.O_CREAT, 0o600)
        self._recover_drained()
        self._file: int | None = None  # the last segment, once something was appended to it
        self._in_flight: int | None = None

    @property
    def num_records(self) -> int:
        """Records that still have to reach the log."""
        return sum(s.num_records - s.drained_records for s in self._segments)

    @property
    def dropped(self) -> int:
        """Records that were not kept, ever since the folder was made."""
        return int(self._dropped)

    @property
    def num_bytes(self) -> int:
        """Disk that the segments use."""
        return sum(s.num_bytes for s in self._segments)

    def append(self, records: Sequence[Outgoing]) -> list[bool]:
        """Write records and sync them; says of each whether it was kept.

        What cannot be kept (bound reached, disk full or broken) is counted as dropped.
        """
        kept: list[bool] = []
        try:
            for record in records:
                framed = frame(record)
                kept.append(self._make_room(len(framed)) and self._append_frame(framed))
            if self._file is not None:
                self._sync(self._file)
        except OSError as cause:
            # What a failed sync left behind is unknown (fsyncgate): none of it is promised, and
            # nothing that will be may stand behind it.
            _log.error("the spool %s keeps nothing now: %s", self._folder, cause)
            if self._segments:
                self._segments[-1].sealed = True
            kept = [False] * len(records)
        self._count_dropped(kept.count(False))
        return kept

    def peek(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """Give the records at the front, and guard them from being dropped until `release`."""
        while self._segments:
            segment = self._segments[0]
            if segment.drained_bytes < segment.num_bytes:
                records, end = read(segment, max_records, max_bytes)
                self._in_flight = segment.number
                return Batch(records, segment.number, end)
            if len(self._segments) == 1:
                return None
            self._remove(segment)
        return None

    def release(self, batch: Batch, *, drained: bool) -> None:
        """Say whether a batch that `peek` gave has reached the log."""
        self._in_flight = None
        if not drained:
            return
        segment = self._segments[0]
        segment.drained_bytes = batch.end
        segment.drained_records += len(batch.records)
        if batch.end == segment.num_bytes:  # a frame that was damaged since counts as lost
            self._count_dropped(segment.num_records - segment.drained_records)
            segment.drained_records = segment.num_records
        self._note(self._drained, DRAINED.pack(segment.number, segment.drained_bytes))
        if segment.drained_bytes >= max(segment.num_bytes, self._segment_bytes):
            self._remove(segment)

    def forget(self, concerned: Callable[[Outgoing], bool]) -> int:
        """Write anew what still has to be drained, without some records; give how many went.

        What was drained goes, too: a segment keeps it until it is full. The new segments stand
        behind the old ones until those are removed, so a crash in between repeats records and
        loses none. Nothing may be in flight.

        raises: OSError when the disk does not take them (the old ones are kept)
        """
        self._close_last()
        old, gone = list(self._segments), 0
        number = old[-1].number if old else 0
        made: list[Segment] = []
        try:
            for segment in old:
                waiting = whole(segment)
                kept = [record for record in waiting if not concerned(record)]
                gone += len(waiting) - len(kept)
                if kept:
                    number += 1
                    made.append(self._write_whole(number, kept))
            sync_folder(self._folder)
        except OSError:
            for segment in made:  # their numbers will be others'
                segment.path.unlink(missing_ok=True)
            raise
        self._segments = made
        if old:
            os.pwrite(self._drained, DRAINED.pack(old[-1].number, old[-1].num_bytes), 0)
        for segment in old:
            segment.path.unlink(missing_ok=True)
        return gone

    def _write_whole(self, number: int, records: Sequence[Outgoing]) -> Segment:
        path = self._folder / f"{number:016d}.spool"
        framed = [frame(record) for record in records]
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for each in framed:
                written = 0
                while written < len(each):
                    written += self._write(file, each[written:])
            self._sync(file)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)
        return Segment(number, path, sum(map(len, framed)), len(records))

    def close(self) -> None:
        """Close the files; what was not drained stays."""
        self._close_last()
        os.close(self._drained)
        os.close(self._dropped_file)

    def _count_dropped(self, count: int) -> None:
        if count:
            self._dropped += count
            self._note(self._dropped_file, DROPPED.pack(self._dropped))

    def _note(self, file: int, counted: bytes) -> None:
        """Write a count down. A disk that takes no more is no reason to stop: it is said.

        The next count holds this one; after a crash, records would be drained again, none skipped.
        """
        try:
            os.pwrite(file, counted, 0)
        except OSError as cause:
            _log.error("the spool %s cannot note its counts: %s", self._folder, cause)

    def _append_frame(self, framed: bytes) -> bool:
        segment = self._last()
        try:
            if self._file is None:
                self._file = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                sync_folder(self._folder)
            written = 0
            while written < len(framed):
                written += self._write(self._file, framed[written:])
        except OSError as cause:
            _log.error("the spool %s cannot be written: %s", self._folder, cause)
            if self._file is not None:
                os.ftruncate(self._file, segment.num_bytes)
            if not segment.num_bytes:
                self._close_last()  # opened again, so that its name is known to be on the disk
            return False
        segment.num_bytes += len(framed)
        segment.num_records += 1
        return True

    def _make_room(self, num_bytes: int) -> bool:
        while self.num_bytes + num_bytes > self._max_bytes:
            removable = [s for s in self._segments if s.number != self._in_flight and s.num_bytes]
            if not self._drop_oldest or not removable or num_bytes > self._max_bytes:
                # Segments that are wholly drained may go in any case.
                return self._remove_drained() and self._make_room(num_bytes)
            self._drop(removable[0])
        return True

    def _remove_drained(self) -> bool:
        for segment in self._segments:
            spent = 0 < segment.num_bytes == segment.drained_bytes
            if spent and segment.number != self._in_flight:
                self._remove(segment)
                return True
        return False

    def _drop(self, segment: Segment) -> None:
        lost = segment.num_records - segment.drained_records
        if lost:
            self._count_dropped(lost)
            _log.warning("the spool %s is full: dropped its %d oldest", self._folder, lost)
        self._remove(segment)

    def _remove(self, segment: Segment) -> None:
        if segment is self._segments[-1]:
            self._close_last()
        segment.path.unlink(missing_ok=True)
        self._segments.remove(segment)

    def _last(self) -> Segment:
        """Give the segment to append to, a fresh one when the last is long enough.

        raises: OSError when the last one cannot be synced
        """
        last = self._segments[-1] if self._segments else None
        if last is None or last.sealed or last.num_bytes >= self._segment_bytes:
            if self._file is not None and last is not None and not last.sealed:
                self._sync(self._file)  # it may hold records of the append that goes on
            self._close_last()
            drained = DRAINED.unpack(read_exactly(self._drained, DRAINED.size))[0]
            number = max(drained, last.number if last else 0) + 1
            self._segments.append(Segment(number, self._folder / f"{number:016d}.spool"))
        return self._segments[-1]

    def _close_last(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _recover_drained(self) -> None:
        number, end = DRAINED.unpack(read_exactly(self._drained, DRAINED.size))
        for segment in self._segments:
            mark_drained(segment, number, end)
