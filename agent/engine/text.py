"""Turns what sampled tokens write into text: whole characters, and nothing of a stop string.

Joined, the pieces are exactly the reply's text: the bytes of its tokens, each looked at once, read
as UTF-8, with a mark in the place of what is none. Knows nothing of tokens, models or streams.
"""

import codecs
from collections.abc import Sequence
from typing import Final

CONTEXT: Final = 8  # tokens before a reply that it may go on with: more than a character has
UNFINISHED: Final = "\ufffd"  # what stands for bytes that are no character
_UTF8: Final = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    """The text of one reply, growing."""

    def __init__(
        self, stop: Sequence[str] = (), *, before: bytes = b"", drops_space: bool = False
    ) -> None:
        """Begin empty.

        stop: texts that end the reply and are no part of it
        before: the end of the text that the reply goes on with; none: it stands alone
        drops_space: whether the tokenizer adds a space in front of a text, which is none of it
        """
        self._utf8 = _UTF8(errors="replace")
        self._utf8.decode(before)
        self._drops_space = drops_space and not before
        self._stop = [text for text in stop if text]
        self._held = ""
        self.stopped_by: str | None = None

    def add(self, written: bytes, *, last: bool = False) -> str:
        """Take what a token writes, and return the text that became certain; at the last, all."""
        if written and self._drops_space:
            self._drops_space, written = False, written.removeprefix(b" ")
        self._held += self._utf8.decode(written, final=last)
        if not self._stop:
            text, self._held = self._held, ""
            return text
        return self._release(last=last) if self._held else ""

    def _release(self, *, last: bool) -> str:
        found = [(at, text) for text in self._stop if (at := self._held.find(text)) >= 0]
        if found:
            end, self.stopped_by = min(found)
            text, self._held = self._held[:end], ""
            return text
        keep = 0 if last else self._could_become_stop()
        text = self._held[: len(self._held) - keep]
        self._held = self._held[len(self._held) - keep :]
        return text

    def _could_become_stop(self) -> int:
        """The length of the longest ending that a stop string begins with."""
        longest = max((len(text) for text in self._stop), default=0) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(text.startswith(self._held[-length:]) for text in self._stop):
                return length
        return 0
