"""Pieces of bytes in a pipe, each behind its length.

Knows nothing of what they say.
"""

from typing import BinaryIO, Final

LENGTH_BYTES: Final = 8


def framed(data: bytes) -> bytes:
    """A piece behind its length.

    >>> framed(b"ab")
    b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02ab'
    """
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read the next piece. Returns: None where there is none, or it breaks off."""
    size = int.from_bytes(stream.read(LENGTH_BYTES), "big")
    data = stream.read(size)
    return data if size and len(data) == size else None
