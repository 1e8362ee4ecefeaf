"""Applications on a port, in a thread of their own: clients know nothing of our loop."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from aiohttp import web

from agent.http.runner import Runner

READY_S = 60
Made = TypeVar("Made")


@contextmanager
def serving(opened: Callable[[], AbstractAsyncContextManager[Made]]) -> Iterator[Made]:
    """Hold something open inside the block, in an event loop that runs in another thread."""
    ready = threading.Event()
    made: list[Made] = []
    stop: list[Callable[[], object]] = []

    async def hold() -> None:
        async with opened() as one:
            made.append(one)
            stopping, loop = asyncio.Event(), asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=asyncio.run, args=(hold(),), name="serving")
    thread.start()
    try:
        assert ready.wait(READY_S)
        yield made[0]
    finally:
        for each in stop:
            each()
        thread.join()


async def on_a_port(app: web.Application) -> tuple[Runner, str]:
    """Serve an application on a free port of this machine; its address, and what ends it."""
    runner = Runner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"
