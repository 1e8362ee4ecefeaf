"""Reads what a spool of an older build left in its folder: files of framed records.

A frame is its length and CRC-32 (big-endian, 4 bytes each), then a JSON line [topic, key, id] and
the record's bytes; one that is torn or flipped ends its file. `drained` says up to where the
records are in the log: the number of a file, and a byte of it.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from streams.log.contract import Outgoing

FRAME = struct.Struct(">II")
DRAINED = struct.Struct(">QQ")


def read(folder: Path) -> Iterator[list[Outgoing]]:
    """Yield the records that still have to reach the log, a file's at a time, oldest first."""
    number = end = 0
    with suppress(FileNotFoundError, struct.error):
        number, end = DRAINED.unpack((folder / "drained").read_bytes())
    for path in sorted(folder.glob("*.spool")):
        if int(path.stem) >= number:
            start = end if int(path.stem) == number and end <= path.stat().st_size else 0
            yield [_record(payload) for payload in _payloads(path, start)]


def remove(folder: Path) -> None:
    """Remove the files; what was read of them has another place."""
    for path in sorted(folder.glob("*.spool")):
        path.unlink()
    (folder / "drained").unlink(missing_ok=True)


def _payloads(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while len(head := file.read(FRAME.size)) == FRAME.size:
            length, checksum = FRAME.unpack(head)
            payload = file.read(length)
            # A length of nought is no frame, but what a file system leaves where it lost blocks.
            if not length or len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield payload


def _record(payload: bytes) -> Outgoing:
    head, value = payload.split(b"\n", 1)
    topic, key, record_id = json.loads(head)
    return Outgoing(topic=topic, key=key, id=record_id, value=value)
