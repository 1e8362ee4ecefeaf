"""A server at an address: streamable HTTP, of which no answer is longer than is wanted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from mcp.client.streamable_http import streamable_http_client

CONNECT_S: Final = 10.0
READ_S: Final = 300.0  # a stream may be silent for long; each call has a limit of its own


class TooLongError(httpx2.TransportError):
    """An answer that is longer than is read."""


class EncodedError(httpx2.TransportError):
    """An answer in an encoding that was not asked for: few bytes may be many."""


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, up to a number."""

    def __init__(self, stream: Any, most_bytes: int) -> None:
        self._stream, self._left = stream, most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                raise TooLongError("the answer is longer than is read")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Transport(httpx2.AsyncHTTPTransport):
    """Bounds answers that are whole; of streams the SDK bounds each event."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if (encoding := response.headers.get("content-encoding", "identity")) != "identity":
            await response.aclose()
            raise EncodedError(f"the answer is encoded ({encoding}), though none was asked for")
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Bounded(response.stream, self._most_bytes)
        return response


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], *, most_bytes: int
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the streams that the SDK's session speaks through. most_bytes: of one message"""
    timeout = httpx2.Timeout(CONNECT_S, read=READ_S)
    async with (
        httpx2.AsyncClient(
            headers=dict(headers), timeout=timeout, transport=_Transport(most_bytes)
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=most_bytes) as streams,
    ):
        yield streams
