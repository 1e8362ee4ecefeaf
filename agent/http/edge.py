"""Guards the edge of an API: failures have the API's shape, bodies are bounded, all is counted.

Knows nothing of what the routes do.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Handler, Middleware

from agent.errors import ApiError, BrokenError, InvalidError, NotFoundError, TooLargeError
from agent.http.names import name_of
from agent.watch.metrics import Metrics
from streams.records import Json

BODY_S = 30.0  # to send a body of the largest size over a slow line; longer is not a request
CLIENT_GONE = 499  # nginx's word for it: counted, never sent
ENCODINGS = ("gzip", "deflate")  # of bodies
_GZIP = ("gzip", "x-gzip")  # which are one (RFC 9110, sec. 8.4.1.3)
_ZLIB_METHOD = 8  # the low half of the first byte of zlib's form; a deflated body may come without
# What follows an end is copied at each: of a body of many short ones, this much.
_PIECE_BYTES = 4096

_LOG = logging.getLogger(__name__)

# The JSON of an error, given the error and the request's name.
ErrorShape = Callable[[ApiError, str], Mapping[str, Any]]
# Which of them answers a request.
ShapeOf = Callable[[web.Request], ErrorShape]


def openai_error(error: ApiError, _: str) -> Json:
    """An error as OpenAI's clients read it; the shape of every API that has none of its own.

    >>> error = InvalidError("must be positive", param="max_tokens")
    >>> openai_error(error, "")["error"]["param"]
    'max_tokens'
    """
    said = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    return {"error": said}


def measure(metrics: Metrics) -> Middleware:
    """Count every request by route and status, and time it."""

    @web.middleware
    async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        began_s, status = time.perf_counter(), CLIENT_GONE
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            metrics.requests.labels(route, str(status)).inc()
            metrics.request_s.labels(route).observe(time.perf_counter() - began_s)

    return measured


def answer_errors(shape_of: ShapeOf = lambda _: openai_error) -> Middleware:
    """Answer every failure in the shape of the API that was asked, and never with a trace."""

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.version not in (HttpVersion10, HttpVersion11):
                raise InvalidError(
                    "only HTTP/1.1 and HTTP/1.0 are spoken here", code="malformed_http"
                )
            return await handler(request)
        except ApiError as error:
            return error_response(error, shape_of(request), request=request)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as cause:
            if request.method == "OPTIONS" and isinstance(cause, web.HTTPMethodNotAllowed):
                return _options(cause)
            named, status = _named(request, cause), cause.status
            return error_response(named, shape_of(request), request=request, status=status)
        except Exception:
            _LOG.exception("%s %s failed", request.method, request.path)
            broken = BrokenError("the server failed; its log has the reason")
            return error_response(broken, shape_of(request), request=request)

    return answered


async def read_body(request: web.Request) -> bytes:
    """Read a request's body.

    raises: TooLargeError; InvalidError when it does not come, or is not what its encoding says
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", *_GZIP, *ENCODINGS):
        raise _undecodable(encoding)
    if _is_too_large(request):  # it is told before it has come
        raise _too_large(request)
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge as cause:
        raise _too_large(request) from cause
    except TimeoutError:
        raise InvalidError(f"the body did not come within {BODY_S:.0f} seconds") from None
    except (web.RequestPayloadError, ValueError) as cause:
        # What is left of it is not to be read: aiohttp would log that as a failure of ours.
        request.content.feed_eof()
        raise InvalidError(
            "the body did not come as its headers say", headers={"Connection": "close"}
        ) from cause
    if encoding in ("", "identity") or not body:
        return body
    try:
        plain = _decoded(body, is_gzip=encoding in _GZIP, most=request.client_max_size)
    except (zlib.error, EOFError) as cause:
        raise InvalidError("the body cannot be decoded: check its Content-Encoding") from cause
    if len(plain) > request.client_max_size:
        raise _too_large(request)
    return plain


async def until_taken(
    request: web.Request, writing: Coroutine[Any, Any, None], *, stalled_s: float
) -> None:
    """Wait until what is written has gone to the reader, who may be slow, but must read on.

    raises: TimeoutError when no byte is taken for as long as that; its connection is cut then
    """
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.sleep(0)  # it hands over all that it has before it waits itself
        left = _unsent(request)
        while not (await asyncio.wait([task], timeout=stalled_s))[0]:
            before, left = left, _unsent(request)
            if left >= before:
                cut(request)
                raise TimeoutError(f"the reader has taken nothing for {stalled_s:g} s")
        task.result()
    finally:
        task.cancel()


def cut(request: web.Request) -> None:
    """Cut a request's connection: whatever would still write to it waits no more."""
    if request.transport is not None:
        request.transport.abort()


def _unsent(request: web.Request) -> int:
    """How many bytes wait for the reader."""
    transport = request.transport
    if transport is None:
        return 0
    return transport.get_write_buffer_size()


def _decoded(body: bytes, *, is_gzip: bool, most: int) -> bytes:
    """What was packed; of more than is read, one byte more.

    raises: EOFError where it is cut off; zlib.error, also where something else follows
    """
    if is_gzip:
        form = 16 + zlib.MAX_WBITS
    else:
        form = zlib.MAX_WBITS if body[0] & 0x0F == _ZLIB_METHOD else -zlib.MAX_WBITS
    plain, at = bytearray(), 0
    while at < len(body):  # of gzip one may follow another (RFC 1952, sec. 2.2)
        if at and not is_gzip:
            raise zlib.error("more follows")
        unpacking = zlib.decompressobj(form)
        while not unpacking.eof:
            piece = body[at : at + _PIECE_BYTES]
            if not piece:
                raise EOFError
            plain += unpacking.decompress(piece, most + 1 - len(plain))
            if len(plain) > most:
                return bytes(plain)
            at += len(piece) - len(unpacking.unused_data)
    return bytes(plain)


def _undecodable(encoding: str) -> InvalidError:
    """What a client is told of a body in an encoding that is not read here."""
    readable = " or ".join(ENCODINGS)
    return InvalidError(
        f"a body encoded as {encoding[:40]!r} cannot be read here: send it plain, or as {readable}",
        code="unsupported_encoding",
        headers={"Accept-Encoding": ", ".join(ENCODINGS), "Connection": "close"},
    )


async def expect(request: web.Request) -> None:
    """Let a client go on that waits for leave to send its body.

    What else it may expect is passed over, as it may be (RFC 9110, sec. 10.1.1); aiohttp would
    refuse it in a text of its own, which is no API's.
    """
    waits = request.headers.get("Expect", "").strip().lower() == "100-continue"
    if waits and request.version == HttpVersion11 and not _is_too_large(request):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def error_response(
    error: ApiError,
    shape: ErrorShape = openai_error,
    *,
    request: web.Request | None = None,
    status: int | None = None,
) -> web.Response:
    """An error in an API's shape.

    request: what it answers; None when that could not be read
    status: None: the error's own
    """
    body = shape(error, name_of(request) if request is not None else "")
    return web.json_response(body, status=status or error.status, headers=error.headers)


def _is_too_large(request: web.Request) -> bool:
    return (request.content_length or 0) > request.client_max_size


def _too_large(request: web.Request) -> TooLargeError:
    return TooLargeError(f"the body is larger than {request.client_max_size} bytes: shorten it")


def _options(refused: web.HTTPMethodNotAllowed) -> web.Response:
    """Say which methods a resource has (RFC 9110, sec. 9.3.7)."""
    allowed = ", ".join(sorted({*refused.allowed_methods, "OPTIONS"}))
    return web.Response(status=204, headers={"Allow": allowed})


def _named(request: web.Request, error: web.HTTPException) -> ApiError:
    """What aiohttp refused, in words."""
    if isinstance(error, web.HTTPNotFound):
        return NotFoundError(f"there is nothing at {request.path[:200]}", code="unknown_url")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return InvalidError(
            f"{request.method} is not allowed here: use {allowed}",
            code="method_not_allowed",
            headers={"Allow": allowed},
        )
    return InvalidError(error.reason)
