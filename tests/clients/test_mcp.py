"""Clients of MCP in front of `quickset mcp`: the official SDK, and the Inspector from npm.

Both start it as hosts do, over stdio; behind it stands the API with a scripted engine.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.copied import HELLO
from tests.clients.live import Live

ROOT = Path(__file__).parents[2]
INSPECTOR, NODE = "@modelcontextprotocol/inspector", "node@22"
NOWHERE = "http://127.0.0.1:9"  # a console that is away: chat needs none


def served(api: Live) -> list[str]:
    """Arguments of python: `quickset mcp` in front of this API."""
    return ["-m", "deploy", "mcp", "--url", api.address, "--console-url", NOWHERE]


@pytest.mark.slow
@pytest.mark.client("mcp", "quickset mcp over stdio: tools are listed, one of them chats")
async def test_the_sdk(api: Live) -> None:
    """The official client, as hosts use it."""
    mcp: Any = pytest.importorskip("mcp")
    server = mcp.StdioServerParameters(command=sys.executable, args=served(api), cwd=ROOT)
    async with mcp.Client(server) as client:
        assert "chat" in {tool.name for tool in (await client.list_tools()).tools}
        told = await client.call_tool("chat", {"message": "Hi"})
    assert told.structured_content["text"] == HELLO


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.client(
    "@modelcontextprotocol/inspector (npm)",
    "quickset mcp by its command line: tools, resources and prompts are listed, one tool chats",
    apart=True,
)
def test_the_inspector(
    api: Live, tmp_path: Path, record_property: Callable[[str, Any], None]
) -> None:
    """What it prints is what the server answers; settings are read as hosts keep them."""
    modules = _installed(tmp_path)
    server = {"command": sys.executable, "args": served(api), "env": {"PYTHONPATH": str(ROOT)}}
    settings = tmp_path / "mcp.json"
    settings.write_text(json.dumps({"mcpServers": {"quickset": server}}))
    inspector: list[str | Path] = [
        modules / ".bin" / "mcp-inspector",
        "--cli",
        "--config",
        settings,
    ]

    def ask(*what: str) -> Any:
        done = subprocess.run(
            [*inspector, "--server", "quickset", "--method", *what],
            env={"PATH": f"{modules / '.bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    assert "chat" in {tool["name"] for tool in ask("tools/list")["tools"]}
    assert ask("resources/templates/list")["resourceTemplates"]
    assert ask("prompts/list")["prompts"]
    told = ask("tools/call", "--tool-name", "chat", "--tool-arg", "message=Hi")
    assert told["structuredContent"]["text"] == HELLO
    package = json.loads((modules / INSPECTOR / "package.json").read_text())
    record_property("versions", {f"{INSPECTOR} (npm)": package["version"]})


def _installed(folder: Path) -> Path:
    """Install the Inspector, with a Node.js that it runs on; its modules.

    By the name latest: without it, npm chooses an old Inspector where Node.js is old.
    """
    if not (os.environ.get("CLIENTS_NPM") == "1" and shutil.which("npm")):
        pytest.skip("npm clients: set CLIENTS_NPM=1 where node and npm are")
    (folder / "package.json").write_text('{"private": true}')
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", f"{INSPECTOR}@latest", NODE]
    subprocess.run(install, cwd=folder, check=True, timeout=600)
    return folder / "node_modules"
