"""The running agent: its parts, and what they answer together.

Invariants: a request is answered by what it was assigned when it was admitted; nothing here
waits for log, store or disk; a stop lets running replies end within the grace of the settings, and
leaves every record on disk.

Knows no routes; `agent.server` gives it to HTTP, `agent.run` opens its parts.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from agent.compare import Comparisons, SupportsLend
from agent.constrain.contract import Compiler
from agent.embedding import Embedding
from agent.engine.contract import Engine
from agent.errors import UnavailableError
from agent.http.auth import Keys
from agent.http.limits import Limits
from agent.http.links import FeedbackLinks
from agent.notes.notes import Notes
from agent.prompts import Prompts
from agent.settings import AgentSettings
from agent.status import Status
from agent.steering import Steering
from agent.stored.projection import Projection
from agent.stored.stored import Stored
from agent.swap.follow import POLL_S, Follower
from agent.swap.swapper import SupportsPromote
from agent.tools.families import format_of
from agent.tools.served import Toolbox
from agent.turn.answer import Answer, crowded
from agent.turn.ask import Ask, Renderer
from agent.turn.intake import Intake
from agent.turn.making.beside import Beside
from agent.turn.named import NamedReplies
from agent.turn.own.loop import Loop, Parts
from agent.turn.proof.holding import Holding
from agent.turn.proof.prover import Prover
from agent.turn.recorder import Rating, Recorder, Way
from agent.turn.response_ids import ResponseIds
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams.line.line import Line
from streams.log.contract import Log, Outgoing
from streams.model.embedding.embed import Embedder, Vectors
from streams.records import Feedback, Forgotten, Json, Recipe
from streams.settings import DIRECT, RolloutSettings
from streams.spool.spool import Depth
from streams.trace.contract import NO_TRACER, Tracer


class Base(Renderer, Protocol):
    """What is needed of the base model."""

    @property
    def name(self) -> str: ...

    @property
    def call_probe(self) -> str: ...  # what its template makes of a tool call

    @property
    def suggested(self) -> Json: ...  # how its authors would sample


class SupportsServing(SupportsPromote, SupportsLend, Protocol):
    """What is needed of agent.swap.residents.Residents."""

    @property
    def replies_ms(self) -> int | None: ...

    def digest_of(self, version: str) -> str: ...


class Spool(Protocol):
    """What is needed of streams.spool.spool.Spool."""

    @property
    def left(self) -> Sequence[Outgoing]: ...  # rollouts of earlier processes

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
        prover: Prover | None = None,
        open_tools: Callable[[Events, Metrics], Toolbox | None] = lambda *_: None,
        tracer: Tracer = NO_TRACER,
        poll_s: float = POLL_S,
    ) -> None:
        """Connect the parts; nothing runs before `start`.

        projection: of the replies that may be asked for again
        secret: signs response ids; one for all replicas of a service
        embedder: None: this agent embeds nothing
        rollout: what operators may do with a candidate on trial
        compiler: of what replies are held to; None: none can be
        prover: tries what is not plain before it is compiled; None: nothing is tried
        open_tools: opens the tools that the agent calls itself, if there are any
        poll_s: how long what reads the log waits for more before it looks whether it is to stop
        """
        context_tokens = settings.context_of(base.context_tokens)
        self.as_set, settings = settings, settings.sampling_as(base.suggested)
        self.settings = settings.model_copy(update={"context_tokens": context_tokens})
        self.residents, self.rollout = residents, rollout
        self.embedding = Embedding(embedder) if embedder is not None else None
        self.events, self.metrics = Events(), Metrics(settings.line)
        self.keys, self.ids = Keys(settings.keys), ResponseIds(secret)
        self.links, self.named = FeedbackLinks(secret), NamedReplies()
        self.limits = Limits(settings, events=self.events, metrics=self.metrics)
        self._base, self._engine, self._spool, self._log = base, engine, spool, log
        self._can_hold = compiler is not None
        self.tools = open_tools(self.events, self.metrics)
        self.stored = Stored(projection, log, self.ids, poll_s=poll_s)
        self.recorder = Recorder(
            spool.put,
            line=settings.line,
            events=self.events,
            metrics=self.metrics,
            told=self.stored.add,
            lost=self.stored.lose,
            tracer=tracer,
        )
        self.notes = Notes(settings, self.recorder.removal)
        self._follower = Follower(
            log,
            residents,
            line=settings.line,
            base=base.name,
            put=spool.put,
            left=spool.left,
            events=self.events,
            metrics=self.metrics,
            forget=self._forget,
            note=self.notes.take,
            tracer=tracer,
            poll_s=poll_s,
        )
        holding = Holding(
            compiler,
            prover,
            max_queue=settings.max_queue,
            limited=lambda limit: self.metrics.limited_forms.labels(limit).inc(),
        )
        self._prompts = Prompts(
            base,
            writes=format_of(base.call_probe),
            context_tokens=context_tokens,
            holding=holding,
            tools=self.tools,
            events=self.events,
            noted=self._noted,
        )
        self._beside = Beside(
            engine,
            self.recorder,
            self.metrics,
            trial=lambda: residents.trial,
            share=rollout.shadow_share,
        )
        self.steering = Steering(log, self._follower, self.events, base=base.name, rollout=rollout)
        self.intake = Intake(
            alive=lambda: engine.alive,
            behind=lambda: self._follower.behind,
            drain_s=settings.drain_s,
            events=self.events,
        )
        self.comparisons = Comparisons(
            engine,
            residents,
            base=base,
            line=self._follower.decisions.line,
            rendering=self._prompts.rendering,
            metrics=self.metrics,
        )
        self.started_s = int(time.time())
        self.metrics.read(self.status)

    def start(self) -> None:
        """Begin to decode, and to follow the log."""
        self._engine.start()
        self._follower.start()
        self.stored.start()
        if self.tools is not None:
            self.tools.start()

    async def stop(self) -> None:
        """Take no more requests, let running replies end within the grace, stop following.

        The spool is not closed: replies that were cut are recorded after this.
        """
        self._beside.stop()
        # Not the engine alone: it has nothing to do while a tool is called for a reply.
        left_s = await self.intake.end()
        await asyncio.to_thread(self._engine.drain, left_s)
        await asyncio.to_thread(self._follower.stop)
        await asyncio.to_thread(self.stored.stop)
        if self.tools is not None:
            await asyncio.to_thread(self.tools.stop)
        self._prompts.close()
        if self.embedding is not None:
            self.embedding.close()
        self.steering.close()

    async def render(self, ask: Ask) -> Ask:
        """Render the prompt of an ask, calling first what somebody allowed.

        raises: InvalidError, naming the parameter; BusyError where there is no place for it, before
            anything is called
        """
        if ask.approvals and self._engine.queued >= self.settings.max_queue:
            raise crowded()
        return await self._prompts.first(ask)

    async def count(self, ask: Ask) -> int:
        """Count the tokens of an ask's prompt. Raises: as `render`."""
        return await self._prompts.count(ask)

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Embed texts. Returns: the vectors, and how many tokens the texts have.

        raises: UnavailableError, BusyError
        """
        if self.embedding is None:
            raise UnavailableError("this agent has no embedder")
        vectors = await self.embedding.vectors(texts)
        return vectors, await self._prompts.count_texts(texts)

    def answer(self, asks: Sequence[Ask], *, prefix: str, began_s: float) -> Answer | Loop:
        """Prepare the answer to rendered asks, to be used as a context manager.

        asks: of one principal and session, at least one
        prefix: what the response's id begins with
        """
        first = self._answer(asks, prefix=prefix, began_s=began_s)
        if self.tools is None or not (asks[0].served or asks[0].made):
            return first

        async def again(ask: Ask) -> Answer:
            rendered = [await self._prompts.again(ask)]
            return self._answer(rendered, prefix=prefix, began_s=time.perf_counter())

        def new_id() -> str:
            ask = asks[0]
            return self.ids.new(principal=ask.principal, session=ask.session, prefix=prefix)

        return Loop(first, Parts(self.tools, again, new_id))

    def _answer(self, asks: Sequence[Ask], *, prefix: str, began_s: float) -> Answer:
        first = asks[0]
        can_retry = self._can_hold and self.settings.retry_calls and first.tools
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
            retry=self._prompts.hold_to_call if can_retry else None,
            serves=lambda: self.residents.serving,
            ended=self._beside.begin,
        )

    def status(self) -> Status:
        """How this agent is now."""
        return Status(
            version=self.residents.serving,
            replies_ms=self.residents.replies_ms,
            base=self._base.name,
            following=self._follower.following(),
            depth=self._spool.depth(),
            engine=self._engine,
            engine_alive=self.intake.alive,
            draining=self.intake.draining,
            tools=self.tools.status() if self.tools is not None else {},
            steps=len(self.rollout.steps),
            changes=self._follower.decisions.changes(),
        )

    @property
    def base(self) -> str:
        """The name of the base model."""
        return self._base.name

    @property
    def line(self) -> Line:
        """The line as it is decided now."""
        return self._follower.decisions.line()

    def knows(self, version: str) -> bool:
        """Whether a version's whole chain is known, so that it could be served."""
        return self.residents.book.is_whole(version)

    def recipe(self, version: str) -> Recipe | None:
        """What made a version from its parent; None of the base, and where it is not known."""
        return self.residents.book.recipe(version)

    async def delete(self, response_id: str, principal: str) -> None:
        """Let a response of a principal be asked for no more, and nothing more be learned from it.

        raises: NotFoundError, UnavailableError
        """
        turn = await self.stored.find(response_id, principal)
        await self.recorder.deletion(turn.id, principal=principal, session=turn.session)
        self.stored.drop(turn.id)

    async def rate(
        self, response_id: str, rating: Rating, *, principal: str, way: Way, adds: bool = False
    ) -> Feedback:
        """Keep what a principal says of a response of its own.

        adds: what was said before stays where this says nothing of it; else it is replaced
        raises: NotFoundError for what was never given to it, or is deleted; UnavailableError
        """
        session = self.ids.session(response_id, principal=principal)
        await self.stored.prove_not_deleted(response_id)
        if adds:  # nothing is waited for between this and the telling: of two at once both count
            rating = rating.beside(await self.stored.rated(response_id, principal))
        return await self.recorder.feedback(
            response_id, rating, principal=principal, session=session, way=way
        )

    async def digest_of(self, version: str) -> str:
        """The SHA-256 of a version's served tensors, hex. Raises: UnknownVersionError."""
        return await asyncio.to_thread(self.residents.digest_of, version)

    def _noted(self, ask: Ask, *, answered: bool) -> Ask:
        """Put the notes that act into an ask; of one to answer, count what they cost and save."""
        ask, needless = self.notes.acting(ask)
        if not answered:
            return ask
        for what, some in (("spent", ask.notes), ("saved", needless)):
            if some:
                tokens = sum(len(self._base.encode(f"\n\n{note.text}")) for note in some)
                self.metrics.note_tokens.labels(what).inc(tokens)
        return ask

    def _forget(self, record: Forgotten) -> None:
        """Let go of what a principal said, in memory and on disk. Called by the follower."""
        self._spool.forget(record.principal, record.created_ms)
        self.stored.forget(record)
        self.named.forget(record.principal)
        self._prompts.allowed.forget(record.principal)
        self.notes.forget(record)
        self._engine.forget()
