"""Turns what sampled tokens write into text: whole characters, and nothing of a stop string.

Joined, the pieces are exactly the reply's text: the bytes of its tokens, each looked at once, read
as UTF-8, with a mark in the place of what is none, but without a character that the reply's end
cuts: nobody wrote a mark, and what a client sends back is read again. Where calls of tools stand, a
stop string ends nothing: it is about what is said, and a call without its end is none.

Knows nothing of tokens, models or streams.
"""

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

CONTEXT: Final = 8  # tokens before a reply that it may go on with: more than a character has
NO_CHARACTER: Final = "\ufffd"  # what stands for bytes that are none
_UTF8: Final = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Spared:
    """Where stop strings end nothing.

    opens: a text with which such a place begins; None: none does
    closes: the text with which it ends; None: it goes on to the end of the reply
    whole: whether what a reply begins with is such a place to its end; None: it may become one
    """

    opens: str | None
    closes: str | None
    whole: Callable[[str], bool | None]


class Detokenizer:
    """The text of one reply, growing."""

    def __init__(
        self,
        stop: Sequence[str] = (),
        *,
        before: bytes = b"",
        drops_space: bool = False,
        spared: Spared | None = None,
    ) -> None:
        """Begin empty.

        stop: texts that end the reply and are no part of it
        before: the end of the text that the reply goes on with; none: it stands alone
        drops_space: whether the tokenizer adds a space in front of a text, which is none of it
        spared: where stop strings end nothing; None: they do everywhere
        """
        self._utf8 = _UTF8(errors="replace")
        self._utf8.decode(before)
        self._drops_space = drops_space and not before
        self._stop = [text for text in stop if text]
        self._held = ""
        self._spared = spared
        self._inside = False  # in such a place
        self._whole = None if spared is not None else False
        self.stopped_by: str | None = None

    def add(self, written: bytes, *, last: bool = False) -> str:
        """Take what a token writes, and return the text that became certain.

        last: nothing follows, so that all that is whole is certain
        """
        if written and self._drops_space:
            self._drops_space, written = False, written.removeprefix(b" ")
        self._held += self._utf8.decode(written)
        if not self._stop:
            text, self._held = self._held, ""
            return text
        return self._release(last=last) if self._held else ""

    def _release(self, *, last: bool) -> str:
        """Return what of the held text is certain, up to a stop string."""
        if self._spared is not None and self._whole is None:
            self._whole = self._spared.whole(self._held)
            if self._whole is None and not last:
                return ""
        if self._whole:
            return self._take(len(self._held))
        text = ""
        while self.stopped_by is None:
            if self._inside:
                text += self._within(last=last)
                if self._inside:
                    return text
            text += self._outside(last=last)
            if not self._inside:
                return text
        return text

    def _within(self, *, last: bool) -> str:
        """Take what is spared, to its end if that has come."""
        closes = self._spared.closes if self._spared is not None else None
        at = self._held.find(closes) if closes else -1
        if closes and at >= 0:
            self._inside = False
            return self._take(at + len(closes))
        keep = 0 if last or not closes else _beginning(self._held, [closes])
        return self._take(len(self._held) - keep)

    def _outside(self, *, last: bool) -> str:
        """Take what stands before a stop string, or before the end of what opens a spared place."""
        held = self._held
        opens = self._spared.opens if self._spared is not None else None
        found = [(at, text) for text in self._stop if (at := held.find(text)) >= 0]
        stop = min(found, default=None)
        opened = held.find(opens) if opens else -1
        if opens and opened >= 0 and (stop is None or opened <= stop[0]):
            self._inside = True
            return self._take(opened + len(opens))
        opening = 0 if last or not opens else _beginning(held, [opens])
        if stop is not None and (not opening or len(held) - opening > stop[0]):
            self.stopped_by = stop[1]
            text, self._held = held[: stop[0]], ""
            return text
        keep = 0 if last else max(opening, _beginning(held, self._stop))
        return self._take(len(held) - keep)

    def _take(self, size: int) -> str:
        text, self._held = self._held[:size], self._held[size:]
        return text


def _beginning(text: str, of: Sequence[str]) -> int:
    """The length of the text's longest ending with which one of some texts begins."""
    longest = max((len(each) for each in of), default=0) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(each.startswith(text[-length:]) for each in of):
            return length
    return 0
