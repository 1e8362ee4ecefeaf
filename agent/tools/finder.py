"""Splits a growing reply into text, calls, and what was meant as a call and is none.

Text that may still turn out to be a tag is held back until that is known, so nothing is sent that
must be unsaid. What is broken is told as such, with its tags, and never as text.

Knows nothing of tokens, HTTP or which tools there are.
"""

from dataclasses import replace

from agent.tools.calls import Broken, Found
from agent.tools.format import Format


class CallFinder:
    """Finds the calls of one reply, in one form."""

    def __init__(self, form: Format) -> None:
        """Start with nothing read."""
        self._form = form
        self._held = ""
        self._begun = False  # whether the reply has begun with something that is no bare call
        self._bare = False  # whether it is one, to its end

    def feed(self, text: str) -> list[Found]:
        """Take the next piece of the reply, and return what is certain by now, in order."""
        self._held += text
        if self._bare or (not self._begun and self._may_be_bare()):
            return []
        opens, closes = self._form.opens, self._form.closes
        if opens is None:
            return self._take(len(self._held))
        found: list[Found] = []
        while (start := self._held.find(opens)) >= 0:
            end = -1 if closes is None else self._held.find(closes, start + len(opens))
            found += self._take(start)
            if closes is None or end < 0:
                return found
            inside = self._held[len(opens) : end - start]
            raw = self._held[: end - start + len(closes)]
            self._held = self._held[len(raw) :]
            found += self._read(inside, raw)
        return found + self._take(len(self._held) - _overlap(self._held, opens))

    def finish(self, *, cut: bool = False) -> list[Found]:
        """Return what was held back, now that nothing more comes; an unclosed call may be whole.

        cut: the reply was not ended by the model
        """
        held, self._held = self._held, ""
        opens = self._form.opens
        if opens is not None and held.startswith(opens):
            return self._read(held[len(opens) :], held, cut=cut)
        if self._bare:
            return self._read(held, held, cut=cut)
        return [held] if held else []

    def _read(self, inside: str, raw: str, *, cut: bool = False) -> list[Found]:
        calls = self._form.read(inside)
        if calls is None:
            return [Broken(raw, "cut" if cut else "malformed")]
        return [replace(calls[0], raw=raw), *calls[1:]] if calls else [raw]

    def _may_be_bare(self) -> bool:
        """Whether the reply so far is a call without a tag, or may become one."""
        bare = self._form.bare(self._held) if self._held else None
        self._bare, self._begun = bool(bare), bare is False
        return not self._begun

    def _take(self, size: int) -> list[Found]:
        certain, self._held = self._held[:size], self._held[size:]
        return [certain] if certain else []


def _overlap(text: str, tag: str) -> int:
    """The number of the text's last characters that may be the beginning of the tag."""
    sizes = range(min(len(text), len(tag) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(tag[:size])), 0)
