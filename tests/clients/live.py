"""The API as clients meet it: scripted, or on a real model."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.constrain.open import open_compiler
from agent.engine.contract import Engine
from agent.engine.engine import BatchingEngine
from agent.server import build_app
from agent.service import AgentService, Base
from agent.settings import AgentSettings
from agent.stored.projection import Projection
from agent.swap.residents import Residents
from agent.tools.served import Toolbox
from kernels.open import open_backend
from streams.log.sqlite import SqliteLog
from streams.model.open import BaseModel
from streams.settings import StreamsSettings
from streams.spool.spool import Spool
from tests.agent.fakes import FakeBase, FakeResidents
from tests.agent.scripted import HELLO, Script, ScriptedEngine
from tests.clients.serving import on_a_port, serving

CONTEXT = 4096


@dataclass
class Live:
    """A running API."""

    address: str
    service: AgentService
    engine: Engine
    spool: Spool

    def play(self, script: Script, *then: Script) -> None:
        """Let the scripted engine answer with this from now on. then: what later requests get"""
        assert isinstance(self.engine, ScriptedEngine)
        self.engine.script, self.engine.then = script, list(then)


@contextmanager
def live(
    home: Path, *, base: BaseModel | None = None, tools: Toolbox | None = None, **given: Any
) -> Iterator[Live]:
    """Serve inside the block: scripted replies, or those of a real model; tools: the agent's own"""
    settings = AgentSettings(**({"context_tokens": CONTEXT, "threads": 1} | given))
    streams = StreamsSettings(home=home)
    log = SqliteLog(home / "log.db")
    spool = Spool(home / "spool", log, streams)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Live]:
        service, engine = _service(settings, home, log=log, spool=spool, base=base, tools=tools)
        service.start()
        runner, address = await on_a_port(build_app(service))
        yield Live(address, service, engine, spool)
        await service.stop()
        await runner.cleanup()

    try:
        with serving(opened) as made:
            yield made
    finally:
        spool.close(drain_s=5)
        log.close()


def _service(
    settings: AgentSettings,
    home: Path,
    *,
    log: SqliteLog,
    spool: Spool,
    base: BaseModel | None,
    tools: Toolbox | None,
) -> tuple[AgentService, Engine]:
    residents: Any
    model: Base
    engine: Engine
    if base is None:
        model, residents = FakeBase(context_tokens=settings.context_tokens), FakeResidents()
        engine = ScriptedEngine(residents, HELLO, settings=settings)
    else:
        model, residents = base, Residents(base, open_backend("cpu"))
        engine = BatchingEngine(residents, settings=settings, base=base)
    service = AgentService(
        settings=settings,
        base=model,
        residents=residents,
        engine=engine,
        log=log,
        spool=spool,
        projection=Projection(home / "responses.db", keep_days=30),
        secret=b"secret",
        compiler=open_compiler(base) if base is not None else None,
        open_tools=lambda *_: tools,
        poll_s=0.01,  # each test waits so long at its end
    )
    return service, engine


def called(name: str, text: str = "", **arguments: Any) -> list[str]:
    """A script: some text, then a call of a tool as the model writes it."""
    return [text, f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"]
