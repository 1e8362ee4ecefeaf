"""Splits a growing reply into text, calls, and what was meant as a call and is none.

Text that may still turn out to be a tag is held back until that is known, so nothing is sent that
must be unsaid. What is broken is told as such, with its tags, and never as text.

The first call between two tags may be told while it grows: begun once its name is known, then as
much of its arguments as is the beginning of a JSON object, by whole pieces. Where they break off,
that is told with the end of the last piece that is good, for somebody to go on from there.

Knows nothing of tokens, HTTP or which tools there are.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from agent.tools.calls import (
    Broken,
    Call,
    CallBegun,
    CallEnded,
    CallGrown,
    Fault,
    Growing,
    Halt,
)
from agent.tools.format import Format
from agent.tools.json_object import JsonObject
from agent.tools.quoted import Outside

# Of a head, beside the name: white space, its keys and what JSON escapes a character of a name as.
_HEAD_CHARS: Final = 128
_ESCAPED_CHARS: Final = 12
_LISTED: Final = re.compile(r"\s*(\[?)\s*")


@dataclass(slots=True)
class _Told:
    """A call that is told while it grows. at: in what is held back, the end of what was told"""

    name: str
    at: int
    listed: bool
    arguments: str = ""
    object: JsonObject = field(default_factory=JsonObject)


class CallFinder:
    """Finds the calls of one reply, in one form."""

    def __init__(self, form: Format, grows: Collection[str] = ()) -> None:
        """Start with nothing read.

        grows: names of tools whose calls are told while they grow
        """
        self._form, self._grows = form, grows
        longest = max(map(len, grows), default=0)
        self._head_chars = _HEAD_CHARS + _ESCAPED_CHARS * longest  # behind which none ends
        self._held = ""
        self._begun = False  # whether the reply has begun with something that is no bare call
        self._bare = False  # whether it is one, to its end
        self._passed = 0  # characters before what is held back
        self._pieces: list[int] = []  # where pieces begin in it that may not be told yet
        self._told: _Told | None = None  # the call of the open tag that grows, or grew
        self._waits = False  # whether the open tag's calls are told when they are whole
        self._anywhere = False  # whether a closing tag in a string closes, too
        self._closed = False  # whether a call was closed last: it may be closed once more
        self._outside: Outside | None = None  # what looks for the closing tag of the open one

    def feed(self, text: str) -> list[Growing]:
        """Take the next piece of the reply, and return what is certain by now, in order."""
        self._pieces.append(len(self._held))
        self._held += text
        if not self._begun and not self._bare and self._may_be_bare():
            return []
        if self._bare:
            return self._grown("")
        opens, closes = self._form.opens, self._form.closes
        if opens is None:
            return self._take(len(self._held))
        found: list[Growing] = []
        while not self._may_close_again() and (start := self._held.find(opens)) >= 0:
            found += self._take(start)
            found += self._grown(opens)
            end = self._closing(opens)
            if closes is None or end < 0:
                return found
            inside = self._held[len(opens) : end]
            read = self._read(inside, self._pass(end + len(closes)))
            self._closed = all(isinstance(each, Call) for each in read)
            found += read
        if self._closed:
            return found
        return found + self._take(len(self._held) - _overlap(self._held, opens))

    def finish(self, *, cut: bool = False) -> list[Growing]:
        """Return what was held back, now that nothing more comes; an unclosed call may be whole.

        cut: the reply was not ended by the model
        """
        opens, told = self._form.opens, self._told
        if told is not None and not told.object.ended:
            return [self._halted(told, "cut" if cut else "malformed")]
        if opens is not None and self._held.startswith(opens):
            if not self._anywhere and self._form.closes is not None:
                self._anywhere = self._form.closes in self._held
                if self._anywhere:  # what seemed to be a string has no end
                    return [*self.feed(""), *self.finish(cut=cut)]
            held = self._pass(len(self._held))
            begun = _overlap(held, self._form.closes or "")
            return self._read(held[len(opens) : len(held) - begun], held, cut=cut)
        held = self._pass(len(self._held))
        if self._bare:
            return self._read(held, held, cut=cut)
        return [held] if held else []

    def _may_close_again(self) -> bool:
        """Whether what is held back may be the tag once more that has closed a call; pass it."""
        closes = self._form.closes
        while self._closed and closes is not None:
            behind = self._held.lstrip()
            if not behind.startswith(closes):
                self._closed = closes.startswith(behind)
                break
            self._pass(len(self._held) - len(behind) + len(closes))
        return self._closed

    def _grown(self, opens: str) -> list[Growing]:
        """What has become certain of the first call behind the tag that is open."""
        if self._waits or not self._grows:
            return []
        begins = self._told is None
        told = self._told or self._headed(opens)
        if told is None or told.object.ended:
            return []
        text, closed = self._certain(told, opens)
        ahead = told.object.copy()
        size = ahead.take(text)
        if ahead.broken or (closed and not ahead.ended):
            self._waits = begins  # where nothing was told of it yet
            return [] if begins else [self._halted(told, "malformed")]
        if not ahead.ended:
            size = self._whole(told.at + size) - told.at
        if size <= 0:
            return []
        told.object.take(text[:size])
        self._told = told
        told.at, told.arguments = told.at + size, told.arguments + text[:size]
        found: list[Growing] = [CallBegun(told.name)] if begins else []
        found.append(CallGrown(text[:size]))
        return [*found, CallEnded()] if told.object.ended else found

    def _certain(self, told: _Told, opens: str) -> tuple[str, bool]:
        """What follows what was told and is in no tag for certain, and whether the tag is closed.

        A tag in a string waits until that has an end.
        """
        end = self._closing(opens)
        if end >= 0:
            return self._held[told.at : end], True
        said = self._held[told.at :]
        text = said[: len(said) - _overlap(said, self._form.closes or "")]
        tag, _ = self._sought(opens)
        return (text if tag < 0 else text[: max(tag - told.at, 0)]), False

    def _whole(self, end: int) -> int:
        """Where the last piece ends that is over by a place in what is held back.

        A call can be gone on with from there, and not from within a token.
        """
        if end == len(self._held):
            return end
        before = bisect_right(self._pieces, end)
        self._pieces = self._pieces[max(before - 1, 0) :]
        return self._pieces[0] if before else 0

    def _headed(self, opens: str) -> _Told | None:
        """The call whose head has come; None: not yet, or it is not for telling while it grows."""
        last = len(opens) + self._head_chars
        before = _LISTED.match(self._held, len(opens), last)
        head = self._form.head.match(self._held, before.end(), last) if before else None
        if before is None or head is None:
            self._waits = len(self._held) >= last
            return None
        name = self._form.name_in(head)
        self._waits = name not in self._grows
        return None if self._waits else _Told(name, head.end(), listed=bool(before[1]))

    def _halted(self, told: _Told, fault: Fault) -> Broken:
        """The call that was told so far, and is none: nothing of what follows it is read."""
        halt = Halt(self._passed + told.at, told.listed)
        broken = Broken(self._pass(len(self._held)), fault, halt)
        self._told, self._waits, self._bare = None, True, False
        return broken

    def _closing(self, opens: str) -> int:
        """Where the open tag is closed, and not in the text of an argument; -1: not yet."""
        closes = self._form.closes
        if closes is not None and self._anywhere:
            return self._held.find(closes, len(opens))
        tag, is_certain = self._sought(opens)
        return tag if is_certain else -1

    def _sought(self, opens: str) -> tuple[int, bool]:
        """The closing tag of the open one, and whether it is in no string for certain; -1: none."""
        if self._form.closes is None:
            return -1, False
        if self._outside is None:
            self._outside = Outside(self._form.closes, len(opens))
        return self._outside.find(self._held)

    def _read(self, inside: str, raw: str, *, cut: bool = False) -> list[Growing]:
        told, self._told, self._waits = self._told, None, False
        calls = self._form.read(inside)
        if told is not None:
            return _beyond(told, calls, Broken(raw, "cut" if cut else "malformed"))
        if calls is None:
            return [Broken(raw, "cut" if cut else "malformed")]
        return [replace(calls[0], raw=raw), *calls[1:]] if calls else [raw]

    def _may_be_bare(self) -> bool:
        """Whether the reply so far is a call without a tag, or may become one."""
        bare = self._form.bare(self._held) if self._held else None
        self._bare, self._begun = bool(bare), bare is False
        return bare is None

    def _take(self, size: int) -> list[Growing]:
        certain = self._pass(size)
        return [certain] if certain else []

    def _pass(self, size: int) -> str:
        passed, self._held = self._held[:size], self._held[size:]
        self._passed += size
        if size:
            self._outside = None
            self._pieces = [piece - size for piece in self._pieces if piece >= size]
        return passed


def _beyond(told: _Told, calls: list[Call] | None, broken: Broken) -> list[Growing]:
    """What stands between two tags beside a call that was told, which stays one in any case."""
    if not calls or calls[0] != replace(calls[0], name=told.name, arguments=_plain(told.arguments)):
        return [broken]
    return [replace(calls[1], raw=broken.raw), *calls[2:]] if calls[1:] else []


def _plain(arguments: str) -> str:
    """Arguments as they are written where they are read as a whole."""
    return json.dumps(json.loads(arguments), ensure_ascii=False)


def _overlap(text: str, tag: str) -> int:
    """The number of the text's last characters that may be the beginning of the tag."""
    sizes = range(min(len(text), len(tag) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(tag[:size])), 0)
