"""One session of teaching: the user chats while versions come, and each is measured by how well it
answers what the service was never asked before.

What is measured is greedy and with learning off, so that measuring changes nothing.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import aiohttp

from deploy.demo.services import Services
from deploy.demo.user import WISH, Prompts, User

# Conversations held at once: they are decoded in one batch.
AT_ONCE: Final = 4
# New conversations at each new version: one turn can score several generations, so one is enough
# to keep learning from what the newest versions say.
FRESH: Final = 1
# A user who waits for nothing goes on asking; after so many replies in a row that please, the
# lesson is learned and the session ends.
QUIET_S: Final = 10.0
CONTENT: Final = 24
_POLL_S: Final = 0.5
# A version may come while another is examined, whose point it would be in part: then once more, and
# no oftener than so, for the minutes run.
_EXAMINED: Final = 3


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
    frozen: list[Point] = field(default_factory=list)  # the other service, at the start and the end
    told: list[Point] = field(default_factory=list)  # the same, with the wish in every prompt
    conversations: int = 0
    corrections: int = 0
    held: list[str] = field(default_factory=list)  # why generations were not released
    # of the versions in `learning`: version → name → number (deploy.demo.beside)
    watched: dict[str, dict[str, float]] = field(default_factory=dict)


class Past(Protocol):
    """What the service that learns has written down (deploy.demo.past)."""

    def number(self, version: str) -> int:
        """Count the versions from the base to this one."""
        ...

    def held(self) -> list[str]:
        """Return the reasons of generations that were not released."""
        ...


class Teacher:
    """The user at both services."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        services: Services,
        prompts: Prompts,
        past: Past,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """say: told each measurement as it is made; clock: seconds"""
        self._user, self._other = User(client, services.learning), User(client, services.frozen)
        self._past, self._prompts = past, prompts
        self._say, self._clock = say, clock
        self._began_s = clock()
        self._next = itertools.cycle(prompts.training)
        self._lessons = Lessons()
        self._content = 0  # replies in a row that pleased

    async def teach(self, minutes: float) -> Lessons:
        """Chat and measure until the time is over, or nothing is left to wish for.

        The last version is always measured.

        raises: DemoError when a service does not answer
        """
        lessons = self._lessons
        await self._measure()
        lessons.frozen.append(await self._point(self._other, 0))
        told = [f"{prompt} {WISH}" for prompt in self._prompts.test]
        lessons.told.append(await self._point(self._other, 0, told))
        await self._talk(len(self._prompts.training))
        seen, spoke_s = lessons.learning[0].version, self._clock()
        while self._minutes() < minutes and self._content < CONTENT:
            version = await self._user.serving()
            if version == seen and self._clock() - spoke_s < QUIET_S:
                await asyncio.sleep(_POLL_S)
                continue
            if version != seen:
                seen = version
                await self._measure()
            await self._talk(FRESH)
            spoke_s = self._clock()
        await self._measure()
        lessons.frozen.append(await self._point(self._other, 0))
        lessons.told.append(replace(lessons.told[0], minutes=self._minutes()))
        lessons.held = self._past.held()
        return lessons

    async def _talk(self, conversations: int) -> None:
        prompts = list(itertools.islice(self._next, conversations))
        for first in range(0, len(prompts), AT_ONCE):
            some = prompts[first : first + AT_ONCE]
            pleased = await asyncio.gather(*map(self._user.converse, some))
            self._lessons.conversations += len(pleased)
            self._lessons.corrections += pleased.count(False)
            self._content = 0 if False in pleased else self._content + len(pleased)

    async def _measure(self) -> None:
        point = await self._point(self._user, None)
        if self._lessons.learning and point.version == self._lessons.learning[-1].version:
            return  # nothing new has been released since
        self._lessons.learning.append(point)
        self._say(
            f"minute {point.minutes:4.1f}, version {point.number:2d}: {point.pleased:4.0%} of the "
            f"replies to unseen prompts please, {point.words:.0f} words"
        )

    async def _point(
        self, user: User, number: int | None, prompts: Sequence[str] | None = None
    ) -> Point:
        for _ in range(_EXAMINED):
            replies = await user.examine(prompts or self._prompts.test)
            if len({reply.version for reply in replies}) == 1:
                break
        version = replies[-1].version
        return Point(
            number=self._past.number(version) if number is None else number,
            version=version,
            minutes=self._minutes(),
            pleased=sum(reply.pleases for reply in replies) / len(replies),
            words=sum(reply.num_words for reply in replies) / len(replies),
            examples=[reply.text for reply in replies],
        )

    def _minutes(self) -> float:
        return (self._clock() - self._began_s) / 60
