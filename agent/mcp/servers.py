"""All servers of the settings as one toolbox, in a thread of its own.

What servers write is read in that thread, so that none of them holds up a reply that needs no tool.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from agent.mcp.connection import Connection, Standing
from agent.mcp.settings import ToolServer
from agent.tools.served import Outcome, Result, Served
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams.records import Json

# What becomes of a call that a server was asked for.
OUTCOMES: Final[tuple[Outcome, ...]] = ("ok", "failed", "timeout", "away", "huge", "broken")
STOP_S: Final = 10.0  # for programs that do not end by themselves


class Servers:
    """The tools of all servers (agent.tools.served.Toolbox)."""

    def __init__(
        self,
        servers: Mapping[str, ToolServer],
        *,
        steps: int,
        seconds: float,
        most_bytes: int,
        events: Events,
        metrics: Metrics,
    ) -> None:
        """Connect to nothing yet; as agent.mcp.open.open_servers has it."""
        self._steps, self._seconds = steps, seconds
        self._events, self._metrics = events, metrics
        self._connections = [
            Connection(name, each, most_bytes=most_bytes, changed=self._note)
            for name, each in servers.items()
        ]
        self._owners = {
            tool: connection
            for connection in self._connections
            for tool in connection.settings.allow
        }
        self._calls = {tool: Counter[Outcome]() for tool in self._owners}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="mcp", daemon=True)

    @property
    def steps(self) -> int:
        return self._steps

    @property
    def seconds(self) -> float:
        return self._seconds

    @property
    def servers(self) -> Collection[str]:
        return [each.name for each in self._connections]

    def start(self) -> None:
        """Begin to connect; nothing waits for it."""
        for each in self._connections:
            self._metrics.server_up.labels(each.name).set(0)
            self._metrics.server_breaks.labels(each.name)  # there from the start: see Metrics
            for outcome in OUTCOMES:
                self._metrics.served_calls.labels(each.name, outcome)
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def stop(self) -> None:
        """End every connection, and every program that was started."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_S)

    def offered(self) -> Mapping[str, Served]:
        """The tools that can be called now, by name."""
        found: dict[str, Served] = {}
        for each in self._connections:
            for name, tool in each.tools.items():
                found[name] = Served(each.name, tool, each.settings.needs_approval(name))
        return found

    async def call(self, name: str, arguments: str, *, within_s: float) -> Result:
        """Call a tool, in the thread of the servers; to be cancelled cancels the call there."""
        owner, loop = self._owners.get(name), self._loop
        if owner is None or loop is None or not self._thread.is_alive():
            return Result(f"there is no tool {name}", "away")
        calling = owner.call(name, arguments, within_s=within_s)
        result = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(calling, loop))
        self._metrics.served_calls.labels(owner.name, result.outcome).inc()
        self._calls[name][result.outcome] += 1
        return result

    def status(self) -> Json:
        """How each server is, for people: its state, what is wrong, which tools can be called.

        calls: of every tool that may be called, how many came to what, since the start
        """
        return {
            each.name: {
                "state": each.standing.state,
                "why": each.standing.why or None,
                "tools": sorted(each.tools),
                "calls": {tool: dict(self._calls[tool]) for tool in each.settings.allow},
            }
            for each in self._connections
        }

    def _serve(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(self._run())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    async def _run(self) -> None:
        tasks = [asyncio.create_task(each.run()) for each in self._connections]
        await self._stopping.wait()
        for each in self._connections:
            each.stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _note(self, name: str, standing: Standing) -> None:
        self._metrics.server_up.labels(name).set(float(standing.state == "up"))
        if standing.state == "away":
            self._metrics.server_breaks.labels(name).inc()
        said = f": {standing.why}" if standing.why else ""
        self._events.add("tools", f"the MCP server {name} is {standing.state}{said}")
