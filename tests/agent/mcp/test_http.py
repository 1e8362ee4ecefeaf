"""A server at an address that answers a call with anything but an answer: calls end in time."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import web

pytest.importorskip("mcp", reason="mcp is not installed: pip install -e '.[mcp]'")

from agent.mcp.connection import Connection, Pace, Standing
from agent.mcp.http import READ_S
from agent.mcp.settings import ToolServer
from tests.agent.mcp.test_servers import call, opened, until

Json = dict[str, Any]
Act = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]

TOOL = {"name": "act", "inputSchema": {"type": "object"}}
ABOUT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "odd", "version": "1"},
}


def answered(asked: Json, result: Any) -> Json:
    return {"jsonrpc": "2.0", "id": asked["id"], "result": result}


def spoken(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}]}


def says(text: str, *, kind: str = "application/json", status: int = 200, **headers: str) -> Act:
    """Answer with a body. `{id}` in it becomes the call's id."""

    async def act(_request: web.Request, asked: Json) -> web.StreamResponse:
        body = text.replace("{id}", json.dumps(asked["id"])).encode()
        return web.Response(body=body, content_type=kind, status=status, headers=headers)

    return act


def streams(*events: str) -> Act:
    """Answer with events, and close the stream."""

    async def act(request: web.Request, asked: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            text = event.replace("{id}", json.dumps(asked["id"]))
            await response.write(f"event: message\ndata: {text}\n\n".encode())
        return response

    return act


async def hangs(_request: web.Request, _asked: Json) -> web.StreamResponse:
    await asyncio.sleep(600)
    raise AssertionError


async def breaks_off(request: web.Request, _asked: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = 1000
    await response.prepare(request)
    await response.write(b'{"jsonrpc": "2.0",')
    assert request.transport is not None
    request.transport.close()
    return response


async def swells(_request: web.Request, asked: Json) -> web.StreamResponse:
    """Few bytes that are 64 MiB when they are unpacked."""
    said = json.dumps(answered(asked, spoken("a" * 2**26))).encode()
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    return web.Response(body=gzip.compress(said), headers=headers)


async def no_utf8(_request: web.Request, asked: Json) -> web.StreamResponse:
    said = json.dumps(answered(asked, spoken("XX"))).encode().replace(b"XX", b"\xff\xfe")
    return web.Response(body=said, content_type="application/json")


async def floods(request: web.Request, _asked: Json) -> web.StreamResponse:
    """Say at once, and without end, that something has come a little further."""
    params = {"progressToken": "x", "progress": 1}
    said = {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
    some = f"event: message\ndata: {json.dumps(said)}\n\n".encode() * 1000
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    while True:  # until the client goes
        await response.write(some)


LONG = json.dumps(answered({"id": 0}, spoken("a" * 2**21))).replace('"id": 0', '"id": {id}')
ODD: dict[str, tuple[Act, set[str]]] = {
    "a page": (says("<html>busy</html>", kind="text/html"), {"broken"}),
    "an error page": (says("<html>oh</html>", kind="text/html", status=502), {"broken"}),
    "not found": (says("", status=404), {"broken"}),
    "not allowed": (says("{}", status=401), {"broken"}),
    "nothing": (says("", status=202), {"broken"}),
    "empty": (says(""), {"broken", "timeout"}),
    "half": (says('{"jsonrpc": "2.0", "id": {id}, "result": {"cont'), {"broken"}),
    "no object": (says("[1, 2]"), {"broken"}),
    "no result": (says('{"jsonrpc": "2.0", "id": {id}}'), {"broken", "timeout"}),
    "another's": (says('{"jsonrpc": "2.0", "id": "x", "result": {}}'), {"broken", "timeout"}),
    "wordless": (says('{"jsonrpc": "2.0", "id": {id}, "result": {"content": 5}}'), {"broken"}),
    "moved": (says("", status=302, Location="http://127.0.0.1:1/mcp"), {"broken"}),
    "moved here": (says("", status=307, Location="/mcp"), {"ok"}),
    "a stream of nothing": (streams(), {"broken", "timeout"}),
    "a stream of no JSON": (streams("oh"), {"broken", "timeout"}),
    "a stream of another's": (
        streams('{"jsonrpc": "2.0", "id": "x", "result": {}}'),
        {"broken", "timeout"},
    ),
    "hangs": (hangs, {"timeout"}),
    "breaks off": (breaks_off, {"broken"}),
    "a failure of its own": (
        says(
            '{"jsonrpc": "2.0", "id": {id}, "error": {"code": -32602, "message": "Not Found: x"}}',
            status=400,
        ),
        {"failed"},
    ),
    "a failure without a session": (
        says(
            '{"jsonrpc": "2.0", "id": {id}, "error": {"code": -32602, "message": "no such file"}}',
            status=404,
        ),
        {"failed"},
    ),
    "swells": (swells, {"broken"}),
    "too long": (says(LONG), {"huge"}),
    "a stream of too long": (streams(LONG), {"huge"}),
    "no UTF-8": (no_utf8, {"broken"}),
    "ended": (says("", status=404), {"broken"}),
}


@asynccontextmanager
async def serving(
    odd: Act,
    *,
    times: int = 1,
    greets: Act | None = None,
    session: str = "",
    others: Mapping[str, Act] = MappingProxyType({}),
) -> AsyncIterator[str]:
    """A server whose first calls are answered oddly, and all later ones well; gives its address.

    greets: answers whoever connects; None: as it should be
    session: the name of one, which it gives to whoever connects; empty: none
    others: answer other methods than calls; DELETE ends a session
    """
    acts = [odd] * times
    headers = {"Mcp-Session-Id": session} if session else {}

    async def post(request: web.Request) -> web.StreamResponse:
        asked: Json = await request.json()
        if (other := others.get(asked.get("method", ""))) is not None:
            return await other(request, asked)
        match asked.get("method"):
            case "initialize" if greets is not None:
                return await greets(request, asked)
            case "initialize":
                return web.json_response(answered(asked, ABOUT), headers=headers)
            case "tools/list":
                return web.json_response(answered(asked, {"tools": [TOOL]}))
            case "tools/call":
                if acts:
                    return await acts.pop()(request, asked)
                return web.json_response(answered(asked, spoken("well")))
            case _ if "id" not in asked:
                return web.Response(status=202)
        error = {"code": -32601, "message": "no such method"}
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})

    async def delete(request: web.Request) -> web.StreamResponse:
        return await others["DELETE"](request, {}) if "DELETE" in others else web.Response()

    app = web.Application()
    app.router.add_post("/mcp", post)
    app.router.add_delete("/mcp", delete)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("kind", ODD)
async def test_any_answer_ends_a_call_and_the_next_is_made(kind: str) -> None:
    """What cannot be read is told at once and for what it is; the server is soon called again."""
    act, outcomes = ODD[kind]
    async with serving(act, session="s" if kind == "ended" else "") as url:
        waits_s = 5.0 if "timeout" in outcomes else 60.0
        server = ToolServer(url=url, allow=("act",), timeout_s=waits_s)
        with opened(odd=server) as box:
            await until(box.offered)
            told = await call(box, "act")
            assert told.outcome in outcomes, told
            assert "Traceback" not in told.text
            while (told := await call(box, "act")).outcome == "away":
                await asyncio.sleep(0.05)  # it is connected again
            assert told.text == "well"


async def test_many_calls_at_once_are_all_made() -> None:
    """However many wait for their answers: none waits for the connection of another."""
    many, here, go_on = 110, list[Json](), asyncio.Event()

    async def waits(_request: web.Request, asked: Json) -> web.StreamResponse:
        here.append(asked)
        await go_on.wait()
        return web.json_response(answered(asked, spoken("well")))

    async with serving(waits, times=many) as url:
        with opened(odd=ToolServer(url=url, allow=("act",))) as box:
            await until(box.offered)
            calling = [asyncio.create_task(call(box, "act")) for _ in range(many)]
            await until(lambda: len(here) == many or any(each.done() for each in calling))
            go_on.set()
            assert {(await each).text for each in calling} == {"well"}


async def test_messages_without_end_end_the_connection() -> None:
    """As those of a program do; why is told."""
    async with serving(floods) as url:
        with opened(odd=ToolServer(url=url, allow=("act",))) as box:
            await until(box.offered)
            assert (await call(box, "act")).outcome == "broken"
            await until(lambda: box.status()["odd"]["state"] == "away")
            assert "messages a second" in box.status()["odd"]["why"]


FORGETS = {
    "empty": says("", status=404),
    "in words": says("session not found", kind="text/plain", status=404),
    "the Python SDK": says(
        '{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "Session not found"}}',
        status=404,
    ),
    "the TypeScript SDK": says(
        '{"jsonrpc": "2.0", "error": {"code": -32001, "message": "Session not found"}, "id": null}',
        status=404,
    ),
}


@pytest.mark.parametrize("how", FORGETS)
async def test_a_session_that_is_forgotten_is_begun_again_at_once(how: str) -> None:
    """The first time; a server that goes on forgetting is left alone like any that breaks."""
    waits, states = list[float](), list[str]()

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async with serving(FORGETS[how], times=2, session="s") as url:
        server = ToolServer(url=url, allow=("act",))
        connection = Connection(
            "odd",
            server,
            most_bytes=1000,
            changed=lambda _, standing: states.append(standing.state),
            wait=wait,
        )
        running = asyncio.create_task(connection.run())
        await until(lambda: states == ["up"])
        for expected in ([], [2.0]):
            assert (await connection.call("act", "{}", within_s=30)).outcome == "broken"
            await until(lambda: len(states) > 1 and states[-1] == "up")
            assert waits == expected
            states.clear()
            states.append("up")
        connection.stopping = True
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_server_that_takes_no_notice_holds_nobody_up() -> None:
    """That a call was given up is told, and not waited for: others are answered meanwhile."""
    deaf = {"notifications/cancelled": hangs}
    async with serving(hangs, session="s", others=deaf) as url:
        with opened(odd=ToolServer(url=url, allow=("act",))) as box:
            await until(box.offered)
            assert (await call(box, "act", 0.2)).outcome == "timeout"
            began_s = time.monotonic()
            assert (await call(box, "act")).text == "well"
            assert time.monotonic() - began_s < READ_S / 10
            assert box.status()["odd"]["calls"]["act"] == {"timeout": 1, "ok": 1}


@pytest.mark.parametrize("how", ["one thing at a time", "a gateway's page"])
async def test_tools_that_cannot_be_listed_end_no_call(how: str) -> None:
    """One that is busy with a call, or fails once: the call has a limit of its own."""
    failed, standings, calls = asyncio.Event(), list[str](), asyncio.Lock()
    pace = Pace(list_s=2.0, refresh_s=0.1, pause_s=0.0)

    async def act(_request: web.Request, asked: Json) -> web.StreamResponse:
        async with calls:
            await failed.wait()
        return web.json_response(answered(asked, spoken("well")))

    async def lists(_request: web.Request, asked: Json) -> web.StreamResponse:
        if calls.locked():
            page = how == "a gateway's page"
            asyncio.get_running_loop().call_later(0.3 + (not page) * pace.list_s, failed.set)
            if page:
                return web.Response(text="<html>oh</html>", status=502)
            async with calls:
                pass
        return web.json_response(answered(asked, {"tools": [TOOL]}))

    async with serving(act, others={"tools/list": lists}) as url:
        connection = Connection(
            "odd",
            ToolServer(url=url, allow=("act",)),
            most_bytes=1000,
            changed=lambda _, standing: standings.append(standing.state),
            pace=pace,
        )
        running = asyncio.create_task(connection.run())
        await until(lambda: connection.tools)
        told = await connection.call("act", "{}", within_s=30)
        connection.stopping = True
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (told.text, standings) == ("well", ["up"])


async def test_nothing_is_offered_of_a_server_that_is_left() -> None:
    """One that hangs is away at once, also while the end of its session is not taken."""
    ended = asyncio.Event()

    async def ends(request: web.Request, asked: Json) -> web.StreamResponse:
        ended.set()
        return await hangs(request, asked)

    async with serving(hangs, times=2, session="s", others={"DELETE": ends}) as url:
        with opened(odd=ToolServer(url=url, allow=("act",), timeout_s=0.2)) as box:
            await until(box.offered)
            for _ in range(2):
                assert (await call(box, "act")).outcome == "timeout"
            await ended.wait()
            standing = box.status()["odd"]
            assert (standing["state"], standing["why"]) == ("away", "it hangs")
            assert standing["tools"] == []
            async with asyncio.timeout(READ_S / 10):
                await until(box.offered)
            assert (await call(box, "act")).text == "well"


async def test_nothing_is_offered_of_a_server_that_hangs_in_its_listing_too() -> None:
    """What breaks while its tools are asked for anew is not offered until the answer comes."""
    listed, standings = list[Json](), list[str]()

    async def lists(request: web.Request, asked: Json) -> web.StreamResponse:
        listed.append(asked)
        if len(listed) > 1:
            return await hangs(request, asked)
        return web.json_response(answered(asked, {"tools": [TOOL]}))

    async with serving(hangs, times=2, others={"tools/list": lists}) as url:
        connection = Connection(
            "odd",
            ToolServer(url=url, allow=("act",), timeout_s=0.2),
            most_bytes=1000,
            changed=lambda _, standing: standings.append(standing.state),
            pace=Pace(list_s=60.0, refresh_s=0.1, pause_s=0.0),
        )
        running = asyncio.create_task(connection.run())
        await until(lambda: len(listed) > 1)
        for _ in range(2):
            assert (await connection.call("act", "{}", within_s=30)).outcome == "timeout"
        assert (connection.tools, standings) == ({}, ["up", "away"])
        connection.stopping = True
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_wrong_is_told_in_our_own_words(caplog: pytest.LogCaptureFixture) -> None:
    """A server's text is for the log alone, without lines of its own: everybody reads health."""
    refusal = {"code": -32001, "message": "tenant 'Acme' (key sk-live-123)\nERROR all is lost"}
    refused = json.dumps({"jsonrpc": "2.0", "id": 0, "error": refusal})
    refuses = says(refused.replace('"id": 0', '"id": {id}'))
    seen: list[Standing] = []

    async def wait(_: float) -> None:
        raise asyncio.CancelledError

    caplog.set_level("INFO")
    async with serving(hangs, greets=refuses) as url:
        server = ToolServer(url=url, allow=("act",))
        connection = Connection(
            "odd",
            server,
            most_bytes=1000,
            changed=lambda _, standing: seen.append(standing),
            wait=wait,
        )
        with pytest.raises(asyncio.CancelledError):
            await connection.run()
        told = await connection.call("act", "{}", within_s=30)
    assert seen == [Standing("away", "it answered with error -32001")]
    assert "sk-live" not in told.text
    logged = [each for each in caplog.text.splitlines() if "Acme" in each]
    assert len(logged) == 1
    assert "all is lost" in logged[0]


HOSTILE = "x:/:" * 40_000  # for each of whose colons the end of a password could be looked for


async def test_a_failure_may_say_what_it_likes_at_any_length(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Long ones of any shape cost next to nothing, and what is shown of them has no password."""
    said = f"Server returned an error response: http://bot:{'s3cret' * 100}@host {HOSTILE}"
    refusal = {"jsonrpc": "2.0", "id": 0, "error": {"code": -32603, "message": said}}
    refuses = says(json.dumps(refusal).replace('"id": 0', '"id": {id}'))

    async def wait(_: float) -> None:
        raise asyncio.CancelledError

    caplog.set_level("INFO")
    async with serving(refuses) as url:
        server = ToolServer(url=url, allow=("act",))
        connection = Connection("odd", server, most_bytes=1000, wait=wait)
        running = asyncio.create_task(connection.run())
        await until(lambda: connection.tools)
        began_s = time.thread_time()
        told = await connection.call("act", "{}", within_s=600)
        assert time.thread_time() - began_s < 3.0
        connection.stopping = True
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told.outcome == "broken"
    assert "http://bot:***@host" in told.text
    assert len(told.text) < 300
    async with serving(hangs, greets=refuses) as url:
        connection = Connection(
            "odd", ToolServer(url=url, allow=("act",)), most_bytes=1000, wait=wait
        )
        began_s = time.thread_time()
        with pytest.raises(asyncio.CancelledError):
            await connection.run()
        assert time.thread_time() - began_s < 3.0
    (logged,) = [each for each in caplog.messages if "http://bot:***@host" in each]
    assert len(logged) < 400
    assert "s3cret" not in caplog.text + told.text
