"""What MCP hosts see of a running agent: tools, resources and prompts, by the SDK's own client."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from mcp import Client, MCPError
from mcp.types import CallToolResult, TextContent, TextResourceContents

from agent.tools.served import Result
from deploy.errors import NoAnswerError
from deploy.mcp.calls import of_environment
from deploy.mcp.server import build_server
from deploy.mcp.service import HeldKeys, Service
from tests.agent.scripted import ScriptedEngine
from tests.agent.turn.box import Box
from tests.clients.live import called, live
from tests.deploy.mcp.conftest import OPERATOR_KEY, Behind

OPERATOR = HeldKeys(operator=OPERATOR_KEY)
LOOKS = {"versions", "version", "rollout_status", "lessons"}
CHANGES = {"pause", "resume", "promote", "abort", "rollback"}


def client_of(behind: Behind, keys: HeldKeys = OPERATOR, *, operates: bool = True) -> Client:
    """A client in this process, of a server in front of what runs."""
    service = Service(behind.api.address, behind.console)
    return Client(build_server(service, of_environment(keys), operates=operates))


def text_of(result: CallToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers; it must not fail."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    content: dict[str, Any] = result.structured_content
    return content


async def failure(client: Client, tool: str, **arguments: Any) -> str:
    """Why a tool fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return text_of(result)


async def test_each_tool_says_what_it_does_to_the_world(behind: Behind) -> None:
    """What reads says so, what takes something from people is marked; all have an output schema."""
    async with client_of(behind) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"chat", "rate", "compare"} | LOOKS | CHANGES
    for name, tool in tools.items():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (name in LOOKS | {"compare"}), name
        assert tool.output_schema is not None, name
        assert tool.title, name
    for name in CHANGES:
        annotations = tools[name].annotations
        assert annotations is not None
        assert annotations.destructive_hint is (name in {"promote", "abort", "rollback"})


async def test_without_an_operators_key_nothing_can_be_changed(behind: Behind) -> None:
    """The verbs are not offered, and what the console shows is refused with what to do."""
    async with client_of(behind, HeldKeys(), operates=False) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert not names & CHANGES
        assert "QUICKSET_OPERATOR_KEY" in await failure(client, "versions")


async def test_chat_goes_on_from_a_reply_and_is_rated(behind: Behind) -> None:
    """A second message is answered with the first in mind; a hint is kept for the reply."""
    async with client_of(behind) as client:
        first = await told(client, "chat", message="Hi there", max_tokens=20)
        assert first["text"] == "Hello, world!"
        assert first["status"] == "completed"
        assert first["version"]
        second = await told(
            client, "chat", message="Shorter!", previous_response_id=first["response_id"]
        )
        assert second["input_tokens"] > first["input_tokens"]
        rated = await told(
            client, "rate", response_id=second["response_id"], score=-1, hint="Less."
        )
        assert rated == {"response_id": second["response_id"], "score": -1, "hint": "Less."}


async def test_chat_asks_whether_a_call_may_be_made(tmp_path: Path) -> None:
    """What waits is named and not called before it is allowed; what is said is what counts."""
    box = Box({"close": Result("Closed.", "ok")}, approval=("close",))
    nobody = HeldKeys()
    with live(tmp_path, tools=box) as api:
        assert isinstance(api.engine, ScriptedEngine)
        engine, server = api.engine, Service(api.address, "http://127.0.0.1:1")
        async with Client(build_server(server, of_environment(nobody), operates=False)) as client:
            api.play(called("close", city="Oslo"))
            engine.then = [["It is closed."], called("close"), ["Then not."]]
            asked = await told(client, "chat", message="Close it")
            (call,) = asked["waiting"]
            assert (call["server"], call["tool"]) == ("test", "close")
            assert json.loads(call["arguments"]) == {"city": "Oslo"}
            assert (asked["text"], asked["calls"], box.called) == ("", [], [])
            on = {"previous_response_id": asked["response_id"]}
            both = await failure(client, "chat", approve=[call["id"]], deny=[call["id"]], **on)
            assert "both in approve and in deny" in both
            made = await told(client, "chat", approve=[call["id"]], **on)
            assert (made["text"], made["waiting"]) == ("It is closed.", [])
            assert [each["output"] for each in made["calls"]] == ["Closed."]
            asked = await told(client, "chat", message="Again")
            on = {"previous_response_id": asked["response_id"], "message": "Leave it"}
            left = await told(client, "chat", deny=[asked["waiting"][0]["id"]], **on)
            assert (left["text"], len(box.called)) == ("Then not.", 1)
            assert "nothing was said" in await failure(client, "chat")


async def test_chat_tells_how_far_it_has_come(behind: Behind) -> None:
    """A reply is progress before it is there, of the tokens that it may have."""
    behind.api.play(["word "] * 40)
    notes: list[tuple[float, float | None]] = []

    async def noted(progress: float, total: float | None, message: str | None) -> None:
        assert message
        notes.append((progress, total))

    async with client_of(behind) as client:
        said = {"message": "Tell me all", "max_tokens": 99}
        result = await client.call_tool("chat", said, progress_callback=noted)
    assert not result.is_error
    assert notes[0] == (1, 99)
    assert notes == sorted(notes)


async def test_a_call_that_is_cancelled_frees_the_agent(behind: Behind) -> None:
    """The reply of a host that no longer waits is ended at the agent, too."""
    behind.api.play(["a", "⏸", "never"])
    engine = behind.api.engine
    assert isinstance(engine, ScriptedEngine)
    async with client_of(behind) as client:
        asking = asyncio.create_task(client.call_tool("chat", {"message": "wait"}))
        while not engine.running:
            await asyncio.sleep(0.01)
        asking.cancel()
        while engine.running:  # the test's own time-out is its limit
            await asyncio.sleep(0.01)


async def test_versions_and_one_of_them_are_shown(behind: Behind) -> None:
    """The list says which one serves; a version is found by number, and by how its name begins."""
    serving = behind.agent.state["version"]
    async with client_of(behind) as client:
        listed = await told(client, "versions", limit=5)
        assert len(listed["versions"]) == 5
        outcomes = {each["version"]: each["outcome"] for each in listed["versions"]}
        assert outcomes[serving] == "promoted"  # of its trial, not of its generation
        assert listed["serving"] == serving
        by_name = await told(client, "version", name=serving[:10])
        assert by_name["serving"]
        assert by_name["generation"]["child"] == serving
        by_number = await told(client, "version", name=str(by_name["known"]["number"]))
        assert by_number == by_name
        assert "the tool versions lists them" in await failure(client, "version", name="nothing")


async def test_any_digits_name_a_version_or_none(behind: Behind) -> None:
    """Such that are no number, or more than are read as one, are told what to do like any text."""
    async with client_of(behind) as client:
        assert (await told(client, "version", name="0003"))["known"]["number"] == 3
        for name in ("²", "1" * 5000):
            why = await failure(client, "version", name=name)
            assert "the tool versions lists them" in why


async def test_the_rollout_says_what_is_possible(behind: Behind) -> None:
    """What is on trial, its share, and the verbs that are valid now."""
    async with client_of(behind) as client:
        status = await told(client, "rollout_status")
    assert (status["candidate"], status["state"], status["share"]) == ("c" * 16, "running", 0.05)
    assert status["possible"] == ["pause", "abort", "rollback"]


async def test_lessons_are_what_was_wished(behind: Behind) -> None:
    """Each wish with what became of it, as the learner's rows have it, the newest first."""
    async with client_of(behind) as client:
        newest, older = (await told(client, "lessons", limit=2))["lessons"]
    assert (newest["instruction"], newest["state"], newest["complaints"]) == (
        "Say less.",
        "waits",
        3,
    )
    assert (older["state"], older["reason"]) == ("satisfied", "five pleased verdicts on end")
    assert (older["versions"], older["note"]) == (["c" * 16], "retired")


async def test_operators_verbs_reach_the_console_with_their_reason(behind: Behind) -> None:
    """Pause and promotion are written down by the key's name; a stale view is refused."""
    async with client_of(behind) as client:
        change = await told(client, "pause", reason="looking into it")
        assert (change["verb"], change["who"]) == ("pause", "ann")
        await told(client, "promote", reason="enough evidence")
        assert behind.agent.operated == [
            ("pause", "ann", "looking into it"),
            ("promote-full", "ann", "enough evidence"),
        ]
        stale = await failure(client, "rollback", reason="bad answers", expected_seq=0)
        assert "look again" in stale
        back = await told(client, "rollback", reason="bad answers", expected_seq=2)
    assert back["reason"] == "bad answers"
    assert behind.agent.rollbacks == [("ann", "bad answers", 2)]


async def test_two_versions_are_compared(behind: Behind) -> None:
    """Both answers come back; a version that is not in memory is told with those that are."""
    async with client_of(behind) as client:
        found = await told(client, "compare", prompt="Hi", a="stable", b="quickset")
        assert found["same"]
        assert found["a"]["text"] == "Hello, world!"
        why = await failure(client, "compare", prompt="Hi", a="stable", b="previous")
    assert "quickset@previous cannot be asked" in why
    assert "in memory are" in why
    assert "quickset@stable" in why


async def test_resources_show_a_version_and_a_turn(behind: Behind) -> None:
    """A version by number, a turn of the console, one of the caller's own by its response."""
    async with client_of(behind) as client:
        version = json.loads(await read(client, "quickset://versions/3"))
        assert version["known"]["number"] == 3
        turn = json.loads(await read(client, "quickset://turns/chatcmpl-000039"))
        assert turn["id"] == "chatcmpl-000039"
        reply = await told(client, "chat", message="Hi there")
        own = json.loads(await read(client, f"quickset://turns/{reply['response_id']}"))
        assert own["output"][0]["content"][0]["text"] == "Hello, world!"
        assert "quickset" in json.loads(await read(client, "quickset://models/all"))
        with pytest.raises(MCPError, match="among the last ones"):
            await read(client, "quickset://turns/nothing")


async def read(client: Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def test_prompts_name_the_tools_that_they_use(behind: Behind) -> None:
    """Each prompt leads to a tool that is there."""
    async with client_of(behind) as client:
        listed = (await client.list_prompts()).prompts
        assert {each.name for each in listed} == {"why_not_promoted", "compare_candidate"}
        got = await client.get_prompt("compare_candidate", {"prompt": "Why is the sky blue?"})
    content = got.messages[0].content
    assert isinstance(content, TextContent)
    assert "Why is the sky blue?" in content.text


async def test_an_agent_that_is_away_is_an_error_that_says_what_to_do() -> None:
    """Every tool answers, as an error, where nothing listens."""
    nowhere = Service("http://127.0.0.1:1", "http://127.0.0.1:1")
    server = build_server(nowhere, of_environment(HeldKeys()), operates=False)
    async with Client(server) as client:
        for tool, arguments in (("chat", {"message": "Hi"}), ("versions", {})):
            assert "quickset up" in await failure(client, tool, **arguments)


async def test_a_change_that_nobody_answered_is_not_to_be_asked_for_blindly() -> None:
    """It may hold: a rollback asked for twice goes back by two versions."""

    async def state(_: web.Request) -> web.Response:
        return web.json_response({"serving": {"main": {}}})

    async def gone(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/operator/state", state), web.post("/{verb:.*}", gone)])
    async with TestServer(app) as server:
        address = str(server.make_url(""))
        service = Service(address, address)
        with pytest.raises(NoAnswerError, match="may have been done: look before you ask again"):
            await service.steer("rollback", {"reason": "worse"}, OPERATOR)
        with pytest.raises(NoAnswerError, match="ask again"):
            await service.complete({}, OPERATOR)
