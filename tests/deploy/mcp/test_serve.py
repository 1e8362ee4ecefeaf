"""`quickset mcp` as hosts start it: over stdio and HTTP, with the keys of whoever calls."""

import hashlib
import subprocess
import sys

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from agent.errors import BindError
from agent.settings import AgentSettings
from deploy.errors import PortInUseError
from deploy.mcp.serve import listen, prove_bind
from tests.deploy.mcp.conftest import API_KEY, OPERATOR_KEY, ROOT, Behind, over_http
from tests.deploy.mcp.test_server import CHANGES, text_of

OPERATOR_HEADER = "X-Quickset-Operator-Key"
WAIT_S = 60.0  # a busy machine is slow: httpx alone would give up after five seconds


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def test_over_stdio_the_environment_brings_the_keys(behind: Behind) -> None:
    """A host that starts the process with an operator's key is offered the verbs, and uses them."""
    server = StdioServerParameters(
        command=sys.executable,
        args=behind.arguments(),
        env=behind.environment | {"QUICKSET_OPERATOR_KEY": OPERATOR_KEY},
        cwd=ROOT,
    )
    async with Client(server) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names >= CHANGES
        chat = await client.call_tool("chat", {"message": "Hi"})
        assert text_of(chat)
        paused = await client.call_tool("pause", {"reason": "a test"})
        assert not paused.is_error, text_of(paused)
    assert behind.agent.operated == [("pause", "ann", "a test")]


async def test_over_http_each_request_brings_its_own_keys(behind: Behind) -> None:
    """Without a key: 401. With an API key: chat. With an operator's key beside it: the verbs.

    A page that made its own name resolve to this machine gets nothing (DNS rebinding).
    """
    keys = f'agent.keys={{"app": "{hash_of(API_KEY)}"}}'
    operators = f'agent.operator_keys={{"ann": "{hash_of(OPERATOR_KEY)}"}}'
    async with over_http(behind, "--set", keys, "--set", operators) as url:
        async with httpx2.AsyncClient(timeout=WAIT_S) as raw:
            refused = await raw.post(url, json={})
            assert refused.status_code == 401
            assert "an API key is needed" in refused.text
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            sent = {"Accept": "application/json, text/event-stream", "x-api-key": API_KEY}
            for foreign in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                refused = await raw.post(url, json=body, headers=sent | foreign)
                assert refused.status_code in (403, 421), foreign
        bearer = {"Authorization": f"Bearer {API_KEY}"}
        async with (
            httpx2.AsyncClient(headers=bearer, timeout=WAIT_S) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            chat = await client.call_tool("chat", {"message": "Hi"})
            assert not chat.is_error, text_of(chat)
            paused = await client.call_tool("pause", {"reason": "a test"})
            assert paused.is_error
            assert "operator key" in text_of(paused)
        async with (
            httpx2.AsyncClient(
                headers=bearer | {OPERATOR_HEADER: OPERATOR_KEY}, timeout=WAIT_S
            ) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            paused = await client.call_tool("pause", {"reason": "a test"})
            assert not paused.is_error, text_of(paused)
    assert behind.agent.operated == [("pause", "ann", "a test")]


def test_no_address_is_opened_to_others_without_keys() -> None:
    """Loopback needs none; any other address does."""
    prove_bind(AgentSettings(), "127.0.0.1")
    prove_bind(AgentSettings(keys={"app": hash_of(API_KEY)}), "0.0.0.0")
    with pytest.raises(BindError, match=r"set agent\.keys first"):
        prove_bind(AgentSettings(), "0.0.0.0")


def test_a_port_that_is_taken_is_told_with_the_flag_that_chooses_another() -> None:
    """--port is the agent's."""
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(PortInUseError, match="choose another with --mcp-port"):
            listen("127.0.0.1", taken.getsockname()[1])


def test_without_the_extra_it_is_named() -> None:
    """Everything else runs where the SDK is not installed; what needs it says how to have it."""
    code = """
import sys
sys.modules["mcp"] = None
from deploy.cli import app, main
from agent.errors import StartError
from agent.mcp.open import open_servers
from agent.mcp.settings import ToolServer
assert open_servers({}, steps=1, seconds=1, most_bytes=1, events=None, metrics=None) is None
try:
    open_servers({"a": ToolServer(command="a", allow=("x",))},
                 steps=1, seconds=1, most_bytes=1, events=None, metrics=None)
except StartError as told:
    print(told, file=sys.stderr)
main(["mcp"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "agent.tools needs the extra mcp: pip install" in done.stderr
    assert "`quickset mcp` needs the extra mcp: pip install" in done.stderr
    assert "Traceback" not in done.stderr
