"""Server-sent events: one framing and one way of writing them for every API and page.

Knows nothing of what the events say.
"""

import asyncio
import json
from asyncio import Future
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from aiohttp import web

from agent.http.edge import cut, until_taken

HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold tokens back
}
STILL_HERE: Final = b": still here\n\n"  # a comment, which every reader passes over

T = TypeVar("T")


def frame(data: Mapping[str, Any] | str, event: str | None = None) -> bytes:
    r"""One event. data: JSON, or a text of one line.

    >>> frame({"n": 1}), frame("[DONE]"), frame("{}", "ping")
    (b'data: {"n":1}\n\n', b'data: [DONE]\n\n', b'event: ping\ndata: {}\n\n')
    """
    # JSON has no raw line breaks, so the data is always one line.
    if not isinstance(data, str):
        data = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {data}\n\n".encode()


class Writer:
    """A response of events: begun once, kept alive while it is silent, given up when nobody reads.

    Every method may raise ConnectionError, and TimeoutError when the reader has taken nothing for
    as long as that.
    """

    def __init__(self, request: web.Request, *, keep_alive_s: float, stalled_s: float) -> None:
        """Prepare; nothing is sent before `wait` or `begin`.

        keep_alive_s: after so long a silence a comment is sent
        stalled_s: how long a reader may take nothing
        """
        self.response = web.StreamResponse(headers=HEADERS)
        self.begun = False
        self._request, self._loop = request, asyncio.get_running_loop()
        self._keep_alive_s, self._stalled_s = keep_alive_s, stalled_s
        self._spoke_s = 0.0
        self._keeping_alive: asyncio.Task[None] | None = None

    async def wait(self, coming: Future[T]) -> T:
        """Wait for what must be known before the headers go out, as long as that is not too long.

        returns: its result, or raises what it raised; by then the headers may have gone
        """
        while not (await asyncio.wait([coming], timeout=self._keep_alive_s))[0]:
            await self.begin({})
            await self.write([STILL_HERE])
        return coming.result()

    async def begin(self, headers: Mapping[str, str]) -> None:
        """Send the headers, unless they have gone."""
        if not self.begun:
            self.response.headers.update(headers)
            self.begun = True
            await self.response.prepare(self._request)

    async def write(self, frames: Iterable[bytes]) -> None:
        """Send events."""
        if data := b"".join(frames):
            try:
                async with asyncio.timeout(self._stalled_s):
                    await self.response.write(data)
            except TimeoutError:
                cut(self._request)  # or else whatever ends the response waits for it again
                raise
            self._spoke_s = self._loop.time()
            if self._keeping_alive is None:
                self._keeping_alive = self._loop.create_task(self._keep_alive())

    async def end(self) -> None:
        """Send what is left; nothing comes after it."""
        await self.close()
        writing = self.response.write_eof()
        await until_taken(self._request, writing, stalled_s=self._stalled_s)

    async def close(self) -> None:
        """Stop keeping it alive; closing again changes nothing."""
        if self._keeping_alive is not None and not self._keeping_alive.done():
            self._keeping_alive.cancel()
            await asyncio.wait([self._keeping_alive])

    async def _keep_alive(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the next event will find it out
            while True:
                silent_s = self._loop.time() - self._spoke_s
                if silent_s >= self._keep_alive_s:
                    await self.write([STILL_HERE])
                    silent_s = 0.0
                await asyncio.sleep(self._keep_alive_s - silent_s)
