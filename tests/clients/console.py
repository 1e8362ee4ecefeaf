"""The console on a port and in a thread of its own, over an agent whose replies are scripts."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from agent.console import build_console
from agent.http.runner import Runner
from streams.log.contract import Log
from streams.store.store import Store
from tests.agent.console.rows import FakeService


@dataclass
class LiveConsole:
    """A running console."""

    address: str
    app: web.Application


@contextmanager
def live_console(store: Store | None, *, log: Log | None = None) -> Iterator[LiveConsole]:
    """Serve inside the block."""
    ready = threading.Event()
    made: list[LiveConsole] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        service = FakeService(version="b" * 16, previous="a" * 16)
        app = build_console(service, store, log=log, interval_s=0.0, wait_s=30.0)
        runner = Runner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.append(LiveConsole(f"http://127.0.0.1:{runner.addresses[0][1]}", app))
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        ready.set()
        await stopping.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="live-console")
    thread.start()
    try:
        assert ready.wait(60)
        yield made[0]
    finally:
        for each in stop:
            each()
        thread.join()
