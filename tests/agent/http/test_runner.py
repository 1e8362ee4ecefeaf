"""What is no HTTP at all is answered in the API's shape."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from agent.http.edge import answer_errors, expect, read_body
from agent.http.runner import Runner


async def hello(_: web.Request) -> web.Response:
    return web.json_response({"said": "hello"})


async def read(request: web.Request) -> web.Response:
    return web.json_response({"read": len(await read_body(request))})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a small application."""
    app = web.Application(middlewares=[answer_errors()])
    app.add_routes([web.get("/", hello), web.post("/", read, expect_handler=expect)])
    runner = Runner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def send(port: int, data: bytes) -> tuple[bytes, bytes]:
    """Send bytes, and return head and body of what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"G@T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        bytes(range(256)) + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: zork\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes.fromhex("16030100a5010000a10303") + bytes(60),
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\n{}",
        b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / http/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    ],
    ids=[
        "word",
        "method",
        "version",
        "http/2.0",
        "http/0.9",
        "header",
        "long header",
        "long path",
        "length",
        "bytes",
        "two lengths",
        "length and chunks",
        "encoding",
        "line ends",
        "null",
        "http/2",
        "tls",
        "chunk",
        "plus",
        "hexadecimal",
        "indented",
        "nameless",
        "small letters",
        "long length",
    ],
)
async def test_malformed_http_has_the_shape_of_every_error(port: int, data: bytes) -> None:
    """Status 400, JSON, no trace; the connection closes, and the next one is answered."""
    head, body = await send(port, data)
    assert head.split()[1] == b"400"
    assert b"application/json" in head
    error = json.loads(body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "malformed_http")
    assert "Traceback" not in error["message"]
    good = await send(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert json.loads(good[1]) == {"said": "hello"}


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "nonsense"])
async def test_an_encoding_that_is_not_read_is_named(port: int, encoding: str) -> None:
    """The client is told which ones are, and never to install a library."""
    request = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n"
    head, body = await send(port, f"{request}Connection: close\r\n\r\n{{}}".encode())
    assert head.split()[1] == b"400"
    assert b"Accept-Encoding: gzip, deflate" in head
    error = json.loads(body)["error"]
    assert error["code"] == "unsupported_encoding"
    assert repr(encoding) in error["message"]
    assert "gzip or deflate" in error["message"]


TEXT = b'{"a": "Hedge"}' * 99


def packed(encoding: str, body: bytes) -> bytes:
    """A request with a body of an encoding."""
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:])),
        ("gzip", b"".join(gzip.compress(bytes([byte])) for byte in TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),  # as some send it, without zlib's own marks
    ],
    # a packed body says when it was made, and so would the tests' names
    ids=["plain", "gzip", "large letters", "alias", "two", "many", "zlib", "deflate"],
)
async def test_a_packed_body_is_read(port: int, encoding: str, body: bytes) -> None:
    """Each form that a client may send."""
    _, told = await send(port, packed(encoding, body))
    assert json.loads(told) == {"read": len(TEXT)}


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
async def test_a_packed_body_that_is_cut_off_or_damaged_is_refused(
    port: int, encoding: str
) -> None:
    """Also where all of what was packed can still be read: nobody knows that it is all."""
    whole = zlib.compress(TEXT) if encoding == "deflate" else gzip.compress(TEXT)
    broken = [whole[:-size] for size in (1, 4, 6, len(whole) - 3)]
    for body in (*broken, whole + b"more", whole * 2 + b"\x1f", whole[:-3] + b"\0\1\2", b"xxx"):
        head, told = await send(port, packed(encoding, body))
        assert head.split()[1] == b"400"
        assert "cannot be decoded" in json.loads(told)["error"]["message"]


async def test_one_deflated_body_follows_no_other(port: int) -> None:
    """Empty ones cost everybody's time, and nothing of the size that is allowed."""
    head, _ = await send(port, packed("deflate", b"\3\0" * 2000))
    assert head.split()[1] == b"400"


async def test_no_more_is_unpacked_than_a_body_may_have(port: int) -> None:
    """To the byte; a bomb costs no memory."""
    _, told = await send(port, packed("gzip", gzip.compress(bytes(2**20))))
    assert json.loads(told) == {"read": 2**20}
    head, told = await send(port, packed("gzip", gzip.compress(bytes(2**20 + 1))))
    assert head.split()[1] == b"413"
    assert json.loads(told)["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("more", [b"", b"Expect: 100-continue\r\n"])
async def test_a_body_that_says_to_be_too_large_is_refused_before_it_comes(
    port: int, more: bytes
) -> None:
    """Whoever sends it, or asks whether to, need not send it in vain."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n" + more + b"\r\n")
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}}")
    writer.close()
    assert head.startswith(b"HTTP/1.1 413")
    assert json.loads(body)["error"]["code"] == "request_too_large"


@asynccontextmanager
async def small(**kwargs: Any) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """An application with few connections; its port, and what its stream at /long ends by."""
    end = asyncio.Event()

    async def long(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun ")
        await end.wait()
        await response.write(b"ended")
        return response

    app = web.Application(middlewares=[answer_errors()])
    app.add_routes([web.get("/", hello), web.get("/long", long)])
    runner = Runner(app, handler_cancellation=True, access_log=None, **kwargs)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], end
    finally:
        end.set()
        await runner.cleanup()


async def test_connections_that_ask_for_nothing_make_room() -> None:
    """The oldest first; a stream goes on, others are answered, and it is told once in a while."""
    told = list[str]()
    async with small(most=4, full=lambda: told.append("full")) as (port, end):
        stream, asking = await asyncio.open_connection("127.0.0.1", port)
        asking.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        await stream.readuntil(b"begun ")
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in idle:
            writer.write(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(3):
            good = await send(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert json.loads(good[1]) == {"said": "hello"}
        assert await asyncio.wait_for(idle[0][0].read(), 5) == b""
        idle += [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await asyncio.wait_for(idle[1][0].read(), 5) == b""
        assert (told, idle[2][0].at_eof()) == (["full"], False)
        end.set()
        await asyncio.wait_for(stream.readuntil(b"ended"), 5)
        for _, writer in [*idle, (stream, asking)]:
            writer.close()


@pytest.mark.parametrize(("most", "backlog"), [(None, 128), (4096, 128), (128, 32), (1, 1)])
def test_few_descriptors_are_not_taken_up_in_one_go(most: int | None, backlog: int) -> None:
    """Files must have some left until connections make room."""
    assert Runner(web.Application(), most=most).backlog == backlog


async def test_where_all_ask_for_something_the_next_waits_outside() -> None:
    """No reply is cut for a connection that comes after it."""
    async with small(most=2) as (port, end):
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in streams:
            writer.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"begun ")
        late, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(late.read(), 5) == b""
        writer.close()
        end.set()
        for reader, writer in streams:
            await asyncio.wait_for(reader.readuntil(b"ended"), 5)
            writer.close()


@pytest.mark.parametrize(
    "head", [b"", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nG"]
)
async def test_a_request_that_never_comes_whole_ends(head: bytes) -> None:
    """Its connection is closed, at the first request and after one; a stream is none of these."""
    async with small(keepalive_timeout=0.3) as (port, end):
        stream, asking = await asyncio.open_connection("127.0.0.1", port)
        asking.write(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        await asyncio.wait_for(reader.read(), 10)
        end.set()
        await asyncio.wait_for(stream.readuntil(b"ended"), 5)
        for each in (writer, asking):
            each.close()


async def test_the_end_waits_for_what_it_cancels() -> None:
    """A handler that still writes down what it has made has done so when the server has ended."""
    begun, told = asyncio.Event(), list[str]()

    async def long(_: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _round in range(20):  # as tasks within tasks take, each of which is cancelled
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
            told.append("recorded")
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", long)])
    runner = Runner(app, handler_cancellation=True, shutdown_timeout=0.5, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, writer = await asyncio.open_connection(*runner.addresses[0])
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await begun.wait()
    await runner.cleanup()
    assert told == ["recorded"]
    writer.close()
