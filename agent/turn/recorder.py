"""Makes records of finished replies, ratings and deletions, and hands them to the spool.

A reply is recorded once, exactly as it was sampled, also when it was cancelled half-way. One of
which no token was sampled left nothing to record, unless it failed: that tells of what answered.
Recording comes after the reply's last byte and waits for nothing: what the disk does not take is
counted, and told as an event.

Knows nothing of HTTP or of the log behind the spool.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Literal, TypedDict, Unpack

from pydantic import ValidationError

from agent.errors import UnavailableError
from agent.turn.ask import Ask
from agent.turn.origin.origin import kept
from agent.turn.reply import Reply
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams import chain
from streams.line.variant import Variant
from streams.log.contract import Outgoing, outgoing
from streams.records import Deletion, Feedback, Json, Message, Note, Sampling, Turn
from streams.trace import places
from streams.trace.contract import NO_TRACER, Tracer

DISK_S = 5.0  # feedback waits for the disk this long; a turn never does

Put = Callable[[list[Outgoing]], Future[bool]]


@dataclass(frozen=True, slots=True)
class Rating:
    """What somebody says outright of one reply.

    score: 0 where only a hint or a comment is given
    hint: what the reply should have done
    comment: for people
    withdrawn: nothing any more; what was said before is taken back
    """

    score: Literal[-1, 0, 1] = 0
    hint: str | None = None
    comment: str | None = None
    withdrawn: bool = False

    def beside(self, before: Feedback | None) -> "Rating":
        """What is said together with what was said before, where this says nothing of it."""
        if before is None or before.withdrawn:
            return self
        return Rating(
            self.score or before.score, self.hint or before.hint, self.comment or before.comment
        )


class Told(TypedDict, total=False):
    """What is known of a reply beside what was sampled.

    delivered: whether its last byte was handed to somebody; None: unknown
    response: what is kept for whoever asks for it again; None: nobody may
    gap_ms: median time from one token to the next, milliseconds
    beside: id of the turn whose request it answered, too, unseen
    """

    delivered: bool | None
    response: Json | None
    gap_ms: float | None
    beside: str | None


# By which door feedback came: our own endpoint, a signed link, Langfuse's or Open WebUI's.
Way = Literal["api", "link", "langfuse", "openwebui"]


class Recorder:
    """Writes down what was said. Belongs to the event loop's thread."""

    def __init__(
        self,
        put: Put,
        *,
        line: str,
        events: Events,
        metrics: Metrics,
        told: Callable[[Turn | Feedback], None] = lambda _: None,
        lost: Callable[[Feedback], None] = lambda _: None,
        tracer: Tracer = NO_TRACER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take where records go.

        put: streams.spool.spool.Spool.put, or another that returns at once
        told: takes each turn and each feedback before it is on its way to the log
        lost: takes feedback that was told and could not be kept
        clock: Unix seconds
        """
        self._put, self._line, self._tracer = put, line, tracer
        self._told, self._lost = told, lost
        self._events, self._metrics, self._clock = events, metrics, clock
        self._dropping = False

    def turn(
        self,
        turn_id: str,
        ask: Ask,
        *,
        choice: int,
        reply: Reply,
        took_s: float = 0.0,
        **told: Unpack[Told],
    ) -> None:
        """Record a reply that has ended. Of one that failed, what answered is recorded even so.

        took_s: from the request's arrival until now, seconds
        """
        for each in reply.broken:
            # Not the call itself: the turn has it, and is what forgetting somebody reaches.
            self._events.add("broken-call", f"turn {turn_id}: {each.fault}", turn=turn_id)
        if reply.variant is None:
            return
        try:
            record = self._turn(turn_id, ask, choice, reply, reply.variant, told)
            sent = outgoing("turns", f"{record.line}/{record.session}", record)
            self._told(record)
            done = self._hand_over([sent])
            if self._tracer.on:
                self._trace(record, done, took_s, caller=ask.origin.span)
        except ValueError as cause:  # the reply is sent; its record must not fail the connection
            self._events.add("dropped", f"turn {turn_id} cannot be recorded: {_where(cause)}")
            return
        self._metrics.turns.labels(record.purpose, str(record.learn).lower()).inc()

    async def feedback(
        self, turn_id: str, rating: Rating, *, principal: str, session: str, way: Way = "api"
    ) -> Feedback:
        """Record a rating of a turn; it replaces the one before it in the log.

        The same again is written again: another replica may have taken something else meanwhile.

        raises: UnavailableError when the disk does not take it; give it again later
        """
        record = Feedback(
            id=uuid.uuid4().hex,
            turn_id=turn_id,
            line=self._line,
            principal=principal,
            session=session,
            created_ms=self._now_ms(),
            **asdict(rating),
        )
        sent = outgoing("feedback", f"{record.line}/{session}", record)
        # Told first: the log may give it back before the disk's answer is heard here.
        self._told(record)
        kept = False
        try:
            kept = await self._kept(self._hand_over([sent]))
        finally:
            if not kept:
                self._lost(record)
        if not kept:
            raise UnavailableError("the feedback could not be kept: give it again later")
        score = "withdrawn" if record.withdrawn else str(record.score)
        self._metrics.feedback.labels(score, way).inc()
        return record

    async def deletion(self, turn_id: str, *, principal: str, session: str) -> Deletion:
        """Record that a principal wants a reply of its own kept no longer.

        raises: UnavailableError when the disk does not take it; ask again later
        """
        record = Deletion(
            id=uuid.uuid4().hex,
            turn_id=turn_id,
            line=self._line,
            principal=principal,
            session=session,
            created_ms=self._now_ms(),
        )
        done = self._hand_over([outgoing("feedback", f"{record.line}/{session}", record)])
        if not await self._kept(done):
            raise UnavailableError("the deletion could not be kept: ask again later")
        return record

    async def removal(self, note: Note) -> Note:
        """Record that a principal takes a note of its own away.

        raises: UnavailableError when the disk does not take it; ask again later
        """
        record = note.model_copy(update={"id": uuid.uuid4().hex, "state": "removed"})
        if not await self._kept(self._hand_over([outgoing("notes", note.note, record)])):
            raise UnavailableError("that could not be kept: ask again later")
        return record

    def _turn(
        self, turn_id: str, ask: Ask, choice: int, reply: Reply, variant: Variant, told: Told
    ) -> Turn:
        message = reply.message()
        prefix_key, key = _keys(ask, message)
        return Turn(
            id=turn_id,
            line=variant.line,
            version=variant.version,
            member=variant.member if variant.member >= 0 else None,
            principal=ask.principal,
            session=ask.session,
            prefix_key=prefix_key,
            key=key,
            messages=ask.messages,
            tools=ask.tools,
            reply=message,
            prompt_token_ids=ask.prompt_token_ids,
            token_ids=[token.id for token in reply.tokens],
            logprobs=[token.logprob for token in reply.tokens],
            sampling_logprobs=[token.sampling_logprob for token in reply.tokens],
            sampling=_sampling(ask, choice, reply),
            finish_reason=reply.finish_reason or "cancelled",
            learn=ask.learn,
            purpose=ask.purpose,
            created_ms=self._now_ms(),
            follows=ask.follows,
            cut_messages=ask.cut.messages,
            cut_tokens=ask.cut.tokens,
            continues=ask.continues,
            forced=[place for place, token in enumerate(reply.tokens) if token.forced],
            broken_calls=[each.raw for each in reply.broken],
            notes=[note.note for note in ask.notes],
            inner=list(ask.inner),
            pinned=ask.wanted != "",
            **kept(ask.origin),
            **told,
        )

    def _trace(self, turn: Turn, done: Future[bool], took_s: float, *, caller: str | None) -> None:
        """Tell the request of a turn, and once it is safe, its way there."""
        place, now_s = places.turn(turn.id, turn.trace), self._clock()
        self._tracer.span(
            "request",
            place,
            began_s=now_s - took_s,
            ended_s=now_s,
            parent=places.Place(place.trace, caller) if caller else None,
            failed="cancelled" if turn.finish_reason == "cancelled" else None,
            attributes={
                "turn": turn.id,
                "line": turn.line,
                "version": turn.version,
                "member": turn.member,
                "purpose": turn.purpose,
                "learn": turn.learn,
                "finish_reason": turn.finish_reason,
                "prompt_tokens": len(turn.prompt_token_ids),
                "reply_tokens": len(turn.token_ids),
            },
        )

        def logged(done: Future[bool]) -> None:
            lost = done.cancelled() or not done.result()
            self._tracer.span(
                "log",
                places.log(place, turn.id),
                began_s=now_s,
                ended_s=self._clock(),
                parent=place,
                failed="the spool did not take it" if lost else None,
                attributes={"turn": turn.id},
            )

        done.add_done_callback(logged)

    def _hand_over(self, records: list[Outgoing]) -> Future[bool]:
        done = self._put(records)
        done.add_done_callback(self._note_dropped)
        return done

    async def _kept(self, done: Future[bool]) -> bool:
        # Shielded: what is on its way to the disk stays so, whether or not anybody waits for it.
        waiting = asyncio.shield(asyncio.wrap_future(done))
        try:
            return await asyncio.wait_for(waiting, DISK_S)
        except TimeoutError:
            return False

    def _note_dropped(self, done: Future[bool]) -> None:
        """Add an event when the spool begins to drop records; no other until it has taken some."""
        dropped = done.cancelled() or not done.result()
        if dropped and not self._dropping:
            self._events.add("dropped", "the spool is full or its disk fails: turns are being lost")
        self._dropping = dropped

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _where(cause: ValueError) -> str:
    """What is wrong with a record, and where; never with what was said in it."""
    if isinstance(cause, ValidationError):
        first = cause.errors(include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(cause).__name__}: {cause}"


def _sampling(ask: Ask, choice: int, reply: Reply) -> Sampling:
    """How a reply was sampled; what its second try was held to is told where nothing else is."""
    sampling = ask.samplings[choice]
    if reply.retried is None or sampling.constraint is not None:
        return sampling
    return sampling.model_copy(update={"constraint": reply.retried.told})


def _keys(ask: Ask, reply: Message) -> tuple[str, str]:
    """The keys of the conversation before the reply, and with it, as clients know both.

    A reply that continues the last message is one message with it, as clients send it back. They
    have neither calls that the agent made itself nor their results; a reply that only makes such
    calls is followed by its results, so that its own messages are its conversation.
    """
    before = ask.messages
    if ask.continues:
        *before, begun = ask.messages
        text = (begun.content or "") + (reply.content or "")
        reply = reply.model_copy(update={"content": text})
    calls = reply.tool_calls or []
    theirs = [call for call in calls if call["function"]["name"] not in ask.served]
    if theirs or not calls:
        before = [each for place, each in enumerate(before) if place not in ask.inner]
        told = (ask.said + (reply.content or "")) or None
        reply = reply.model_copy(update={"content": told, "tool_calls": theirs or None})
    prefix_key = (chain.keys(before) or [chain.ROOT])[-1]
    return prefix_key, chain.extend(prefix_key, reply)
