"""One session of teaching: the user chats while versions come, and every few versions is asked how
well the service now answers what it was never asked before.

What is measured is greedy and with learning off, so that measuring changes nothing.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from deploy.demo.services import Services
from deploy.demo.user import Prompts, Reply, User
from deploy.history import store_session
from deploy.history import versions as read_versions
from streams.settings import StreamsSettings

# Conversations held at once: they are decoded in one batch.
AT_ONCE: Final = 4
# Versions between two measurements; each takes a quarter of a minute.
MEASURE_EVERY: Final = 4
# New conversations at each new version: one turn can score several generations, so one is enough
# to keep learning from what the newest versions say.
FRESH: Final = 1
_POLL_S: Final = 0.5
_LINE: Final = "main"
_ALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class Point:
    """How a version answers the test prompts."""

    number: int  # versions since the base
    version: str
    minutes: float  # since the teaching began
    pleased: float  # share of replies that the user likes
    words: float  # mean length
    examples: list[str]


@dataclass(slots=True)
class Lessons:
    """What the user has said so far, and what came of it."""

    learning: list[Point] = field(default_factory=list)
    frozen: list[Point] = field(default_factory=list)
    conversations: int = 0
    corrections: int = 0
    held: list[str] = field(default_factory=list)  # why generations were not released


class Teacher:
    """The user at both services."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        services: Services,
        prompts: Prompts,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """say: told each measurement as it is made; clock: seconds"""
        self._user, self._other = User(client, services.learning), User(client, services.frozen)
        self._home, self._prompts = services.home, prompts
        self._say, self._clock = say, clock
        self._began_s = clock()
        self._next = itertools.cycle(prompts.training)
        self._lessons = Lessons()

    async def teach(self, minutes: float) -> Lessons:
        """Chat and measure until the time is over; the last version is always measured.

        raises: DemoError when a service does not answer
        """
        lessons = self._lessons
        await self._measure()
        lessons.frozen.append(await self._point(self._other, 0))
        await self._talk(len(self._prompts.training))
        seen = lessons.learning[0].version
        while self._minutes() < minutes:
            version = await self._user.serving()
            if version == seen:
                await asyncio.sleep(_POLL_S)
                continue
            seen = version
            if self._number(version) >= lessons.learning[-1].number + MEASURE_EVERY:
                await self._measure()
            await self._talk(FRESH)
        await self._measure()
        lessons.frozen.append(await self._point(self._other, lessons.learning[-1].number))
        lessons.held = self._held()
        return lessons

    async def _talk(self, conversations: int) -> None:
        prompts = list(itertools.islice(self._next, conversations))
        for some in itertools.batched(prompts, AT_ONCE):
            pleased = await asyncio.gather(*map(self._user.converse, some))
            self._lessons.conversations += len(pleased)
            self._lessons.corrections += pleased.count(False)
