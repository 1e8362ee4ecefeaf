"""What the console shows of the MCP servers whose tools the agent calls itself."""

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from agent.settings import AgentSettings
from tests.agent.console.rows import FakeService


async def shown(service: FakeService, *paths: str) -> list[str]:
    """Read some pages of the console of an agent."""
    app: web.Application = build_console(service, None, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        return [await (await client.get(path)).text() for path in paths]


async def test_tools_tell_what_their_calls_came_to() -> None:
    """Each server with its state, each tool with calls and errors; texts of servers are text."""
    service = FakeService()
    assert "The agent calls no tools itself" in (await shown(service, "/tools"))[0]
    calls = {"forecast": {"ok": 3, "timeout": 2, "left": 1}}
    service.tools = {
        "weather": {"state": "away", "why": "<b>it hangs</b>", "tools": [], "calls": calls}
    }
    page, told = await shown(service, "/tools", "/api/tools")
    assert "no answer in time" in page
    assert "not on offer" in page
    assert "&lt;b&gt;it hangs" in page
    assert '"calls": 6, "answered": 3' in told
    assert '"outcome": "timeout"' in told


async def test_settings_tell_no_secret_of_a_tool_server() -> None:
    """Of its environment and its headers the names alone."""
    tools: dict[str, Any] = {
        "here": {"command": "x", "env": {"TOKEN": "s3cret"}, "allow": ["a"]},
        "there": {"url": "http://x", "headers": {"Authorization": "s3cret"}, "allow": ["b"]},
    }
    service = FakeService(settings=AgentSettings.model_validate({"tools": tools}))
    for text in await shown(service, "/settings", "/api/settings"):
        assert "s3cret" not in text
        assert "TOKEN" in text
        assert "Authorization" in text
