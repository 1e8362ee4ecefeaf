"""A running API over a scripted engine, and a client of it."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web_runner import BaseRunner

from agent.constrain.contract import Compiler
from agent.constrain.open import open_compiler
from agent.http.runner import Runner
from agent.server import build_app
from agent.service import AgentService
from agent.settings import AgentSettings
from agent.stored.projection import Projection
from agent.tools.served import Toolbox
from agent.turn.proof.prover import Prover
from streams.log.contract import Log
from streams.log.sqlite import SqliteLog
from streams.model.open import BaseModel
from streams.records import Feedback, Record, Turn, decode
from streams.settings import DIRECT, RolloutSettings
from tests.agent.fakes import FakeBase, FakeResidents, FakeSpool
from tests.agent.scripted import HELLO, Script, ScriptedEngine

ClientOf = TestClient[web.Request, web.Application]


class Served(TestServer):
    """A test server over the agent's own connections."""

    async def _make_runner(self, **kwargs: Any) -> BaseRunner:
        return Runner(self.app, **kwargs)


@pytest.fixture(scope="package")
def compiler(tiny_base: BaseModel) -> Compiler:
    """What compiles for the tiny model."""
    made = open_compiler(tiny_base)
    assert made is not None
    return made


@dataclass
class Api:
    """The API under test, with the parts behind it in reach."""

    service: AgentService
    client: ClientOf
    engine: ScriptedEngine
    spool: FakeSpool
    base: FakeBase
    residents: FakeResidents
    headers: dict[str, str] = field(default_factory=dict)

    def turns(self) -> list[Turn]:
        return [record for record in self.records() if isinstance(record, Turn)]

    def feedback(self) -> list[Feedback]:
        return [record for record in self.records() if isinstance(record, Feedback)]

    def records(self) -> list[Record]:
        return [decode(record.value) for record in self.spool.records]

    async def post(self, path: str, body: Any) -> ClientResponse:
        """Send a request to any of the APIs."""
        return await self.client.post(path, json=body, headers=self.headers)

    async def chat(self, text: str = "Hi there", /, **extra: Any) -> ClientResponse:
        """Send one chat request."""
        body = {"model": "quickset", "messages": [{"role": "user", "content": text}]} | extra
        return await self.client.post("/v1/chat/completions", json=body, headers=self.headers)


StartApi = Callable[..., Any]


async def events_of(response: ClientResponse) -> list[tuple[str, Any]]:
    """Read a whole stream: each event's name, "" where it has none, and its JSON or text."""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    frames = (await response.text()).split("\n\n")
    assert frames.pop() == ""
    told = []
    for frame in frames:
        name, _, data = frame.rpartition("data: ")
        named = name.removeprefix("event: ").rstrip("\n")
        told.append((named, json.loads(data) if data.startswith("{") else data))
    return told


async def response_told(answer: ClientResponse, *, stream: bool) -> dict[str, Any]:
    """Read a response of /v1/responses; of a stream, the items that ended are those at its end."""
    if not stream:
        whole: dict[str, Any] = await answer.json()
        return whole
    events = await events_of(answer)
    told: dict[str, Any] = events[-1][1]["response"]
    ended = [data["item"] for name, data in events if name.endswith("output_item.done")]
    assert ended == told["output"]
    return told


async def shown(api: Api, response_id: str, more: str = "") -> dict[str, Any]:
    """Ask for a stored response."""
    answer = await api.client.get(f"/v1/responses/{response_id}{more}", headers=api.headers)
    told: dict[str, Any] = await answer.json()
    assert answer.status == 200, told
    return told


@pytest.fixture
async def start_api(tmp_path: Path) -> AsyncIterator[StartApi]:
    """A function that starts an API with settings and parts of the test's choice."""
    started: list[Api] = []
    kept = SqliteLog(tmp_path / "log.db")

    async def start(
        *,
        script: Script = HELLO,
        base: FakeBase | None = None,
        compiler: Compiler | None = None,
        prover: Prover | None = None,
        tools: Toolbox | None = None,
        rollout: RolloutSettings = DIRECT,
        log: Log = kept,
        **given: Any,
    ) -> Api:
        settings, residents = AgentSettings(**given), FakeResidents()
        engine = ScriptedEngine(residents, script, settings=settings)
        base, spool = base or FakeBase(), FakeSpool()
        service = AgentService(
            settings=settings,
            base=base,
            residents=residents,
            engine=engine,
            log=log,
            spool=spool,
            projection=Projection(tmp_path / f"responses-{len(started)}.db", keep_days=30),
            secret=b"secret",
            compiler=compiler,
            prover=prover,
            open_tools=lambda *_: tools,
            rollout=rollout,
            poll_s=0.01,  # each test waits so long at its end
        )
        service.start()
        server = Served(build_app(service))
        await server.start_server(shutdown_timeout=1.0)
        client: ClientOf = TestClient(server)
        started.append(Api(service, client, engine, spool, base, residents))
        return started[-1]

    yield start
    for api in started:
        await api.client.close()
        await api.service.stop()
    kept.close()


@pytest.fixture
async def api(start_api: StartApi) -> Api:
    """An API with default settings."""
    made: Api = await start_api()
    return made
