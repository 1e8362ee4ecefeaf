"""Turns a finished reply into a Turn, and a verdict into a Feedback, and hands them to the spool.

A reply is recorded once, exactly as it was sampled, also when it was cancelled half-way; one of
which no token was sampled left nothing to record. Recording comes after the reply's last byte and
waits for nothing: what the disk does not take is counted, and told as an event.

Knows nothing of HTTP or of the log behind the spool.
"""

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from agent.api.chat import FeedbackRequest
from agent.errors import UnavailableError
from agent.turn.ask import Asked
from agent.turn.reply import Reply
from agent.turn.sessions import Occasion
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from streams import chain
from streams.log.contract import Outgoing, outgoing
from streams.records import Feedback, Turn

REMEMBERED = 10_000  # verdicts; the same one again within these is not written twice

DISK_S = 5.0  # a verdict waits for the disk this long; a turn never does

_LOG = logging.getLogger(__name__)

Put = Callable[[list[Outgoing]], Future[bool]]


class Recorder:
    """Writes down what was said. Belongs to the event loop's thread."""

    def __init__(
        self,
        put: Put,
        *,
        line: str,
        events: Events,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take where records go.

        put: streams.spool.Spool.put, or another that returns at once
        clock: Unix seconds
        """
        self._put, self._line = put, line
        self._events, self._metrics, self._clock = events, metrics, clock
        self._verdicts: OrderedDict[str, Feedback] = OrderedDict()
        self._dropping = False

    def turn(
        self, turn_id: str, asked: Asked, occasion: Occasion, *, choice: int, reply: Reply
    ) -> None:
        """Record a reply that has ended."""
        if not reply.tokens:
            return
        try:
            record = self._turn(turn_id, asked, occasion, choice, reply)
            self._hand_over([outgoing("turns", f"{self._line}/{occasion.session}", record)])
        except ValueError as cause:  # the reply is sent; its record must not fail the connection
            _LOG.exception("turn %s cannot be recorded", turn_id)
            self._events.add("dropped", f"turn {turn_id} cannot be recorded: {cause}")
            return
        self._metrics.turns.labels(record.purpose, str(record.learn).lower()).inc()

    async def feedback(
        self, turn_id: str, request: FeedbackRequest, *, principal: str, session: str
    ) -> Feedback:
        """Record a verdict on a turn; the same again changes nothing, another replaces it.

        raises: UnavailableError when the disk does not take it; give it again later
        """
        given = {"score": request.verdict(), "hint": request.hint, "comment": request.comment}
        last = self._verdicts.get(turn_id)
        if last is not None and given == last.model_dump(include=set(given)):
            return last
        record = Feedback(
            id=uuid.uuid4().hex,
            turn_id=turn_id,
            line=self._line,
            principal=principal,
            session=session,
            score=request.verdict(),
            hint=request.hint,
            comment=request.comment,
            created_ms=self._now_ms(),
        )
        done = self._hand_over([outgoing("feedback", f"{self._line}/{session}", record)])
        if not await self._kept(done):
            raise UnavailableError("the feedback could not be kept: give it again later")
        self._metrics.feedback.labels(str(record.score)).inc()
        self._verdicts[turn_id] = record
        self._verdicts.move_to_end(turn_id)
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)
        return record

    def forget(self, principal: str) -> None:
        """Drop the verdicts that a principal gave. Any thread may ask."""
        for turn_id, verdict in list(self._verdicts.items()):
            if verdict.principal == principal:
                self._verdicts.pop(turn_id, None)

    def _turn(
        self, turn_id: str, asked: Asked, occasion: Occasion, choice: int, reply: Reply
    ) -> Turn:
        message = reply.message()
        prefix_key = (chain.keys(asked.messages) or [chain.ROOT])[-1]
        return Turn(
            id=turn_id,
            line=self._line,
            version=reply.tokens[0].version,
            principal=occasion.principal,
            session=occasion.session,
            prefix_key=prefix_key,
            key=chain.extend(prefix_key, message),
            messages=asked.messages,
            tools=asked.tools,
            reply=message,
            prompt_token_ids=asked.prompt_token_ids,
            token_ids=[token.id for token in reply.tokens],
            logprobs=[token.logprob for token in reply.tokens],
            sampling_logprobs=[token.sampling_logprob for token in reply.tokens],
            sampling=asked.sampling[choice],
            finish_reason=reply.finish_reason or "cancelled",
            learn=occasion.learn,
            purpose=occasion.purpose,
            created_ms=self._now_ms(),
        )

    def _hand_over(self, records: list[Outgoing]) -> Future[bool]:
        done = self._put(records)
        done.add_done_callback(self._told)
        return done

    async def _kept(self, done: Future[bool]) -> bool:
        try:
            return await asyncio.wait_for(asyncio.wrap_future(done), DISK_S)
        except TimeoutError:
            return False

    def _told(self, done: Future[bool]) -> None:
        """Say once that the spool drops records, and again only after it has taken some."""
        dropped = done.cancelled() or not done.result()
        if dropped and not self._dropping:
            self._events.add("dropped", "the spool is full or its disk fails: turns are being lost")
        self._dropping = dropped

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
