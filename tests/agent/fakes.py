"""An engine and a model without weights: replies as scripted, so that tests see the API alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from agent.engine.contract import Finish, Request, Token
from agent.engine.engine import Counts
from agent.swap.book import Book
from streams.errors import TemplateRefusedError
from streams.log.contract import Outgoing
from streams.records import Json, Message
from streams.spool import Depth

BASE = "base000000000000"


@dataclass
class FakeBase:
    """A model whose prompt is one token a word."""

    name: str = BASE
    context_tokens: int = 64

    def render(self, messages: Sequence[Message], tools: Sequence[Json] | None = None) -> list[int]:
        if any(message.content == "refuse me" for message in messages):
            raise TemplateRefusedError("the chat template refuses these messages")
        words = [word for message in messages for word in (message.content or "").split()]
        return list(range(len(words) + 1 + (len(tools or []))))


class FakeStream:
    """What the engine gives for one request; the test may hold tokens back."""

    def __init__(self, request: Request, script: Sequence[str | Exception], version: str) -> None:
        self.request, self.version = request, version
        self.cancelled = False
        self.gate = asyncio.Event()  # opens the rest of the reply after "⏸"
        self._script = script

    def cancel(self) -> None:
        self.cancelled = True
        self.gate.set()

    async def __aiter__(self) -> AsyncIterator[Token | Finish]:
        for number, text in enumerate(self._script[: self.request.sampling.max_tokens]):
            if isinstance(text, Exception):
                raise text
            if text == "⏸":
                await self.gate.wait()
                continue
            if self.cancelled:
                yield Finish("cancelled")
                return
            await asyncio.sleep(0)
            yield Token(number, text, -0.5, -0.25, self.version)
        if self.cancelled:
            yield Finish("cancelled")
            return
        yield Finish("stop" if len(self._script) <= self.request.sampling.max_tokens else "length")


@dataclass
class FakeEngine:
    """Answers every request with the script."""

    script: Sequence[str | Exception] = ("Hello", ",", " world", "!")
    version: str = BASE
    alive: bool = True
    queued: int = 0
    running: int = 0
    counts: Counts = field(default_factory=Counts)
    streams: list[FakeStream] = field(default_factory=list)
    refuse: Callable[[], Exception | None] = lambda: None
    drained_s: float | None = None

    def start(self) -> None: ...

    def submit(self, request: Request) -> FakeStream:
        refusal = self.refuse()
        if refusal is not None:
            raise refusal
        self.streams.append(FakeStream(request, self.script, self.version))
        return self.streams[-1]

    def drain(self, grace_s: float) -> None:
        self.drained_s = grace_s

    def forget(self) -> None: ...


class FakeResidents:
    """Versions without weights."""

    def __init__(self) -> None:
        self.serving, self.book = BASE, Book(BASE)

    def promote(self, version: str) -> None:
        self.book.chain(version)
        self.serving = version

    def digest_of(self, version: str) -> str:
        return f"digest of {version}"


class FakeSpool:
    """A spool that keeps what it is given, or refuses it."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.forgotten: list[tuple[str, int]] = []
        self.keeps = True

    def put(self, records: list[Outgoing]) -> Future[bool]:
        if self.keeps:
            self.records += records
        done: Future[bool] = Future()
        done.set_result(self.keeps)
        return done

    def depth(self) -> Depth:
        return Depth(records=0, num_bytes=0, dropped=0, drained=0, log_away=None)

    def forget(self, principal: str, until_ms: int) -> None:
        self.forgotten.append((principal, until_ms))
