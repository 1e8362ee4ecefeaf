"""An answer in steps: tools that are the agent's own are called here, and the model is asked again.

A bounded loop: at most so many steps, so many seconds for all calls, and as many calls as the
request allows; then the model is asked a last time without these tools, so that it ends with an
answer. A step that took the last token ends it as cut, and its calls are not made; one that leaves
no room in the context for what would follow ends it as cut, too. Each step is a turn of its own,
recorded as sampled, the results in the messages of the next one. The last step has the id of the
response, so that what is said of the response is said of its answer.

A reply that calls the client's tools ends the loop: they are the client's to call. Of what needs
somebody's approval nothing is called: where the client can be asked for it, the reply ends with
asking; elsewhere the model is told that it cannot be had.

Knows nothing of HTTP, or of where tools are.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from agent.errors import InvalidError
from agent.tools.served import Made, Result, Toolbox
from agent.turn.answer import Answer
from agent.turn.ask import Ask
from agent.turn.making.merged import Step
from agent.turn.own.offer import NO_ROOM, SPENT
from agent.turn.own.reply import LoopReply
from agent.turn.reply import Reply, ReplyEvent, Usage
from streams.records import Json, Message

UNAPPROVED: Final = (
    "{name} was not called: somebody has to allow it first, and nobody can be asked here. Answer "
    "without it, and say that it was not called."
)
BESIDE: Final = "{name} was not called: the client's own tools were called in the same reply"
OVER: Final = "{name} was not called: the request allows no more calls. Answer without it."
CUT: Final = "{name} was not called: the reply was cut"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a loop is made with.

    again: renders an ask, and prepares its answer under a name of its own
    """

    toolbox: Toolbox
    again: Callable[[Ask], Awaitable[Answer]]
    new_id: Callable[[], str]
    clock: Callable[[], float] = time.monotonic


class Loop:
    """A response in several steps (agent.turn.own.told.Told). Use it as a context manager."""

    def __init__(self, first: Answer, parts: Parts) -> None:
        """Prepare; nothing is asked of the engine before `with`.

        first: the answer of the first step, which has the response's id
        """
        self.id, self.asks = first.id, first.asks
        self.delivered: bool | None = None
        self.response: Json | None = None
        self._answer: Answer | None = first
        self._parts = parts
        self._reply = LoopReply(first.ask)
        self._before = Usage(0, 0)  # of the steps that have ended
        self._ask = first.ask
        left_s, most = first.ask.left_s, first.ask.most_calls
        self._left_s = parts.toolbox.seconds if left_s is None else left_s
        self._left_calls = math.inf if most is None else most - len(first.ask.made)

    def __enter__(self) -> Self:
        """Ask the engine for the first step. Raises: BusyError, UnavailableError."""
        assert self._answer is not None
        # its place was seen before what the client allowed was called, and is not lost by that
        self._answer.follows = bool(self.ask.made)
        self._answer.__enter__()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Record the step that is not recorded yet: the last, or one that broke off."""
        if self._answer is not None:
            self._answer.delivered, self._answer.response = self.delivered, self.response
            self._answer.__exit__(failed, None, None)

    @property
    def ask(self) -> Ask:
        """What the first step was asked."""
        return self.asks[0]

    @property
    def replies(self) -> list[LoopReply]:
        """The one reply that the client is told."""
        return [self._reply]

    @property
    def usage(self) -> Usage:
        """The tokens of all steps so far."""
        now = self._answer.usage if self._answer is not None else Usage(0, 0)
        return _added(self._before, now)

    async def steps(self, *, together: int = 1) -> AsyncGenerator[Step]:
        """Yield what becomes certain until the loop has ended. Raises: as Answer.steps."""
        for left in range(self._parts.toolbox.steps, -1, -1):
            answer = self._answer
            assert answer is not None
            reply, before = answer.replies[0], len(self._reply.tokens)
            ending: list[ReplyEvent] = []  # told together with the end, as without a loop
            async for step in answer.steps(together=together):
                events = self._reply.take(step.events, reply, before)
                if reply.finish_reason is not None:
                    ending = events
                elif events:
                    yield Step(0, events)
            calls = self._ours(reply)
            goes_on = bool(calls) and len(calls) == len(reply.calls)
            goes_on = goes_on and reply.finish_reason == "tool_calls" and left > 0
            asked = goes_on and self._can_ask(calls) and self._needs_approval(calls)
            if goes_on and not asked and self._has_room(reply):
                if ending:
                    yield Step(0, ending)
                results: list[Result] = []
                async for events in self._called(calls, results):
                    yield Step(0, events)
                if await self._go_on(reply, calls, results, last=left == 1):
                    continue
                yield Step(0, [self._reply.finish(reply, self.usage, cut=True)])
                return
            ending += self._not_called(reply, calls, asked)
            cut = goes_on and not asked
            yield Step(0, [*ending, self._reply.finish(reply, self.usage, cut=cut)])
            return

    def _ours(self, reply: Reply) -> list[Made]:
        """The calls of a step that are the agent's to make."""
        return [
            Made(part.call.id, served.server, part.call.name, arguments)
            for part, arguments in reply.parts
            if part.call is not None and (served := self._ask.served.get(part.call.name))
        ]

    def _has_room(self, reply: Reply) -> bool:
        """Whether a token is left, of those that the request allows, for what would follow."""
        return all(each.max_tokens > len(reply.tokens) for each in self._ask.samplings)

    def _can_ask(self, calls: Sequence[Made]) -> bool:
        return all(call.server in self._ask.can_ask for call in calls)

    def _needs_approval(self, calls: Sequence[Made]) -> bool:
        return any(self._ask.served[call.name].approval for call in calls)

    async def _called(
        self, calls: Sequence[Made], results: list[Result]
    ) -> AsyncGenerator[list[ReplyEvent]]:
        """Make all calls at once, and tell of each in order. results: filled with theirs"""
        began_s = self._parts.clock()
        making = [
            asyncio.ensure_future(self._result(call, over=number >= self._left_calls))
            for number, call in enumerate(calls)
        ]
        try:
            for call, made in zip(calls, making, strict=True):
                yield [self._reply.begin_call(call)]
                results.append(await made)
                yield [self._reply.end_call(replace(call, result=results[-1]))]
        finally:
            for each in making:
                each.cancel()
        self._left_s -= self._parts.clock() - began_s
        self._left_calls -= len(calls)

    async def _result(self, call: Made, *, over: bool) -> Result:
        if self._ask.served[call.name].approval:
            return Result(UNAPPROVED.format(name=call.name), "unapproved")
        if over:
            return Result(OVER.format(name=call.name), "left")
        if self._left_s <= 0:
            return Result(SPENT.format(name=call.name), "left")
        toolbox = self._parts.toolbox
        return await toolbox.call(call.name, call.arguments, within_s=self._left_s)

    async def _go_on(
        self, reply: Reply, calls: Sequence[Made], results: Sequence[Result], *, last: bool
    ) -> bool:
        """Record the step that has ended, and ask for the next one; False where none can follow."""
        answer = self._answer
        assert answer is not None
        ask = _next_ask(self._ask, reply, calls, results)
        if last or self._left_s <= 0 or self._left_calls <= 0:
            ask = _without_served(ask)
        try:
            following = await self._following(ask, calls, results)
        except InvalidError:  # what has been said fills the context
            return False
        answer.id = self._parts.new_id()
        self._before, self._answer = _added(self._before, answer.usage), None
        answer.__exit__(None, None, None)
        following.id = self.id
        following.follows = True  # refused, it would be asked for again, and the tools called again
        self._ask = following.ask
        following.__enter__()
        self._answer = following
        return True

    async def _following(
        self, ask: Ask, calls: Sequence[Made], results: Sequence[Result]
    ) -> Answer:
        """Prepare the next step, without the results where they do not fit. Raises: InvalidError"""
        try:
            return await self._parts.again(ask)
        except InvalidError:
            short = [replace(result, text=NO_ROOM) for result in results]
            messages = _with_results(ask.messages, calls, short)
            return await self._parts.again(replace(ask, messages=messages))

    def _not_called(self, reply: Reply, calls: Sequence[Made], asked: bool) -> list[ReplyEvent]:
        """Tell of the calls that are not made at the end of the loop."""
        events: list[ReplyEvent] = []
        why = CUT if len(calls) == len(reply.calls) else BESIDE
        for call in calls:
            told = replace(call, asks=True)
            if not asked:
                told = replace(call, result=Result(why.format(name=call.name), "left"))
            events += [self._reply.begin_call(told), self._reply.end_call(told)]
        return events


def _next_ask(ask: Ask, reply: Reply, calls: Sequence[Made], results: Sequence[Result]) -> Ask:
    """What the next step is asked: the same, with the calls and their results behind it."""
    message = reply.message()
    messages = _with_results([*ask.messages, message], calls, results)
    used = len(reply.tokens)
    samplings = tuple(
        each.model_copy(update={"max_tokens": each.max_tokens - used}) for each in ask.samplings
    )
    return replace(
        ask,
        messages=messages,
        inner=(*ask.inner, *range(len(ask.messages), len(messages))),
        said=ask.said + (message.content or ""),
        samplings=samplings,
        made=(),
    )


def _with_results(
    messages: Sequence[Message], calls: Sequence[Made], results: Sequence[Result]
) -> list[Message]:
    """Messages up to the calls, and the results of these behind them, in place of any before."""
    called = max(place for place, each in enumerate(messages) if each.tool_calls)
    said = [
        Message(role="tool", content=result.text, tool_call_id=call.id)
        for call, result in zip(calls, results, strict=True)
    ]
    return [*messages[: called + 1], *said]


def _without_served(ask: Ask) -> Ask:
    """The same without the agent's own tools; what still calls one is told as no call."""
    tools = [each for each in ask.tools or [] if each["function"]["name"] not in ask.served]
    return replace(ask, tools=tools, served={})


def _added(a: Usage, b: Usage) -> Usage:
    return Usage(
        a.prompt_tokens + b.prompt_tokens,
        a.reply_tokens + b.reply_tokens,
        a.cached_tokens + b.cached_tokens,
        a.cut_tokens + b.cut_tokens,
    )
