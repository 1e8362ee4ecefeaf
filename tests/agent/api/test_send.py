"""Readers that wait are told so, and readers that do not read hold nobody up."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.api.caller import Caller
from agent.api.chat.reply import Completion
from agent.api.chat.request import read_chat
from agent.api.chat.surface import ask_of
from agent.api.send import send_stream, send_whole
from agent.http.sse import STILL_HERE
from tests.agent.api.asking import models
from tests.agent.conftest import Api, StartApi
from tests.agent.fakes import BASE, FakeBase

CHAT = {"model": "quickset", "messages": [{"role": "user", "content": "Hi"}]}


async def test_a_request_that_waits_is_told_so(start_api: StartApi) -> None:
    """Until the first token comes, comments keep the stream alive; the reply follows whole."""
    api: Api = await start_api(script=["⏸", "Hello", "."], keep_alive_s=0.01)
    response = await api.chat(stream=True)
    assert response.status == 200
    assert await response.content.readexactly(2 * len(STILL_HERE)) == 2 * STILL_HERE
    api.engine.streams[0].gate.set()
    text = await response.text()
    assert '"content":"Hello"' in text.replace(": still here\n\n", "")
    assert text.endswith("data: [DONE]\n\n")
    assert f'"system_fingerprint":"{BASE}"' in text


async def test_a_pause_in_mid_reply_is_told(start_api: StartApi) -> None:
    """A stream that is silent between two tokens says that it lives, and goes on."""
    api: Api = await start_api(script=["Hello", "⏸", "."], keep_alive_s=0.01)
    response = await api.chat(stream=True)
    assert response.headers["X-Quickset-Version"] == BASE
    seen = b""
    while STILL_HERE not in seen:
        seen += await response.content.readany()
    assert b"Hello" in seen
    api.engine.streams[0].gate.set()
    assert (await response.text()).endswith("data: [DONE]\n\n")


async def test_a_failure_after_a_keep_alive_is_an_event(start_api: StartApi) -> None:
    """What was told that it waits has its status already: the stream says what went wrong."""
    api: Api = await start_api(script=["⏸", RuntimeError("boom")], keep_alive_s=0.01)
    response = await api.chat(stream=True)
    await response.content.readexactly(len(STILL_HERE))
    api.engine.streams[0].gate.set()
    last = (await response.text()).strip().rpartition("data: ")[2]
    assert json.loads(last)["error"]["type"] == "server_error"


async def test_a_client_that_goes_while_it_is_told_to_wait_frees_its_place(
    start_api: StartApi,
) -> None:
    """Leaving in mid-wait cancels the request; nothing was sampled, so nothing is recorded."""
    api: Api = await start_api(script=["⏸", "never"], keep_alive_s=0.01)
    response = await api.chat(stream=True)
    await response.content.readexactly(len(STILL_HERE))
    response.close()
    await asyncio.wait_for(api.engine.streams[0].gate.wait(), 60)
    assert api.engine.streams[0].cancelled
    assert api.turns() == []


LONG = 2000
MEGABYTES = ["x" * 4000] * LONG


async def unread(
    port: int, *, stream: bool = True
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for some megabytes, and read nothing of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    body = json.dumps(CHAT | {"stream": stream, "max_tokens": LONG}).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()
    return reader, writer


async def test_a_slow_reader_holds_nobody_up(start_api: StartApi) -> None:
    """While one client reads nothing, others are answered."""
    base = FakeBase(context_tokens=4096)
    api: Api = await start_api(script=MEGABYTES, base=base, context_tokens=4096)
    _, writer = await unread(api.client.port or 0)
    while not api.engine.streams:
        await asyncio.sleep(0)
    for _ in range(3):
        response = await api.chat(max_tokens=2)
        assert response.status == 200
    assert len(api.turns()) == 3
    writer.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reader_that_stopped_reading_is_let_go(start_api: StartApi, stream: bool) -> None:
    """A stalled reader's request ends, cut off, and is recorded as far as it came."""
    base = FakeBase(context_tokens=4096)
    api: Api = await start_api(script=MEGABYTES, base=base, context_tokens=4096)
    call = read_chat(json.dumps(CHAT | {"stream": stream, "max_tokens": LONG}).encode())

    async def impatient(request: web.Request) -> web.StreamResponse:
        service = api.service
        caller = Caller("anonymous", request.headers, service.settings, models())
        ask = await service.render(ask_of(call, caller))
        with service.answer([ask], prefix="chatcmpl-", began_s=0.0) as answer:
            shape = Completion(answer, call)
            if not stream:
                return await send_whole(request, answer, shape, stalled_s=0.05)
            return await send_stream(request, answer, shape, keep_alive_s=60, stalled_s=0.05)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", impatient)
    async with TestServer(app) as server:
        reader, writer = await unread(server.port or 0, stream=stream)
        while not api.turns():
            await asyncio.sleep(0.01)
        num_bytes = 0
        while read := await reader.read(2**20):
            num_bytes += len(read)
        assert num_bytes < LONG * len(MEGABYTES[0])
        writer.close()
    (turn,) = api.turns()
    assert turn.delivered is False
    if stream:
        assert turn.finish_reason == "cancelled"
        assert 0 < len(turn.token_ids) < LONG
    assert api.engine.streams[0].cancelled
