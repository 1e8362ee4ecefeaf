"""Pages of other origins stay out, and readers that do not read hold nobody up."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.api.chat import ask_of, read_chat
from agent.api.completion import Completion
from agent.api.send import send_stream
from tests.agent.conftest import Api, StartApi
from tests.agent.fakes import FakeBase

CHAT = {"model": "quickset", "messages": [{"role": "user", "content": "Hi"}]}
ALLOWED = "https://chat.example.org"


async def post(api: Api, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.post("/v1/chat/completions", json=CHAT, headers=named)


def own_origin(api: Api) -> str:
    return f"http://127.0.0.1:{api.client.port}"


async def test_our_own_page_may_chat(api: Api) -> None:
    """The chat page's requests carry our own origin; a program's carry none."""
    assert (await post(api, Origin=own_origin(api))).status == 200
    assert (await post(api)).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "", "//"])
async def test_other_pages_may_not(api: Api, origin: str) -> None:
    """A page of another origin can neither chat nor teach, however it dresses its request."""
    response = await post(api, Origin=origin)
    assert response.status == 403
    assert (await response.json())["error"]["code"] == "origin_not_allowed"
    assert api.turns() == []


async def test_a_name_that_was_made_to_resolve_here_gains_nothing(api: Api) -> None:
    """Without keys, a page of a foreign name is foreign, even when the name is this address."""
    response = await post(api, Host="evil.example:80", Origin="http://evil.example:80")
    assert response.status == 403


async def test_cross_origin_requests_are_off(api: Api) -> None:
    """Nothing is allowed to a browser's preflight, and no response is readable elsewhere."""
    response = await api.client.options("/v1/chat/completions", headers={"Origin": ALLOWED})
    assert response.status == 403
    listed = await api.client.get("/v1/models", headers={"Origin": ALLOWED})
    assert "Access-Control-Allow-Origin" not in listed.headers


async def test_a_named_origin_may_call(start_api: StartApi) -> None:
    """An origin of the settings passes its preflight, and reads streams and their version."""
    api: Api = await start_api(origins=[ALLOWED])
    headers = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST"}
    preflight = await api.client.options("/v1/chat/completions", headers=headers)
    assert preflight.status == 204
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    response = await api.client.post(
        "/v1/chat/completions", json=CHAT | {"stream": True}, headers={"Origin": ALLOWED}
    )
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert response.headers["Access-Control-Expose-Headers"] == "X-Quickset-Version"
    assert "[DONE]" in await response.text()
    assert (await post(api, Origin="https://evil.example")).status == 403


LONG = 2000
MEGABYTES = ["x" * 4000] * LONG


async def unread_stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream of some megabytes, and read nothing of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    body = json.dumps(CHAT | {"stream": True, "max_tokens": LONG}).encode()
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
    _, writer = await unread_stream(api.client.port or 0)
    while not api.engine.streams:
        await asyncio.sleep(0)
    for _ in range(3):
        response = await api.chat(max_tokens=2)
        assert response.status == 200
    assert len(api.turns()) == 3
    writer.close()


async def test_a_reader_that_stopped_reading_is_let_go(start_api: StartApi) -> None:
    """A stalled reader's request is cancelled, and recorded as far as it came."""
    base = FakeBase(context_tokens=4096)
    api: Api = await start_api(script=MEGABYTES, base=base, context_tokens=4096)
    call = read_chat(json.dumps(CHAT | {"stream": True, "max_tokens": LONG}).encode())

    async def impatient(request: web.Request) -> web.StreamResponse:
        service = api.service
        ask = ask_of(call, service.settings, principal="anonymous", headers=request.headers)
        with service.answer(await service.render(ask), began_s=0.0) as answer:
            return await send_stream(request, answer, Completion(answer, call), stalled_s=0.05)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", impatient)
    async with TestServer(app) as server:
        _, writer = await unread_stream(server.port or 0)
        while not api.turns():
            await asyncio.sleep(0.01)
        writer.close()
    (turn,) = api.turns()
    assert turn.finish_reason == "cancelled"
    assert 0 < len(turn.token_ids) < LONG
    assert api.engine.streams[0].cancelled
