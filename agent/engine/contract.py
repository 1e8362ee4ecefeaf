"""What an engine is, and what passes between it and the event loop: requests in, tokens out.

An engine never waits for a reader: what is not read yet waits in memory, at most one event a token
of the reply's own limit.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agent.constrain.contract import Grammar
from agent.engine.spelling import UNSPELT, Spelling
from agent.engine.text import Spared
from agent.swap.residents import Resident
from streams.line.line import Line
from streams.line.variant import Variant
from streams.records import Sampling

# What answers a request, given what serves its line now. Called when the request gets its place, so
# that one that has waited begins on what serves then; pure, quick, and raises nothing.
Assign = Callable[[Line], Variant]


def serving(line: Line) -> Variant:
    """Assign the version that serves the line."""
    return Variant(line.name, line.version)


@dataclass(frozen=True, slots=True)
class Request:
    """What the engine is asked for: one reply."""

    prompt_token_ids: list[int]
    sampling: Sampling
    owner: str = ""  # whose it is: what others asked is not found again in the cache
    assign: Assign = serving
    top_logprobs: int = 0  # how many of the likeliest tokens to tell beside each sampled one, to 20
    continues: bool = False  # the prompt ends in the midst of a text, which the reply goes on with
    shown: frozenset[str] = frozenset()  # control tokens that are text in this reply
    spared: Spared | None = None  # where in this reply stop strings end nothing
    grammar: Grammar | None = None  # what the reply is held to; None: any token may come
    unseen: bool = False  # nobody waits for it: it is made while no other reply is, or not at all
    follows: bool = False  # more of an answer that was begun: it may wait, however many others do


@dataclass(frozen=True, slots=True)
class Scored:
    """A token that could have been sampled; its log-probability as Token has it."""

    spelling: Spelling
    logprob: float


@dataclass(frozen=True, slots=True)
class Token:
    """One sampled token, and the text that became certain by it (empty: none yet).

    logprob: log π(token), nats, at temperature 1, without bias, penalties, mask or truncation
    sampling_logprob: nats, of the distribution that it was drawn from
    spelling: what it writes itself, also where that is held back, or was a stop string
    top: the likeliest tokens in its place, likeliest first, as many as were asked for
    forced: it is what the reply is held to that chose it, more than the model
    """

    id: int
    text: str
    logprob: float
    sampling_logprob: float
    variant: Variant
    spelling: Spelling = UNSPELT
    top: tuple[Scored, ...] = ()
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a reply, and why."""

    reason: Literal["stop", "length", "cancelled"]
    stopped_by: str | None = None  # the stop string, when it was one


StreamEvent = Token | Finish | Exception


class Stream:
    """One reply on its way; read it in the event loop that asked for it, once."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.together = 1  # tokens that a reader is woken for; fewer wait for more, or for the end
        self.came_s: list[float] = []  # when the tokens of the last group came, time.perf_counter
        self._events: deque[tuple[float, StreamEvent]] = deque()
        self._reader: asyncio.Future[None] | None = None  # done when there is something to read
        self.reused_tokens = 0  # of the prompt, found in the cache; known with the first token
        self.variant: Variant | None = None  # what it was assigned when it got its place
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Nobody waits for this reply any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the engine to end this reply; it does so before its next step."""
        self._cancelled.set()

    def put(self, event: StreamEvent) -> None:
        """Add what the reader shall have; in its event loop only."""
        self._events.append((time.perf_counter(), event))
        if self._reader is None or self._reader.done():
            return
        if len(self._events) >= self.together or not isinstance(event, Token):
            self._reader.set_result(None)

    async def __aiter__(self) -> AsyncIterator[Token | Finish]:
        """Yield the tokens, then the Finish.

        raises: when no more tokens will come: ReplyFailedError; UnknownVersionError when what was
            assigned is not in memory; EngineStoppedError
        """
        while True:
            if not self._events:
                self._reader = self.loop.create_future()
                await self._reader
            _, event = self._events.popleft()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Finish):
                return

    def unread(self) -> list[Token]:
        """Take the tokens that have come and that nobody has read, for who will not read on."""
        left = [event for _, event in self._events if isinstance(event, Token)]
        self._events.clear()
        return left

    async def groups(self) -> AsyncIterator[list[Token] | Finish]:
        """Yield the tokens that have come, at most `together` at once, then the Finish.

        raises: as the tokens one by one
        """
        while True:
            if not self._events:
                self._reader = self.loop.create_future()
                await self._reader
            tokens, self.came_s = list[Token](), []
            while self._events and len(tokens) < self.together:
                came_s, event = self._events.popleft()
                if isinstance(event, Token):
                    tokens.append(event)
                    self.came_s.append(came_s)
                    continue
                if tokens:
                    yield tokens
                if isinstance(event, Exception):
                    raise event
                yield event
                return
            yield tokens


@dataclass(slots=True)
class Counts:
    """What an engine has done since it started."""

    read_tokens: int = 0  # prompt tokens computed
    reused_tokens: int = 0  # prompt tokens found in the cache
    sampled_tokens: int = 0
    failed_replies: int = 0
    preempted_replies: int = 0  # unseen ones that were cancelled for others


class SupportsHold(Protocol):
    """What has variants in memory: agent.swap.residents.Residents."""

    @property
    def resident(self) -> Collection[str]:
        """The versions in memory."""
        ...

    @property
    def building(self) -> bool:
        """A version is being built, for which steps leave a core."""
        ...

    def hold(self, assign: Assign) -> Resident:
        """Keep what is assigned until it is released. Raises: UnknownVersionError."""
        ...

    def release(self, resident: Resident) -> None: ...


class Engine(Protocol):
    """Makes many replies at once; its laws are in tests/agent/engine/test_contract.py."""

    @property
    def counts(self) -> Counts: ...

    @property
    def alive(self) -> bool:
        """Tokens will come."""
        ...

    @property
    def queued(self) -> int:
        """Requests that wait for a place."""
        ...

    @property
    def running(self) -> int:
        """Replies that are being made."""
        ...

    def start(self) -> None:
        """Begin to decode."""
        ...

    def submit(self, request: Request) -> Stream:
        """Ask for a reply. Call it in the event loop that will read the stream.

        An unseen one is cancelled when others need its place, and makes no other wait.

        raises: QueueFullError, EngineStoppedError; ValueError for a prompt that is empty or
            leaves no room for a reply
        """
        ...

    def forget(self) -> None:
        """Keep nothing of past conversations in memory, for nobody."""
        ...

    def drain(self, grace_s: float) -> None:
        """Take no more requests, let those taken end within grace_s, cancel the rest, stop.

        Waits for all that, so call it in another thread than the readers'.
        """
        ...


def deliver(events: Sequence[tuple[Stream, StreamEvent]]) -> None:
    """Hand events over to their readers; called by the engine's thread, never waits.

    One call a loop: waking a loop costs a system call, and a step has an event for each reply.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Stream, StreamEvent]]] = {}
    for stream, event in events:
        by_loop.setdefault(stream.loop, []).append((stream, event))
    for loop, due in by_loop.items():
        try:
            loop.call_soon_threadsafe(_put, due)
        except RuntimeError:  # the loop has closed: nobody is left to read
            for stream, _ in due:
                stream.cancel()


def _put(events: Sequence[tuple[Stream, StreamEvent]]) -> None:
    for stream, event in events:
        stream.put(event)
