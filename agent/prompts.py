"""Makes the prompts of asks, in threads of their own: a long one must not hold the event loop.

A tokenizer is not for several threads, so that prompts have one; what is long to compile must not
hold other prompts, so that what replies are held to has others (agent.turn.proof).

Knows nothing of HTTP or of the engine.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from agent.errors import InvalidError, UnavailableError
from agent.tools.format import Format
from agent.tools.served import Served, Toolbox
from agent.turn.ask import Ask, Renderer, count, held_to, render
from agent.turn.held.constraint import Constraint
from agent.turn.held.held import Held, Rest
from agent.turn.own.allowed import Allowed
from agent.turn.own.offer import offer, settle, shortened, unread
from agent.turn.proof.holding import Holding
from agent.turn.proof.job import Job
from agent.watch.events import Events


class Noted(Protocol):
    """Puts the notes that act into an ask; answered: the ask is to be answered, not counted."""

    def __call__(self, ask: Ask, *, answered: bool) -> Ask: ...


class Prompts:
    """Renders asks for one model."""

    def __init__(
        self,
        base: Renderer,
        *,
        writes: Format,
        context_tokens: int,
        holding: Holding,
        tools: Toolbox | None,
        events: Events,
        noted: Noted,
    ) -> None:
        """Take the model.

        writes: how it writes calls of tools
        context_tokens: how many fit, prompt and reply together
        holding: compiles what replies are held to; closed with this
        tools: the agent's own; None: it has none
        noted: puts the notes that act into an ask; called in the tokenizer's thread
        """
        self._base, self._writes, self._context_tokens = base, writes, context_tokens
        self._holding, self._tools, self._events = holding, tools, events
        self._noted = noted
        self.allowed = Allowed()  # calls that somebody allowed, with what came of them
        # the tokenizer's thread, for whoever else renders
        self.rendering = ThreadPoolExecutor(1, thread_name_prefix="render")
        self._closed = False

    def close(self) -> None:
        """Begin no further prompt: who asks for one is told that the server stops."""
        self._closed = True
        self.rendering.shutdown(wait=False)
        self._holding.close()

    async def first(self, ask: Ask) -> Ask:
        """Render the prompt of an ask. Raises: InvalidError, naming the parameter.

        Tools of the agent's own are offered where they fit; calls that wait for somebody's approval
        are made, or not, as was said.
        """
        if ask.writes is not self._writes:
            ask = replace(ask, writes=self._writes)
        if not ask.approvals or self._tools is None:
            return await self._offered(ask)
        await self._offered(unread(ask))  # nothing is called for what cannot be answered
        settled = await settle(ask, self._tools, self.allowed)
        try:
            return await self._offered(settled)
        except InvalidError:  # the results are too long
            return await self._offered(shortened(settled))

    async def _offered(self, ask: Ask) -> Ask:
        """Render an ask, with tools of the agent's own where they fit."""
        offered = offer(ask, self._own_tools())
        try:
            return await self.again(offered)
        except InvalidError:  # too long with them, or a description that no template takes
            if not offered.served:
                raise
            return await self.again(ask)

    async def again(self, ask: Ask) -> Ask:
        """Render an ask as it stands. Raises: InvalidError, naming the parameter."""
        loop = self._loop()
        if ask.constraint is not None:
            follows = bool(ask.inner)  # tools were called for it, and would be again
            job = _job(ask, ask.constraint)
            held = await self._holding.held(job, ask.principal, follows=follows)
            ask = held_to(ask, held) if held is not None else ask
        return await loop.run_in_executor(self.rendering, self._render, ask)

    async def count(self, ask: Ask) -> int:
        """Count the tokens of an ask's prompt. Raises: as `first`."""
        loop = self._loop()
        ask = offer(ask, self._own_tools())
        return await loop.run_in_executor(self.rendering, self._count, ask)

    async def count_texts(self, texts: Sequence[str]) -> int:
        """Count the tokens of texts."""

        def counted() -> int:
            return sum(len(self._base.encode(text)) for text in texts)

        return await self._loop().run_in_executor(self.rendering, counted)

    async def hold_to_call(self, ask: Ask, rest: Rest | None = None) -> Held | None:
        """What a second try of an ask's tool call is held to; None: its tools cannot be.

        rest: the call that is gone on with; None: the reply begins another
        """
        self._loop()
        names = tuple(tool["function"]["name"] for tool in ask.tools or [])
        called = Constraint("tools", calls=names, loose=frozenset(names))
        job = replace(_job(ask, called), eases=True) if rest is None else _job(ask, rest)
        try:
            return await self._holding.held(job, ask.principal, follows=True)
        except (InvalidError, UnavailableError):  # the first quotes what the client sent
            told = "one is not tried again: nothing can be kept to its tools' schemas"
            self._events.add("broken-call", told)
            return None

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop, to wait for a thread in. Raises: UnavailableError when they have ended."""
        if self._closed:
            raise UnavailableError("the server stops: ask again")
        return asyncio.get_running_loop()

    def _render(self, ask: Ask) -> Ask:
        return render(
            self._noted(ask, answered=True), self._base, context_tokens=self._context_tokens
        )

    def _count(self, ask: Ask) -> int:
        return count(self._noted(ask, answered=False), self._base)

    def _own_tools(self) -> dict[str, Served]:
        """The tools that the agent can call itself now, by name."""
        return dict(self._tools.offered()) if self._tools is not None else {}


def _job(ask: Ask, asked: Constraint | Rest) -> Job:
    """What is to be compiled of an ask."""
    return Job(
        asked,
        tuple(ask.tools or ()),
        ask.writes,
        several=ask.parallel_calls,
        begun=ask.messages[-1].content or "" if ask.continues else "",
    )
