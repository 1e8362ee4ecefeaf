"""Runs an application so that what is not even HTTP is answered in the API's shape, too.

A request line, header or chunk that cannot be read never reaches the application and its
middlewares; aiohttp answers it by a text of its own.

Nobody takes all descriptors either: over so many connections, those make room that ask for nothing.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from agent.errors import InvalidError
from agent.http.edge import error_response

BACKLOG = 128  # connections taken up in one go, as asyncio does before it looks at any; its default
TELL_S = 60.0  # between two words about it that there are too many


class Runner(web.AppRunner):
    """aiohttp's runner over connections that speak JSON from their first byte.

    Its cleanup waits for what it cancels, so that nothing is recorded after it.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        most: int | None = None,
        full: Callable[[], None] = lambda: None,
        **kwargs: Any,
    ) -> None:
        """Take what is served.

        Connections that ask for nothing stay for aiohttp's hour and a half minute, as proxies keep
        theirs for up to an hour (Envoy; Google 600 s) and must not find one closed.

        most: connections at once; another one closes the oldest that asks for nothing, or is
            closed itself; full: told of it, once a minute
        """
        # Bodies come as they are sent: aiohttp would refuse an encoding before any route knows of
        # it, and take a body that is cut off for a whole one.
        super().__init__(app, auto_decompress=False, **kwargs)
        self._most, self._full = most, full

    @property
    def backlog(self) -> int:
        """How many connections may be taken up, each with a descriptor, before one makes room."""
        return BACKLOG if self._most is None else max(min(BACKLOG, self._most // 4), 1)

    async def cleanup(self) -> None:
        server = self.server
        await super().cleanup()
        if isinstance(server, _Server) and server.running:
            await asyncio.wait(server.running, timeout=self._shutdown_timeout)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            most=self._most,
            full=self._full,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )


class _Server(web.Server):
    def __init__(
        self, *args: Any, most: int | None, full: Callable[[], None], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.running: set[asyncio.Task[Any]] = set()  # of every connection that answers or waits
        self._most, self._full, self._told_s = most, full, -math.inf

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if self._most is None or len(self._connections) <= self._most:
            return
        held = [each for each in self.connections if each.connected]
        if len(held) > self._most:
            idle = (each for each in held if isinstance(each, _Connection) and each.is_idle)
            next(idle, handler).force_close()
            self._tell()

    def _tell(self) -> None:
        now_s = self._loop.time()
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            self._full()

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    @property
    def is_idle(self) -> bool:
        """Whether it asks for nothing, or has not yet said all of what it asks for."""
        return self._waiter is not None and not self._waiter.done()

    async def start(self) -> None:
        server, task = self._manager, asyncio.current_task()
        assert isinstance(server, _Server)  # which made it
        assert task is not None
        running = server.running  # kept: a connection that is lost forgets its server
        running.add(task)
        try:
            await super().start()
        finally:
            running.discard(task)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        response = error_response(_told(message or ""), status=status)
        response.force_close()
        return response


def _told(message: str) -> InvalidError:
    """What the client is told."""
    said = " ".join(message.split())[:200]
    return InvalidError(f"this is not HTTP that can be read: {said}", code="malformed_http")
