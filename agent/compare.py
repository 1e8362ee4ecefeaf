"""The same prompts answered by two versions side by side, for an operator who decides between them.

A version that is not in memory is built aside for it, by a thread of its own that yields to
decoding, and let go at the end; what serves stays as it is, and the next swap is not held up. One
comparison at a time, two replies at once, and none is begun while requests of people wait.

The replies are greedy, so that they differ by the versions alone. They are no turns: nothing is
recorded, and nothing is learned from them. Knows nothing of HTTP.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from agent.engine.contract import Engine, Request, Stream, Token
from agent.errors import (
    BusyError,
    EngineStoppedError,
    InvalidError,
    NotFoundError,
    NotNowError,
    QueueFullError,
    ReplyFailedError,
    SwapError,
    UnavailableError,
    UnknownVersionError,
)
from agent.swap.book import Book
from agent.swap.residents import Resident
from agent.turn.ask import Renderer
from agent.watch.metrics import Metrics
from streams.line.line import WORDS, Line
from streams.line.variant import Variant
from streams.records import Message, Sampling

MAX_PROMPTS: Final = 8
MAX_TOKENS: Final = 256  # of a reply; more says little more of how versions differ
ALL_S: Final = 240.0  # a comparison takes no longer; a person waits for it
OWNER: Final = "comparison"  # in the cache of prompts: no principal's
LOOK_S: Final = 0.05  # how often it is looked whether requests of people wait


@dataclass(frozen=True, slots=True)
class Reply:
    """What a version answered."""

    text: str
    tokens: int  # sampled, the one that ended it too
    finish: str  # stop or length


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two versions answered to the same prompts."""

    a: str
    b: str
    answers: tuple[tuple[str, Reply, Reply], ...]  # prompt, what a and b answered


class Base(Renderer, Protocol):
    """What is needed of the base model."""

    @property
    def name(self) -> str: ...


class SupportsLend(Protocol):
    """What is needed of agent.swap.residents.Residents."""

    @property
    def book(self) -> Book: ...

    def lend(self, version: str) -> Resident: ...

    def release(self, resident: Resident) -> None: ...


class Comparisons:
    """Compares versions of one line, one pair at a time. Belongs to the event loop's thread."""

    def __init__(
        self,
        engine: Engine,
        residents: SupportsLend,
        *,
        base: Base,
        line: Callable[[], Line],
        rendering: Executor,
        metrics: Metrics,
    ) -> None:
        """Take what answers. line: as it is decided now; rendering: the tokenizer's thread."""
        self._counted = metrics.comparisons
        self._engine, self._residents = engine, residents
        self._model, self._base, self._line = base, base.name, line
        self._rendering = rendering
        self._running = False

    async def compare(
        self, a: int | str, b: int | str, prompts: Sequence[str], *, max_tokens: int
    ) -> Comparison:
        """Answer prompts on two versions.

        a, b: a version's number on the way to what serves, 0 for the base; or its name, how that
            begins, or base, stable, previous or candidate
        raises: NotFoundError for a version that is not known; NotNowError while another
            comparison runs, or when a version fails its checks; InvalidError for a prompt that is
            too long; BusyError, UnavailableError
        """
        outcome = "refused"
        try:
            made = await self._alone(a, b, prompts, max_tokens)
            outcome = "answered"
            return made
        finally:
            self._counted.labels(outcome).inc()

    async def _alone(
        self, a: int | str, b: int | str, prompts: Sequence[str], max_tokens: int
    ) -> Comparison:
        """Compare while nobody else does, within the time."""
        first, second = self.named(a, "a"), self.named(b, "b")
        if self._running:
            raise NotNowError("another comparison is running: ask again when it has ended")
        self._running = True
        try:
            async with asyncio.timeout(ALL_S):
                return await self._compare(first, second, prompts, max_tokens)
        except TimeoutError:
            raise UnavailableError(
                f"the comparison did not end within {ALL_S:.0f} seconds: requests of people go "
                "before; ask later, or for less"
            ) from None
        finally:
            self._running = False

    def named(self, version: int | str, param: str = "version") -> str:
        """Return the name of the version that is meant.

        raises: NotFoundError, InvalidError; NotNowError while a number's way is not known here
        """
        line, book = self._line(), self._residents.book
        if isinstance(version, int):
            try:
                way = [self._base, *(recipe.version for recipe in book.chain(line.version))]
            except UnknownVersionError as cause:
                raise NotNowError(str(cause)) from cause
            if not 0 <= version < len(way):
                raise NotFoundError(
                    f"no version has the number {version} on the way to {line.version}, which is "
                    f"number {len(way) - 1}: name it",
                    param=param,
                )
            return way[version]
        if version == "base":
            return self._base
        if version in WORDS:
            found = line.named(version)
            if found is None:
                raise NotFoundError(f"there is no {version} now", param=param)
            return found
        names = book.beginning(version)
        if len(names) > 1:
            raise InvalidError(f"{len(names)} versions begin with {version}", param=param)
        if not names:
            raise NotFoundError(f"no version that is known here begins with {version}", param=param)
        return names[0]

    async def _compare(self, a: str, b: str, prompts: Sequence[str], tokens: int) -> Comparison:
        loop = asyncio.get_running_loop()
        rendered = [
            await loop.run_in_executor(self._rendering, self._rendered, each) for each in prompts
        ]
        lent: list[Resident] = []
        try:
            for version in (a, b):
                lent.append(await self._lend(version))
            answers = []
            for prompt, ids in zip(prompts, rendered, strict=True):
                while self._engine.queued:
                    await asyncio.sleep(LOOK_S)
                with self._asked(ids, tokens, (a, b)) as (one, other):
                    answers.append((prompt, await _whole(one), await _whole(other)))
            return Comparison(a, b, tuple(answers))
        except QueueFullError:
            raise BusyError("the queue is full: requests of people go before") from None
        except (EngineStoppedError, ReplyFailedError) as cause:
            raise UnavailableError(f"it cannot be answered: {cause}") from cause
        except UnknownVersionError as cause:
            raise NotNowError(str(cause)) from cause
        finally:
            for resident in lent:
                self._residents.release(resident)

    def _rendered(self, prompt: str) -> list[int]:
        """The token ids of a conversation that is one question."""
        return self._model.render([Message(role="user", content=prompt)])

    async def _lend(self, version: str) -> Resident:
        building = asyncio.ensure_future(asyncio.to_thread(self._residents.lend, version))
        try:
            return await asyncio.shield(building)
        except asyncio.CancelledError:
            building.add_done_callback(self._give_back)  # nobody waits for it any more
            raise
        except SwapError as cause:
            raise NotNowError(f"{version} cannot be built here: {cause}") from cause

    def _give_back(self, building: "asyncio.Future[Resident]") -> None:
        if not building.cancelled() and building.exception() is None:
            self._residents.release(building.result())

    @contextmanager
    def _asked(
        self, prompt: list[int], max_tokens: int, versions: Sequence[str]
    ) -> Iterator[list[Stream]]:
        """Ask each version; leaving the block ends what is still being said."""
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=max_tokens, seed=0)
        streams: list[Stream] = []
        try:
            for version in versions:
                request = Request(prompt, sampling, OWNER, partial(_assigned, version))
                streams.append(self._engine.submit(request))
            yield streams
        except ValueError as cause:
            raise InvalidError(f"prompts: {cause}", param="prompts") from cause
        finally:
            for stream in streams:
                stream.cancel()


def _assigned(version: str, line: Line) -> Variant:
    return Variant(line.name, version)


async def _whole(stream: Stream) -> Reply:
    text, num, reason = "", 0, "stop"
    async for event in stream:
        if isinstance(event, Token):
            text, num = text + event.text, num + 1
        else:
            reason = event.reason
    return Reply(text, num, reason)
