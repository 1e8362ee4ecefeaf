"""Turns sampled token ids into text as they come: whole characters, and nothing of a stop string.

Joined, the pieces are exactly the reply's text. Knows nothing of models or streams.
"""

from collections.abc import Callable, Sequence

CONTEXT = (
    8  # tokens before a reply that decide how its first one is written: a character and a word
)
UNFINISHED = "\ufffd"  # what a decoder writes for the first bytes of a character


class Detokenizer:
    """The text of one reply, growing."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        stop: Sequence[str] = (),
        *,
        before: Sequence[int] = (),
    ) -> None:
        """Begin empty.

        decode: token ids → text
        stop: texts that end the reply and are no part of it
        before: the last tokens of the text that the reply goes on with; none: it stands alone, and
            a tokenizer may drop the space that its first word would begin with
        """
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._ids = list(before)
        self._start, self._read = 0, len(self._ids)  # decoding begins a little before what is new
        self._held = ""
        self.stopped_by: str | None = None

    def add(self, token_id: int | None, *, last: bool = False) -> str:
        """Take a token, and return the text that became certain; with `last` all that is left.

        token_id: None: a token that writes nothing
        """
        if token_id is None and not last:
            return ""
        if token_id is not None:
            self._ids.append(token_id)
        before = self._decode(self._ids[self._start : self._read])
        after = self._decode(self._ids[self._start :])
        if last or not after.endswith(UNFINISHED):
            self._held += after[len(before) :]
            self._start, self._read = self._read, len(self._ids)
        return self._release(last=last)

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
