"""Where each token of a growing text begins, in characters.

A token that begins within a character has that character's place. Bytes that are no character are a
mark in the text (agent.engine.text), so they have a place, too; a token that follows them begins
behind it.

Knows nothing of this API's JSON.
"""

import codecs
from typing import Final

_UTF8: Final = codecs.getincrementaldecoder("utf-8")


class Places:
    r"""The places of one text's tokens, asked for one after another, whatever chunks they come in.

    >>> places = Places()
    >>> [places.take(written) for written in (b"a\xe2", b"\x98", b"\x83", b"\xe2", b"b", b"c")]
    [0, 1, 1, 2, 3, 4]
    """

    def __init__(self) -> None:
        """Begin at the text's beginning."""
        self._decoder = _UTF8(errors="replace")
        self._chars = 0  # whole, of what was taken

    def take(self, written: bytes) -> int:
        """Return where what a token writes begins, and go on behind it."""
        place = self._chars
        if written:
            self._chars += len(self._decoder.decode(written[:1]))
            is_open = bool(self._decoder.getstate()[0])  # the character that this byte is of
            place = self._chars - (not is_open)
        self._chars += len(self._decoder.decode(written[1:]))
        return place
