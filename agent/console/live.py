"""Pushes what changed to every open console page, as server-sent events.

All pages share one reading, taken only while a page asks for it and at most once an interval. Each
is sent the sections, or their marks, that differ from what it was sent last: a slow reader skips
states, and never makes a queue grow. A page knows by the marks of what it was made from what has
changed before its first event, or while it was not connected.

Knows nothing of what a section holds.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from agent.http.sse import frame

Texts = Mapping[str, str]  # name → JSON text

INTERVAL_S = 0.5
HEARTBEAT_S = 15.0  # proxies drop a stream that is silent for half a minute
RETRY_MS = 1000
MARK_BYTES = 6  # of a section: by chance two states in 10^14 have the same


class Shared:
    """One reading, shared by all that ask within an interval."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Texts]],
        *,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self.interval_s = interval_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._sections: Texts = {}
        self._until_s = float("-inf")

    async def sections(self) -> Texts:
        """A reading that is at most an interval old."""
        async with self._lock:
            if self._clock() >= self._until_s:
                self._sections = await self._read()
                self._until_s = self._clock() + self.interval_s
            return self._sections

    def forget(self) -> None:
        """Read anew when next asked: something was changed here."""
        self._until_s = float("-inf")


async def stream(
    shared: Shared,
    *,
    closing: asyncio.Event,
    connected: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[Texts], bytes] | None = None,
) -> AsyncIterator[bytes]:
    """Yield server-sent events until the page goes or the server closes.

    closing: set when the server shuts down
    connected: whether the page is still there, asked once an interval
    say: makes an event of the sections that changed; None: `event`
    """
    say = say or event
    sent: dict[str, str] = {}
    spoke_s = clock()
    yield f"retry: {RETRY_MS}\n\n".encode()
    while connected() and not closing.is_set():
        current = await shared.sections()
        changed = {name: text for name, text in current.items() if sent.get(name) != text}
        if changed:
            sent |= changed
            spoke_s = clock()
            yield say(changed)
        elif clock() - spoke_s >= HEARTBEAT_S:
            spoke_s = clock()
            yield b": still here\n\n"
        try:
            await asyncio.wait_for(closing.wait(), shared.interval_s)
        except TimeoutError:
            continue


def event(sections: Texts) -> bytes:
    """One event that carries sections.

    >>> event({"turns": "[]"})
    b'event: sections\\ndata: {"turns":[]}\\n\\n'
    """
    return frame(json_of(sections), "sections")


def marked(sections: Texts) -> bytes:
    """One event with the marks of sections: a page asks for what it shows of those that are others.

    >>> marked({"turns": "[]"})
    b'event: changed\\ndata: {"turns":"f48212d320c4"}\\n\\n'
    """
    return frame(marks(sections), "changed")


def marks(sections: Texts) -> str:
    """The mark of each section, as JSON: another one as soon as the section is."""
    found = {
        name: hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=MARK_BYTES).hexdigest()
        for name, text in sections.items()
    }
    return json.dumps(found, separators=(",", ":"))


def json_of(sections: Texts) -> str:
    """One JSON object of the sections, whose texts are JSON already."""
    return "{" + ",".join(f'"{name}":{text}' for name, text in sections.items()) + "}"
