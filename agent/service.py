"""The running agent: its parts, and what they answer together.

Invariants: a request is answered by what it was assigned when it was admitted; nothing here
waits for log, store or disk; a stop lets running replies end within the grace of the settings, and
leaves every record on disk.

Knows no routes; `agent.server` gives it to HTTP, `agent.run` opens its parts.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Protocol

from agent.constrain.contract import Compiler
from agent.engine.contract import Engine
from agent.errors import InvalidError, UnavailableError
from agent.http.auth import Keys
from agent.http.limits import Limits
from agent.http.links import FeedbackLinks
from agent.settings import AgentSettings
from agent.status import Status
from agent.stored.projection import Projection
from agent.stored.stored import Stored
from agent.swap.follow import Follower, Following, SupportsPromote
from agent.tools.families import format_of
from agent.turn.answer import Answer
from agent.turn.ask import Ask, Renderer, count, held_to, render
from agent.turn.constraint import Constraint
from agent.turn.held import Held
from agent.turn.making.beside import Beside
from agent.turn.named import NamedReplies
from agent.turn.recorder import Rating, Recorder, Way
from agent.turn.response_ids import ResponseIds
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams.line.line import Line
from streams.line.offer import decided, operate
from streams.line.verbs import Audit
from streams.log.contract import Log, Outgoing
from streams.model.embed import Embedder, Vectors
from streams.records import Feedback, Forgotten, Rollout, Verb
from streams.settings import DIRECT, RolloutSettings
from streams.spool import Depth


class Base(Renderer, Protocol):
    """What is needed of the base model."""

    @property
    def name(self) -> str: ...

    @property
    def call_probe(self) -> str: ...  # what its template makes of a tool call


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
        projection: Projection,
        secret: bytes,
        embedder: Embedder | None = None,
        rollout: RolloutSettings = DIRECT,
        compiler: Compiler | None = None,
    ) -> None:
        """Connect the parts; nothing runs before `start`.

        projection: of the replies that may be asked for again
        secret: signs response ids; one for all replicas of a service
        embedder: None: this agent embeds nothing
        rollout: what operators may do with a candidate on trial
        compiler: of what replies are held to; None: none can be
        """
        context_tokens = min(settings.context_tokens, base.context_tokens)
        self.settings = settings.model_copy(update={"context_tokens": context_tokens})
        self.residents, self.embedder, self._rollout = residents, embedder, rollout
        self.events, self.metrics = Events(), Metrics()
        self.keys, self.ids = Keys(settings.keys), ResponseIds(secret)
        self.links, self.named = FeedbackLinks(secret), NamedReplies()
        self.limits = Limits(settings, events=self.events, metrics=self.metrics)
        self._base, self._engine, self._spool, self._log = base, engine, spool, log
        self._compiler, self._writes = compiler, format_of(base.call_probe)
        self.stored = Stored(projection, log, self.ids)
        self.recorder = Recorder(
            spool.put,
            line=settings.line,
            events=self.events,
            metrics=self.metrics,
            told=self.stored.add,
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
        self._beside = Beside(
            engine,
            self.recorder,
            self.metrics,
            trial=lambda: residents.trial,
            share=rollout.shadow_share,
        )
        # One thread: a tokenizer is not for several, and a long prompt must not hold the loop; nor
        # must what is long to compile hold other prompts, so what is held to one has its own.
        self._rendering = ThreadPoolExecutor(1, thread_name_prefix="render")
        self._holding = ThreadPoolExecutor(1, thread_name_prefix="hold")
        self._rolling_back = ThreadPoolExecutor(1, thread_name_prefix="rollback")
        self._draining = self._noted_failure = False
        self.started_s = int(time.time())
        self.metrics.read(self.status)

    def start(self) -> None:
        """Begin to decode, and to follow the log."""
        self._engine.start()
        self._follower.start()
        self.stored.start()

    async def stop(self) -> None:
        """Take no more requests, let running replies end within the grace, stop following.

        The spool is not closed: replies that were cut are recorded after this.
        """
        if not self._draining:
            self._draining = True
            self.events.add("draining", f"running replies have {self.settings.drain_s:g} s")
        self._beside.stop()
        await asyncio.to_thread(self._engine.drain, self.settings.drain_s)
        await asyncio.to_thread(self._follower.stop)
        await asyncio.to_thread(self.stored.stop)
        self._rendering.shutdown(wait=False)
        self._holding.shutdown(wait=False)
        self._rolling_back.shutdown(wait=False)

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
        ask = replace(ask, writes=self._writes)
        if ask.constraint is not None:
            ask = await loop.run_in_executor(self._holding, held_to, ask, self._compiler)
        rendered = partial(render, ask, self._base, context_tokens=self.settings.context_tokens)
        return await loop.run_in_executor(self._rendering, rendered)

    async def count(self, ask: Ask) -> int:
        """Count the tokens of an ask's prompt, in a thread. Raises: as `render`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._rendering, count, ask, self._base)

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Embed texts, in a thread. Returns: the vectors, and how many tokens the texts have."""

        def counted() -> int:
            return sum(len(self._base.encode(text)) for text in texts)

        if self.embedder is None:
            raise UnavailableError("this agent has no embedder")
        vectors = await asyncio.to_thread(self.embedder.embed, texts)
        loop = asyncio.get_running_loop()
        return vectors, await loop.run_in_executor(self._rendering, counted)

    def answer(self, asks: Sequence[Ask], *, prefix: str, began_s: float) -> Answer:
        """Prepare the answer to rendered asks, to be used as a context manager.

        asks: of one principal and session, at least one
        prefix: what the response's id begins with
        """
        first = asks[0]
        return Answer(
            self.ids.new(
                principal=first.principal,
                session=first.session,
                choices=sum(len(ask.samplings) for ask in asks),
                prefix=prefix,
            ),
            asks,
            engine=self._engine,
            recorder=self.recorder,
            metrics=self.metrics,
            began_s=began_s,
            retry=self._hold_to_call if self._compiler and self.settings.retry_calls else None,
            serves=lambda: self.residents.serving,
            ended=self._beside.begin,
        )

    def status(self) -> Status:
        """How this agent is now."""
        return Status(
            version=self.residents.serving,
            base=self._base.name,
            following=self._follower.following(),
            depth=self._spool.depth(),
            engine=self._engine,
            engine_alive=self._engine_alive(),
            draining=self._draining,
        )

    @property
    def base(self) -> str:
        """The name of the base model."""
        return self._base.name

    def following(self) -> Following:
        """How far this agent has come, and what serves its line."""
        return self._follower.following()

    def knows(self, version: str) -> bool:
        """Whether a version's whole chain is known, so that it could be served."""
        return self.residents.book.is_whole(version)

    async def delete(self, response_id: str, principal: str) -> None:
        """Let a response of a principal be asked for no more, and nothing more be learned from it.

        raises: NotFoundError, UnavailableError
        """
        turn = await self.stored.find(response_id, principal)
        await self.recorder.deletion(turn.id, principal=principal, session=turn.session)
        self.stored.drop(turn.id)

    async def rate(self, response_id: str, rating: Rating, *, principal: str, way: Way) -> Feedback:
        """Keep what a principal says of a response of its own.

        raises: NotFoundError for what was never given to it, or is deleted; UnavailableError
        """
        session = self.ids.session(response_id, principal=principal)
        await self.stored.prove_not_deleted(response_id)
        return await self.recorder.feedback(
            response_id, rating, principal=principal, session=session, way=way
        )

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
            self._rolling_back, self._follower.rollback, who, reason, expected_seq
        )

    async def operate(
        self, verb: Verb, who: str, reason: str, expected_seq: int | None = None
    ) -> Rollout:
        """Use a verb on the trial of the line: written down first, then followed by every agent.

        raises: ConflictError, VerbRefusedError, NotAllowedError, LogUnavailableError
        """

        def used() -> Rollout:
            name = self.settings.line
            line = decided(self._log, name) or Line(name, (self._base.name,))
            audit = Audit.new(who, reason, int(time.time() * 1000))
            return operate(self._log, line, verb, audit, self._rollout, expected_seq=expected_seq)

        change = await asyncio.to_thread(used)  # a log that hangs must not hold up a rollback
        self.events.add("trial", f"{who}: {verb} of {change.candidate}: {reason}")
        return change

    async def _hold_to_call(self, ask: Ask) -> Held | None:
        """What a second try of an ask's tool call is held to; None: its tools cannot be."""
        names = tuple(tool["function"]["name"] for tool in ask.tools or [])
        called = Constraint("tools", calls=names, loose=frozenset(names))
        loop = asyncio.get_running_loop()
        again = replace(ask, constraint=called)
        try:
            held = await loop.run_in_executor(self._holding, held_to, again, self._compiler)
        except InvalidError as cause:
            self.events.add("broken-call", f"it cannot be tried again: {cause.message}")
            return None
        return held.held

    def _forget(self, record: Forgotten) -> None:
        """Let go of what a principal said, in memory and on disk. Called by the follower."""
        self._spool.forget(record.principal, record.created_ms)
        self.stored.forget(record)
        self.named.forget(record.principal)
        self._engine.forget()

    def _engine_alive(self) -> bool:
        alive = self._engine.alive
        if not alive and not self._noted_failure and not self._draining:
            self._noted_failure = True
            self.events.add("engine-failed", "the engine has stopped: restart this process")
        return alive
