"""Runs an application so that what is not even HTTP is answered in the API's shape, too.

A request line, header or chunk that cannot be read never reaches the application and its
middlewares; aiohttp answers it by a text of its own.
"""

import re

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from agent.errors import InvalidError
from agent.http.edge import error_response, undecodable

_ENCODING = re.compile(r"\((\w+)\)")  # as aiohttp names the one that it misses a library for


class Runner(web.AppRunner):
    """aiohttp's runner over connections that speak JSON from their first byte."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        response = error_response(_told(exc, message or ""), status=status)
        response.force_close()
        return response


def _told(cause: HttpProcessingError, message: str) -> InvalidError:
    """What the client is told; aiohttp asks it to install libraries, which are ours to install."""
    said = " ".join(message.split())[:200]
    if isinstance(cause, ContentEncodingError):
        named = _ENCODING.search(said)
        return undecodable(named[1] if named else "unknown")
    return InvalidError(f"this is not HTTP that can be read: {said}", code="malformed_http")
