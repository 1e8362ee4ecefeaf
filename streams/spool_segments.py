"""The format of the spool's files: segments of framed records, and two numbers beside them.

A frame is its length and CRC-32 (big-endian, 4 bytes each), then a JSON line [topic, key, id] and
the record's bytes. A segment is only ever appended to; a frame that is torn or flipped ends it.
`drained` says up to where the spool's records are in the log (segment, byte), `dropped` how many
records were not kept, ever.
"""

import json
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streams.log.contract import Outgoing

FRAME = struct.Struct(">II")
DRAINED = struct.Struct(">QQ")
DROPPED = struct.Struct(">Q")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Segment:
    """One file: records[drained_records:] from drained_bytes on are still to be drained."""

    number: int
    path: Path
    num_bytes: int = 0
    num_records: int = 0
    drained_bytes: int = 0
    drained_records: int = 0
    sealed: bool = False  # nothing may be appended any more


def adopt(own: Path, other: Path) -> None:
    """Move another spool's segments behind our own, both not in use.

    What the other had drained of its oldest segment comes again.
    """
    taken = [int(path.stem) for path in own.glob("*.spool")]
    drained = own / "drained"
    if drained.exists() and drained.stat().st_size == DRAINED.size:
        taken.append(DRAINED.unpack(drained.read_bytes())[0])
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
        number, end = DRAINED.unpack((folder / "drained").read_bytes())
    with suppress(FileNotFoundError, struct.error):
        (dropped,) = DROPPED.unpack((folder / "dropped").read_bytes())
    records = num_bytes = 0
    for path in sorted(folder.glob("*.spool")):
        with suppress(FileNotFoundError):  # drained and removed meanwhile
            segment = measure(path)
            mark_drained(segment, number, end)
            records += segment.num_records - segment.drained_records
            num_bytes += segment.num_bytes
    return records, num_bytes, dropped


def frame(record: Outgoing) -> bytes:
    """Give a record as it stands in a segment."""
    head = json.dumps([record.topic, record.key, record.id]).encode()
    payload = head + b"\n" + record.value
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _record(payload: bytes) -> Outgoing:
    head, value = payload.split(b"\n", 1)
    topic, key, record_id = json.loads(head)
    return Outgoing(topic=topic, key=key, id=record_id, value=value)


def frames(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Give each whole frame's start and payload, up to the first that is torn or flipped."""
    with path.open("rb") as file:
        file.seek(start)
        while len(head := file.read(FRAME.size)) == FRAME.size:
            length, checksum = FRAME.unpack(head)
            payload = file.read(length)
            # A length of nought is no frame, but what a file system leaves where it lost blocks.
            if not length or len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield start, payload
            start += FRAME.size + length


def read(segment: Segment, max_records: int, max_bytes: int) -> tuple[list[Outgoing], int]:
    """Give the records that follow what is drained, and the byte where they end."""
    records: list[Outgoing] = []
    end = segment.drained_bytes
    for start, payload in frames(segment.path, end):
        if records and start + len(payload) - segment.drained_bytes > max_bytes:
            break
        records.append(_record(payload))
        end = start + FRAME.size + len(payload)
        if len(records) == max_records:
            break
    if not records:  # damaged since it was recovered: nothing more can be had from it
        _log.error("%s is damaged after byte %d: the rest is lost", segment.path, end)
        return [], segment.num_bytes
    return records, end


def whole(segment: Segment) -> list[Outgoing]:
    """Give every record of a segment that is still to be drained."""
    return [_record(payload) for _, payload in frames(segment.path, segment.drained_bytes)]


def measure(path: Path) -> Segment:
    """Count what is whole in a segment's file."""
    segment = Segment(int(path.stem), path)
    for start, payload in frames(path):
        segment.num_bytes = start + FRAME.size + len(payload)
        segment.num_records += 1
    return segment


def mark_drained(segment: Segment, number: int, end: int) -> None:
    """Note in a segment that the spool is drained up to byte `end` of segment `number`."""
    if segment.number < number:
        segment.drained_bytes, segment.drained_records = segment.num_bytes, segment.num_records
    elif segment.number == number and end <= segment.num_bytes:
        segment.drained_bytes = end
        segment.drained_records = sum(1 for at, _ in frames(segment.path) if at < end)


def read_exactly(file: int, size: int) -> bytes:
    """Read a number that may not have been written whole: zeros then."""
    packed = os.pread(file, size, 0)
    return packed if len(packed) == size else bytes(size)


def recover(path: Path) -> Segment:
    """Read a segment that an earlier process left, without what it did not finish writing."""
    segment = measure(path)
    torn = path.stat().st_size - segment.num_bytes
    if torn:
        _log.warning("%s: cut off %d bytes that were not written whole", path, torn)
        os.truncate(path, segment.num_bytes)
    return segment


def sync_folder(folder: Path) -> None:
    """Make a new file's name durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
