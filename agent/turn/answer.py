"""One response in the making: asks the engine for every choice, gathers them, records each once.

Whatever happens meanwhile (the client goes, the server stops, something breaks), leaving the
`with` block cancels what is still running and records what was sampled.

Knows nothing of HTTP.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Self

from agent.engine.contract import Engine, Finish, Request, Stream, serving
from agent.engine.text import Spared
from agent.errors import (
    BrokenError,
    BrokenLogitsError,
    BusyError,
    EngineStoppedError,
    InvalidError,
    LostMaskError,
    NotFoundError,
    QueueFullError,
    ReplyFailedError,
    UnavailableError,
    UnknownVersionError,
)
from agent.turn.ask import Ask
from agent.turn.assign import assign
from agent.turn.held.held import Held, Rest
from agent.turn.making.merged import Step, merged
from agent.turn.recorder import Recorder
from agent.turn.reply import Reply, ReplyEvent, Usage
from agent.watch.metrics import Metrics, labels_of
from streams.line.variant import Variant
from streams.records import Json

# Where calls are looked for, tokens that may wait for each other: a call that is none is seen so
# much later.
CALLS_TOGETHER = 16


# What a call is held to at a second try of an ask, or the rest of one that was begun; None: it
# cannot be held to any.
Retry = Callable[[Ask, Rest | None], Awaitable[Held | None]]


class Answer:
    """A response that is being sampled. Use it as a context manager, in the event loop."""

    def __init__(
        self,
        response_id: str,
        asks: Sequence[Ask],
        *,
        engine: Engine,
        recorder: Recorder,
        metrics: Metrics,
        began_s: float,
        retry: Retry | None = None,
        serves: Callable[[], str] = str,
        ended: Callable[[str, Ask, Variant], None] = lambda *_: None,
    ) -> None:
        """Prepare; nothing is asked of the engine before `with`.

        asks: one a prompt, of one principal, at least one; choices are numbered through all
        began_s: when the request came in, by time.perf_counter
        retry: None: a call that cannot be read is not tried again
        serves: returns the version that serves now; what another one fails to begin, it answers
        ended: told each ask whose first choice came to its end: by which turn, and what answered
        """
        self.id, self.asks = response_id, asks
        # whose each choice is, and its number there
        self._choices = [(ask, number) for ask in asks for number in range(len(ask.samplings))]
        self.replies = [Reply(ask, can_retry=retry is not None) for ask, _ in self._choices]
        self._retry, self._serves, self._ended = retry, serves, ended
        # whether the last byte was handed to a socket that was still there; None: nobody has said
        self.delivered: bool | None = None
        # what an API keeps of it, so that it may be asked for again; None: it may not
        self.response: Json | None = None
        self.follows = False  # a step of a response that was begun: the queue is never full for it
        self._engine, self._recorder, self._metrics = engine, recorder, metrics
        self._began_s = began_s
        self._streams: list[Stream] = []
        self._first_streams: list[Stream] = []  # without those of second tries
        self._last_s: dict[int, float] = {}  # when each choice's last token came
        self._waits_s: dict[int, list[float]] = {}  # from token to token, of each choice

    def __enter__(self) -> Self:
        """Ask the engine for every choice, or for none.

        raises: BusyError, UnavailableError
        """
        try:
            for ask, number in self._choices:
                request = replace(request_of(ask, number), follows=self.follows)
                self._streams.append(self._engine.submit(request))
        except QueueFullError as cause:
            self._cancel()
            raise crowded() from cause
        except EngineStoppedError as cause:
            self._cancel()
            raise UnavailableError(f"the engine has stopped: {cause}") from cause
        self._first_streams = list(self._streams)
        self._metrics.tokens.labels("prompt").inc(self.usage.prompt_tokens)
        self._metrics.cut_prompts.inc(sum(ask.cut.messages > 0 for ask in self.asks))
        return self

    @property
    def ask(self) -> Ask:
        """The first of the asks; what all have in common stands in each."""
        return self.asks[0]

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Cancel what still runs, and record every choice; what failed was delivered to nobody."""
        self._cancel()
        for choice, reply in enumerate(self.replies):
            ask, number = self._choices[choice]
            if reply.finish_reason is None:
                reply.finish(Finish("cancelled"))
            broke_off = failed is not None or reply.finish_reason == "cancelled"
            self._recorder.turn(
                self._id_of(choice),
                ask,
                choice=number,
                reply=reply,
                delivered=False if broke_off else self.delivered,
                response=self.response,
                took_s=time.perf_counter() - self._began_s,
                gap_ms=median_ms(self._waits_s.get(choice, [])),
            )
            self._count(reply)
            if not broke_off and reply.variant is not None and number == 0:
                self._ended(self._id_of(choice), ask, reply.variant)

    @property
    def usage(self) -> Usage:
        """The tokens of all choices so far; a prompt counts once, however many choices it has."""
        return Usage(
            prompt_tokens=sum(len(ask.prompt_token_ids) for ask in self.asks),
            reply_tokens=sum(len(reply.tokens) for reply in self.replies),
            cached_tokens=sum(map(self._cached, self.asks)),
            cut_tokens=sum(ask.cut.tokens for ask in self.asks),
        )

    def _cached(self, ask: Ask) -> int:
        """The tokens of a prompt that none of its choices had to read for itself or the others."""
        firsts = zip(self._first_streams, self._choices, strict=False)
        reused = [stream.reused_tokens for stream, (of, _) in firsts if of is ask]
        size = len(ask.prompt_token_ids)
        return max(0, size - sum(size - each for each in reused)) if reused else 0

    async def steps(self, *, together: int = 1) -> AsyncGenerator[Step]:
        """Yield what becomes certain, in the order in which it does, until every choice has ended.

        together: tokens of a choice that may wait for each other, where nobody reads one by one
        raises: UnavailableError when the engine stops; BrokenError when it cannot go on with
            this reply; InvalidError when what the client holds it to cannot be followed on;
            NotFoundError when what is to answer is not in memory
        """
        try:
            makers = [self._made(choice, together) for choice in range(len(self.replies))]
            async for step in merged(makers):
                yield step
        except EngineStoppedError as cause:
            raise UnavailableError(f"{cause}: ask again") from cause
        except LostMaskError as cause:
            if self.ask.constraint is None:
                raise BrokenError(str(cause)) from cause
            param = self.ask.constraint.param
            raise InvalidError(f"{param}: {cause}", param=param, code="invalid_value") from cause
        except BrokenLogitsError as cause:
            raise BrokenError(str(cause)) from cause
        except UnknownVersionError as cause:
            raise NotFoundError(str(cause), param="model", code="model_not_found") from cause

    async def _made(self, choice: int, together: int) -> AsyncGenerator[Step]:
        """Yield what becomes certain of one choice; a call that is none is tried again, once."""
        reply, going = self.replies[choice], True
        if self._choices[choice][0].tools is not None:
            together = min(together, CALLS_TOGETHER)
        while going:
            going = False
            self._streams[choice].together = together
            async for events in self._told(choice):
                if events:
                    yield Step(choice, events)
                if reply.kept is not None:
                    going = await self._try_again(choice)
                    break
        if reply.finish_reason is None:  # another try was wanted, and cannot be had
            # what was told of a call is cut
            yield Step(choice, reply.finish(Finish("stop" if reply.rest is None else "length")))

    async def _told(self, choice: int) -> AsyncIterator[list[ReplyEvent]]:
        """Yield what each group of tokens makes certain of a choice, and then its end."""
        reply, stream = self.replies[choice], self._streams[choice]
        try:
            async for group in stream.groups():
                if isinstance(group, list):
                    self._measure(choice, group[0].variant)
                    yield reply.add(*group)
                elif group.reason == "cancelled":
                    raise UnavailableError("the server stops: ask again")
                else:
                    yield reply.finish(group)
        except asyncio.CancelledError:  # recorded as far as it came, though no group came whole
            if left := stream.unread():
                with suppress(BrokenError):
                    reply.add(*left)
            raise
        except UnknownVersionError:  # what made the first part is not in memory any more
            if reply.retried is None:
                raise
        except ReplyFailedError:
            if not self._fall_back(choice):
                reply.fail(stream.variant)
                raise
            async for events in self._told(choice):
                yield events

    def _fall_back(self, choice: int) -> bool:
        """Let what serves answer where another version failed at the first token.

        That it failed is recorded, as a turn of it without a token: evidence in a trial.
        """
        (ask, number), variant = self._choices[choice], self._streams[choice].variant
        if variant is None or ask.wanted or self.replies[choice].tokens:
            return False
        if variant.version == self._serves():
            return False
        failed = Reply(ask)
        failed.fail(variant)
        id = f"{self._id_of(choice)}-failed"
        self._recorder.turn(id, ask, choice=number, reply=failed, delivered=False)
        try:
            request = replace(request_of(ask, number), assign=serving, follows=True)
            self._streams[choice] = self._engine.submit(request)
        except EngineStoppedError:
            return False
        self._metrics.fallbacks.labels(*labels_of(variant)).inc()
        return True

    def _id_of(self, choice: int) -> str:
        return f"{self.id}-{choice}" if choice else self.id

    async def _try_again(self, choice: int) -> bool:
        """Ask for the rest of a reply anew, held to a call. Returns: whether it comes."""
        self._streams[choice].cancel()
        (ask, number), reply = self._choices[choice], self.replies[choice]
        held = await self._retry(ask, reply.rest) if self._retry is not None else None
        if held is None or reply.variant is None:
            return False
        variant = reply.variant
        said = [token.id for token in reply.tokens[: reply.kept]]
        request = request_of(ask, number, said=said, held=held)
        try:
            again = replace(request, assign=lambda _: variant, follows=True)
            self._streams[choice] = self._engine.submit(again)
        except EngineStoppedError as cause:
            if reply.rest is None:
                return False
            raise BrokenError(
                "a call of a tool broke off, and goes on no more: ask again"
            ) from cause
        reply.retry(held)
        self._metrics.retried_calls.labels(*labels_of(variant)).inc()
        return True

    def _measure(self, choice: int, variant: Variant) -> None:
        """Take the times at which the tokens of a group came."""
        labels, came_s = labels_of(variant), self._streams[choice].came_s
        if choice in self._last_s:
            came_s = [self._last_s[choice], *came_s]
        else:
            self._metrics.first_token_s.labels(*labels).observe(came_s[0] - self._began_s)
        waits_s = [later - earlier for earlier, later in pairwise(came_s)]
        self._metrics.token_gap_s.observe(labels, waits_s)
        self._waits_s.setdefault(choice, []).extend(waits_s)
        self._last_s[choice] = came_s[-1]

    def _cancel(self) -> None:
        for stream in self._streams:
            stream.cancel()

    def _count(self, reply: Reply) -> None:
        labels = labels_of(reply.variant or Variant(self.ask.line, ""))
        self._metrics.replies.labels(reply.finish_reason, *labels).inc()
        self._metrics.tokens.labels("reply").inc(len(reply.tokens))
        self._metrics.tool_calls.labels(*labels).inc(len(reply.calls))
        for each in reply.broken:
            self._metrics.tool_parse_failures.labels(each.fault, *labels).inc()


def crowded() -> BusyError:
    """What is told where no more requests may wait."""
    return BusyError("more requests wait than this server keeps: try again")


def median_ms(waits_s: Sequence[float]) -> float | None:
    """Return the median of times between tokens, milliseconds: one long wait does not tell.

    >>> median_ms([0.03, 0.02, 9.0]), median_ms([])
    (30.0, None)
    """
    return round(median(waits_s) * 1000, 3) if waits_s else None


def request_of(
    ask: Ask, number: int, *, said: Sequence[int] = (), held: Held | None = None
) -> Request:
    """What the engine is asked for: a choice, or the rest of one.

    said: its tokens before, when it is asked for the rest
    held: what that is held to
    """
    sampling, again = ask.samplings[number], held is not None
    if said:
        left = max(1, sampling.max_tokens - len(said))
        sampling = sampling.model_copy(update={"max_tokens": left})
    if again or (ask.constraint is not None and ask.constraint.is_whole):
        sampling = sampling.model_copy(update={"stop": []})
    held, form = held or ask.held, ask.writes
    return Request(
        [*ask.prompt_token_ids, *said],
        sampling,
        owner=ask.principal,
        assign=partial(assign, ask),
        top_logprobs=ask.top_logprobs,
        continues=bool(said) or ask.continues or ask.raw is not None,
        shown=form.tags if ask.tools is not None else frozenset(),
        spared=Spared(form.opens, form.closes, form.bare) if ask.tools is not None else None,
        grammar=held.grammar if held is not None else None,
    )
