"""The running agent: its parts, and what they answer together.

Invariants: a request is answered by what it was assigned when it was admitted; nothing here
waits for log, store or disk; a stop lets running replies end within the grace of the settings, and
leaves every record on disk.

Knows no routes; `agent.server` gives it to HTTP, `agent.run` opens its parts.
"""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from agent import status
from agent.engine.contract import Engine
from agent.errors import UnavailableError
from agent.http.auth import Keys
from agent.http.limits import Limits
from agent.settings import AgentSettings
from agent.swap.follow import Follower, SupportsPromote
from agent.turn.answer import Answer
from agent.turn.ask import Ask, Renderer, render
from agent.turn.recorder import Recorder
from agent.turn.response_ids import ResponseIds
from agent.watch.events import Events
from agent.watch.metrics import Metrics, Sample
from streams.log.contract import Log, Outgoing
from streams.records import Forgotten, Json, Rollout
from streams.spool import Depth


class Base(Renderer, Protocol):
    """What is needed of the base model."""

    @property
    def name(self) -> str: ...


class SupportsServing(SupportsPromote, Protocol):
    """What is needed of agent.swap.residents.Residents."""

    def digest_of(self, version: str) -> str: ...


class Spool(Protocol):
    """What is needed of streams.spool.Spool."""

    def put(self, records: list[Outgoing]) -> Future[bool]: ...

    def depth(self) -> Depth: ...

    def forget(self, principal: str, until_ms: int) -> None: ...


class AgentService:
    """The agent's parts, started and stopped together."""

    def __init__(
        self,
        *,
        settings: AgentSettings,
        base: Base,
        residents: SupportsServing,
        engine: Engine,
        log: Log,
        spool: Spool,
        secret: bytes,
    ) -> None:
        """Connect the parts; nothing runs before `start`.

        secret: signs response ids; one for all replicas of a service
        """
        context_tokens = min(settings.context_tokens, base.context_tokens)
        self.settings = settings.model_copy(update={"context_tokens": context_tokens})
        self.residents = residents
        self.events, self.metrics = Events(), Metrics()
        self.keys, self.ids = Keys(settings.keys), ResponseIds(secret)
        self.limits = Limits(settings, events=self.events, metrics=self.metrics)
        self._base, self._engine, self._spool = base, engine, spool
        self.recorder = Recorder(
            spool.put, line=settings.line, events=self.events, metrics=self.metrics
        )
        self._follower = Follower(
            log,
            residents,
            line=settings.line,
            base=base.name,
            put=spool.put,
            events=self.events,
            metrics=self.metrics,
            forget=self._forget,
        )
        # One thread: a tokenizer is not for several, and a long prompt must not hold the loop.
        self._rendering = ThreadPoolExecutor(1, thread_name_prefix="render")
        self._turning_back = ThreadPoolExecutor(1, thread_name_prefix="rollback")
        self._draining = self._told_engine = False
        self.started_s = int(time.time())
        self.metrics.state(serving=self.info, gauges=self._gauges, counters=self._counters)

    def start(self) -> None:
        """Begin to decode, and to follow the log."""
        self._engine.start()
        self._follower.start()

    async def stop(self) -> None:
        """Take no more requests, let running replies end within the grace, stop following.

        The spool is not closed: replies that were cut are recorded after this.
        """
        if not self._draining:
            self._draining = True
            self.events.add("draining", f"running replies have {self.settings.drain_s:g} s")
        await asyncio.to_thread(self._engine.drain, self.settings.drain_s)
        await asyncio.to_thread(self._follower.stop)
        self._rendering.shutdown(wait=False)
        self._turning_back.shutdown(wait=False)

    @property
    def works(self) -> bool:
        """Whether tokens can come; once started, only a restart of the process brings it back."""
        return self._engine_alive()

    def prove_serving(self) -> None:
        """Prove that a request can be taken now. Raises: UnavailableError."""
        if self._draining:
            raise UnavailableError(
                "this server is stopping: ask another replica, or again in a while",
                headers={"Retry-After": str(max(1, int(self.settings.drain_s)))},
            )
        if not self._engine_alive():
            raise UnavailableError("the engine has stopped: this process needs a restart")

    async def render(self, ask: Ask) -> Ask:
        """Render the prompt of an ask, in a thread. Raises: InvalidError, naming the parameter."""
        loop = asyncio.get_running_loop()
        rendered = partial(render, ask, self._base, context_tokens=self.settings.context_tokens)
        return await loop.run_in_executor(self._rendering, rendered)

    def answer(self, ask: Ask, *, began_s: float) -> Answer:
        """Prepare the answer to a rendered ask, to be used as a context manager."""
        return Answer(
            self.ids.new(principal=ask.principal, session=ask.session),
            ask,
            engine=self._engine,
            recorder=self.recorder,
            metrics=self.metrics,
            began_s=began_s,
        )

    def serving(self) -> dict[str, dict[str, Any]]:
        """Give line → what serves it, what served before, how that was decided; from memory."""
        following = self._follower.following()
        return {following.line.name: status.serving(following, self.residents.serving)}

    def spool(self) -> dict[str, Any]:
        """Give what is on this agent's disk and not in the log yet; from memory."""
        return status.spooled(self._spool.depth())

    async def digest_of(self, version: str) -> str:
        """The SHA-256 of a version's served tensors, hex. Raises: UnknownVersionError."""
        return await asyncio.to_thread(self.residents.digest_of, version)

    async def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the previous version again, now, with or without broker and database.

        raises: ConflictError when the line's seq is not the expected one; SwapError when there is
            nothing to go back to, or it cannot be taken
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._turning_back, self._follower.rollback, who, reason, expected_seq
        )

    def readiness(self) -> tuple[bool, Json]:
        """Say whether this agent takes requests, and what is not as it should be."""
        ready, body = status.readiness(
            self._follower.following(),
            self._spool.depth(),
            engine_alive=self._engine_alive(),
            draining=self._draining,
        )
        return ready, body | self.info()

    def _forget(self, record: Forgotten) -> None:
        """Let go of what a principal said, in memory and on disk. Called by the follower."""
        self._spool.forget(record.principal, record.created_ms)
        self.recorder.forget(record.principal)
        self._engine.forget()

    def _engine_alive(self) -> bool:
        alive = self._engine.alive
        if not alive and not self._told_engine and not self._draining:
            self._told_engine = True
            self.events.add("engine-failed", "the engine has stopped: restart this process")
        return alive

    def info(self) -> dict[str, str]:
        """The line that this agent serves, the version that serves it, and the base of both."""
        return {
            "line": self.settings.line,
            "version": self.residents.serving,
            "base": self._base.name,
        }

    def _gauges(self) -> list[Sample]:
        return status.gauges(
            self._follower.following(),
            self._spool.depth(),
            queued=self._engine.queued,
            running=self._engine.running,
        )

    def _counters(self) -> list[Sample]:
        return status.counters(self._spool.depth(), self._engine.counts)
