"""A server at an address: streamable HTTP, of which no more is read than is wanted."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import anyio
import httpx2
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client

from agent.mcp.bounds import TOO_LONG, TOO_MANY, Rate

CONNECT_S: Final = 10.0
READ_S: Final = 300.0  # a stream may be silent for long; each call has a limit of its own
TAKEN_S: Final = 2.0  # for what wants no answer: the SDK sends nothing else meanwhile
# As many as there are calls: one that waited for another's connection would break them all.
LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20)


class TooLongError(httpx2.TransportError):
    """An answer that is longer than is read."""


class EncodedError(httpx2.TransportError):
    """An answer in an encoding that was not asked for: few bytes may be many."""


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, up to a number."""

    def __init__(self, stream: Any, most_bytes: int, ended: Callable[[str], None]) -> None:
        self._stream, self._left, self._ended = stream, most_bytes, ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                self._ended(TOO_LONG)
                raise TooLongError("the answer is longer than is read")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Transport(httpx2.AsyncHTTPTransport):
    """Bounds answers that are whole; of streams the SDK bounds each event.

    Of what wants no answer, such as that a call is given up, nothing is read but how it was taken,
    and not for long: a server that hangs would hold up all that others ask of it.
    """

    def __init__(self, most_bytes: int, ended: Callable[[str], None]) -> None:
        super().__init__(limits=LIMITS)
        self._most_bytes, self._ended = most_bytes, ended

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        if not await _wants_answer(request):
            return await self._tell(request)
        response = await super().handle_async_request(request)
        if response.status_code == 404 and request.method == "POST" and _in_session(request):
            await response.aclose()
            return httpx2.Response(404)  # the session is over, in whatever words of the server
        if (encoding := response.headers.get("content-encoding", "identity")) != "identity":
            await response.aclose()
            raise EncodedError(f"the answer is encoded ({encoding}), though none was asked for")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Bounded(response.stream, self._most_bytes, self._ended)
        return response

    async def _tell(self, request: httpx2.Request) -> httpx2.Response:
        """Tell a server something. One that is too busy to say so has taken it all the same."""
        with anyio.move_on_after(TAKEN_S):
            response = await super().handle_async_request(request)
            await response.aclose()
            response.headers.pop("content-encoding", None)  # of a body that is not read
            return httpx2.Response(response.status_code, headers=response.headers)
        return httpx2.Response(202)


async def _wants_answer(request: httpx2.Request) -> bool:
    """Whether anything is read of the answer: not of a notification, or the end of a session."""
    if request.method != "POST":
        return request.method != "DELETE"
    said = json.loads(await request.aread())
    return "method" in said and "id" in said


def _in_session(request: httpx2.Request) -> bool:
    return MCP_SESSION_ID in request.headers


class _Counted:
    """The messages that the SDK has read, for its session; none after too many in a second."""

    def __init__(self, stream: Any, ended: Callable[[str], None]) -> None:
        self._stream, self._ended, self._rate = stream, ended, Rate()

    @property
    def last_context(self) -> Any:
        return self._stream.last_context

    async def receive(self) -> Any:
        message = await self._stream.receive()
        if not self._rate.take():
            self._ended(TOO_MANY)
            raise anyio.EndOfStream
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], *, most_bytes: int, ended: Callable[[str], None]
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the streams that the SDK's session speaks through.

    most_bytes: of one message
    ended: told why nothing more is read, where that is the server's fault
    """
    timeout = httpx2.Timeout(CONNECT_S, read=READ_S, pool=None)
    async with (
        httpx2.AsyncClient(
            headers=dict(headers), timeout=timeout, transport=_Transport(most_bytes, ended)
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=most_bytes) as streams,
    ):
        read, write = streams
        yield _Counted(read, ended), write
