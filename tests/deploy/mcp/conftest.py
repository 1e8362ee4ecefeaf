"""A running API and console, and real MCP clients of `quickset mcp` in front of them."""

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from agent.console import build_console
from agent.settings import AgentSettings
from streams.settings import StreamsSettings
from streams.store.lesson_tables import LessonRow, NoteRow
from streams.store.store import open_store
from streams.store.tables import Row
from tests.agent.console.rows import FakeService, fill
from tests.agent.scripted import HELLO
from tests.clients.live import Live, live

pytest.importorskip("mcp", reason="mcp is not installed: pip install -e '.[mcp]'")

ROOT = Path(__file__).parents[3]
API_KEY, OPERATOR_KEY = "sk-chat", "sk-operate"
NOW_MS = 1_790_000_000_000
TRIAL = {
    "version": "c" * 16,
    "state": "running",
    "step": 0,
    "share": 0.05,
    "verbs": ["pause", "abort"],
}


def _wishes() -> list[Row]:
    """Two lessons of the line, the newer of which waits."""
    of: Any = {"line": "main", "principal": "p", "turn_id": "t", "wished": []}
    return [
        LessonRow(id="l1", instruction="Answer shortly.", state="satisfied", num_pleased=5,
                  reason="five pleased verdicts on end", versions=[["c" * 16, 0]],
                  created_ms=NOW_MS - 2, **of),
        LessonRow(id="l2", instruction="Say less.", waits=True, num_complaints=3,
                  reason="three versions and no word", created_ms=NOW_MS - 1, **of),
        NoteRow(id="n1", line="main", principal="p", lesson="l1", text="Answer shortly.",
                state="retired", created_ms=NOW_MS - 2),
    ]  # fmt: skip


@dataclass
class Behind:
    """What stands behind the MCP server."""

    api: Live
    console: str
    agent: FakeService

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that serves MCP: no keys but those that a test adds."""
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def arguments(self, *more: str) -> list[str]:
        """Of python: `quickset mcp` in front of these."""
        where = ("--url", self.api.address, "--console-url", self.console)
        return ["-m", "deploy", "mcp", *where, *more]


@pytest.fixture(scope="module")
def _api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("mcp-api")) as running:
        yield running


@pytest.fixture
async def behind(_api: Live, tmp_path: Path) -> AsyncIterator[Behind]:
    """An API that says "Hello, world!", and a console with a day's history."""
    _api.play(HELLO)
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        versions = fill(session, now_ms=NOW_MS)
        session.add_all(_wishes())
    hashes = {"ann": hashlib.sha256(OPERATOR_KEY.encode()).hexdigest()}
    agent = FakeService(
        settings=AgentSettings(operator_keys=hashes), version=versions[-1], previous=versions[-2]
    )
    agent.state["trial"] = TRIAL
    server = TestServer(build_console(agent, store, interval_s=0, wait_s=30.0))
    await server.start_server()
    yield Behind(_api, str(server.make_url("")).rstrip("/"), agent)
    await server.close()
    store.close()


@asynccontextmanager
async def over_http(behind: Behind, *more: str) -> AsyncIterator[str]:
    """Serve over HTTP in a process of its own; yields the address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *behind.arguments("--http", "--mcp-port", "0", *more),
        env=behind.environment,
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
        found = re.search(r"http://\S+/mcp", line)
        assert found, line + (await process.stderr.read()).decode()
        yield found[0]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
