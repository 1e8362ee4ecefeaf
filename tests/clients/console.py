"""The console as clients meet it, over an agent whose replies are scripts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiohttp import web

from agent.console import build_console
from streams.log.contract import Log
from streams.store.store import Store
from tests.agent.console.rows import FakeService
from tests.clients.serving import on_a_port, serving


@dataclass
class LiveConsole:
    """A running console."""

    address: str
    app: web.Application


@contextmanager
def live_console(store: Store | None, *, log: Log | None = None) -> Iterator[LiveConsole]:
    """Serve inside the block."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[LiveConsole]:
        service = FakeService(version="b" * 16, previous="a" * 16)
        app = build_console(service, store, log=log, interval_s=0.0, wait_s=30.0)
        runner, address = await on_a_port(app)
        yield LiveConsole(address, app)
        await runner.cleanup()

    with serving(opened) as made:
        yield made
