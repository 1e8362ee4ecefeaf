"""A toolbox without servers: tools that are functions, and what was asked of them."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from agent.tools.served import Result, Served
from streams.records import Json


def tool(name: str) -> Json:
    """A tool without parameters, in OpenAI's form."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


class Box:
    """Tools of the test's choice (agent.tools.served.Toolbox)."""

    def __init__(
        self,
        answers: Mapping[str, Callable[..., Result] | Result],
        *,
        approval: tuple[str, ...] = (),
        steps: int = 4,
        seconds: float = 60.0,
        elsewhere: tuple[str, ...] = (),
    ) -> None:
        """answers: of each tool; a function is given its arguments

        elsewhere: tools of another server
        """
        self.steps, self.seconds = steps, seconds
        self.called: list[tuple[str, Json]] = []
        self.gate: asyncio.Event | None = None
        self.shown = 0  # how often its tools were asked for
        self.goes_after: int | None = None  # being shown so often, it has none any more
        self.cancelled = 0
        self._answers, self._approval, self._elsewhere = answers, approval, elsewhere

    @property
    def servers(self) -> Collection[str]:
        return ["test", "other"] if self._elsewhere else ["test"]

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def status(self) -> Json:
        return {"test": {"state": "up", "why": None, "tools": sorted(self._answers)}}

    def offered(self) -> Mapping[str, Served]:
        self.shown += 1
        if self.goes_after is not None and self.shown > self.goes_after:
            return {}
        servers = {n: "other" if n in self._elsewhere else "test" for n in self._answers}
        return {n: Served(servers[n], tool(n), n in self._approval) for n in self._answers}

    async def call(self, name: str, arguments: str, *, within_s: float) -> Result:
        assert within_s > 0
        answer: Any = self._answers[name]
        if not callable(answer) and answer.outcome == "failed":
            return cast(Result, answer)
        self.called.append((name, json.loads(arguments)))
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        result: Result = answer(**json.loads(arguments)) if callable(answer) else answer
        return result
