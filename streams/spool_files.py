"""The spool on disk: segments of framed records, bounded, each record synced before it counts.

A frame is its length and CRC-32 (big-endian, 4 bytes each), then a JSON line [topic, key, id] and
the record's bytes. A segment is only ever appended to; what a crash tore off its end was never
acknowledged and is cut away. How far the oldest segment has been drained stands in a file of its
own, written after the log has the records, so that a crash in between drains some again (readers
drop them by id) and never skips any.

Knows nothing of threads: its owner holds a lock round every call.
"""

import json
import logging
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streams.log import Outgoing

_FRAME = struct.Struct(">II")
_DRAINED = struct.Struct(">QQ")
_COUNT = struct.Struct(">Q")
_log = logging.getLogger(__name__)

# macOS has no fdatasync.
SYNC: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
# Dropping goes by whole segments: with this many, little more than needed is dropped.
SEGMENTS = 16


@dataclass(slots=True)
class Segment:
    """One file: records[drained_records:] from drained_bytes on are still to be drained."""

    number: int
    path: Path
    num_bytes: int = 0
    num_records: int = 0
    drained_bytes: int = 0
    drained_records: int = 0


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
        self._dropped = _COUNT.unpack(_read_exactly(self._dropped_file, _COUNT.size))[0]
        self._segments = [_recover(path) for path in sorted(folder.glob("*.spool"))]
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
        frames = [_frame(record) for record in records]
        kept: list[bool] = []
        for frame in frames:
            kept.append(self._make_room(len(frame)) and self._append_frame(frame))
        self._count_dropped(kept.count(False))
        try:
            if self._file is not None:
                self._sync(self._file)
        except OSError as cause:
            # What a failed sync left behind is unknown (fsyncgate): none of it is promised.
            _log.error("the spool %s cannot be synced: %s", self._folder, cause)
            self._count_dropped(sum(kept))
            return [False] * len(records)
        return kept

    def peek(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """Give the records at the front, and guard them from being dropped until `release`."""
        while self._segments:
            segment = self._segments[0]
            if segment.drained_bytes < segment.num_bytes:
                records, end = _read(segment, max_records, max_bytes)
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
        os.pwrite(self._drained, _DRAINED.pack(segment.number, segment.drained_bytes), 0)
        if segment.drained_bytes >= max(segment.num_bytes, self._segment_bytes):
            self._remove(segment)

    def close(self) -> None:
        """Close the files; what was not drained stays."""
        self._close_last()
        os.close(self._drained)
        os.close(self._dropped_file)

    def _count_dropped(self, count: int) -> None:
        if count:
            self._dropped += count
            os.pwrite(self._dropped_file, _COUNT.pack(self._dropped), 0)

    def _append_frame(self, frame: bytes) -> bool:
        segment = self._last()
        try:
            if self._file is None:
                self._file = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                _sync_folder(self._folder)
            written = 0
            while written < len(frame):
                written += self._write(self._file, frame[written:])
        except OSError as cause:
            _log.error("the spool %s cannot be written: %s", self._folder, cause)
            if self._file is not None:
                os.ftruncate(self._file, segment.num_bytes)
            return False
        segment.num_bytes += len(frame)
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
        """Give the segment to append to, a fresh one when the last is long enough."""
        if not self._segments or self._segments[-1].num_bytes >= self._segment_bytes:
            self._close_last()
            drained = _DRAINED.unpack(_read_exactly(self._drained, _DRAINED.size))[0]
            number = max(drained, self._segments[-1].number if self._segments else 0) + 1
            self._segments.append(Segment(number, self._folder / f"{number:016d}.spool"))
        return self._segments[-1]

    def _close_last(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _recover_drained(self) -> None:
        number, end = _DRAINED.unpack(_read_exactly(self._drained, _DRAINED.size))
        for segment in self._segments:
            _mark_drained(segment, number, end)


def adopt(own: Path, other: Path) -> None:
    """Move another spool's segments behind our own, both not in use.

    What the other had drained of its oldest segment comes again.
    """
    taken = [int(path.stem) for path in own.glob("*.spool")]
    drained = own / "drained"
    if drained.exists() and drained.stat().st_size == _DRAINED.size:
        taken.append(_DRAINED.unpack(drained.read_bytes())[0])
    number = max(taken, default=0)
    for path in sorted(other.glob("*.spool")):
        number += 1
        path.rename(own / f"{number:016d}.spool")


def look(folder: Path) -> tuple[int, int, int]:
    """Say from outside how full a spool's folder is: records to drain, bytes on disk, dropped.

    Reads only, and does not disturb the process that uses the folder.
    """
    number = end = dropped = 0
    with suppress(FileNotFoundError, struct.error):
        number, end = _DRAINED.unpack((folder / "drained").read_bytes())
    with suppress(FileNotFoundError, struct.error):
        (dropped,) = _COUNT.unpack((folder / "dropped").read_bytes())
    records = num_bytes = 0
    for path in sorted(folder.glob("*.spool")):
        with suppress(FileNotFoundError):  # drained and removed meanwhile
            segment = _measure(path)
            _mark_drained(segment, number, end)
            records += segment.num_records - segment.drained_records
            num_bytes += segment.num_bytes
    return records, num_bytes, dropped


def _frame(record: Outgoing) -> bytes:
    head = json.dumps([record.topic, record.key, record.id]).encode()
    payload = head + b"\n" + record.value
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _frames(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Give each whole frame's start and payload, up to the first that is torn or flipped."""
    with path.open("rb") as file:
        file.seek(start)
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(head)
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield start, payload
            start += _FRAME.size + length


def _read(segment: Segment, max_records: int, max_bytes: int) -> tuple[list[Outgoing], int]:
    records: list[Outgoing] = []
    end = segment.drained_bytes
    for start, payload in _frames(segment.path, end):
        if records and start + len(payload) - segment.drained_bytes > max_bytes:
            break
        head, value = payload.split(b"\n", 1)
        topic, key, record_id = json.loads(head)
        records.append(Outgoing(topic=topic, key=key, id=record_id, value=value))
        end = start + _FRAME.size + len(payload)
        if len(records) == max_records:
            break
    if not records:  # damaged since it was recovered: nothing more can be had from it
        _log.error("%s is damaged after byte %d: the rest is lost", segment.path, end)
        return [], segment.num_bytes
    return records, end


def _measure(path: Path) -> Segment:
    segment = Segment(int(path.stem), path)
    for start, payload in _frames(path):
        segment.num_bytes = start + _FRAME.size + len(payload)
        segment.num_records += 1
    return segment


def _mark_drained(segment: Segment, number: int, end: int) -> None:
    """Note in a segment that the spool is drained up to byte `end` of segment `number`."""
    if segment.number < number:
        segment.drained_bytes, segment.drained_records = segment.num_bytes, segment.num_records
    elif segment.number == number and end <= segment.num_bytes:
        segment.drained_bytes = end
        segment.drained_records = sum(1 for at, _ in _frames(segment.path) if at < end)


def _read_exactly(file: int, size: int) -> bytes:
    """Read a number that may not have been written whole: zeros then."""
    packed = os.pread(file, size, 0)
    return packed if len(packed) == size else bytes(size)


def _recover(path: Path) -> Segment:
    """Read a segment that an earlier process left, without what it did not finish writing."""
    segment = _measure(path)
    torn = path.stat().st_size - segment.num_bytes
    if torn:
        _log.warning("%s: cut off %d bytes that were not written whole", path, torn)
        os.truncate(path, segment.num_bytes)
    return segment


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
