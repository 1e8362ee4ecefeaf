"""The course: rounds of teaching, each followed by a measurement on prompts that are never taught.

Knows the services by their HTTP API; of the store it only reads how many generations are done.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
from sqlmodel import Session, col, func, select

from deploy.demo.services import Services
from deploy.demo.user import LESSONS, PREFERENCE, UNSEEN, Heard, User
from deploy.history import store_session
from streams.settings import StreamsSettings
from streams.tables import GenerationRow, JudgementRow

LOOK_S = 1.0
IDLE_S = 25.0  # no generation for this long after teaching: the learner has used what it was given
REQUEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Measure:
    """Where both services stand on the unseen prompts."""

    minutes: float  # since the course began
    generations: int  # that the learner has finished, held and void ones too
    released: int
    version: str
    tokens: float  # mean length of the learning service's replies, cut at 64
    frozen_tokens: float
    pleased: float  # share of replies that the user would accept
    frozen_pleased: float
    taught_pleased: float | None  # share of this round's lessons that were accepted
    judged: int  # turns with a verdict so far
    example: str


@dataclass(slots=True)
class Result:
    """What the course came to."""

    hinted_tokens: float  # the frozen model, told the preference in every prompt
    hinted_pleased: float
    measures: list[Measure] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Give the result as plain values."""
        return asdict(self)


class Course:
    """One run of the demo over two running services."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        services: Services,
        *,
        lessons_a_round: int,
        told: Callable[[Measure], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        lessons_a_round: questions asked between two measurements
        told: called with every measurement
        """
        self._learning, self._frozen = (
            User(client, services.learning),
            User(client, services.frozen),
        )
        self._store = StreamsSettings(home=services.home)
        self._lessons, self._told, self._clock = lessons_a_round, told, clock
        self._began_s = clock()
        self._asked = 0

    async def run(self, *, minutes: float) -> Result:
        """Teach and measure until the time is over; the last measurement is always of the end."""
        hinted = await _all(self._frozen, [f"{question} {PREFERENCE}" for question in UNSEEN])
        result = Result(_tokens(hinted), _pleased(hinted))
        result.measures.append(await self._measure(None))
        while self._minutes() < minutes:
            taught = await self._teach()
            await self._until_learned(minutes)
            result.measures.append(await self._measure(taught))
        return result

    async def _teach(self) -> list[Heard]:
        numbers = range(self._asked, self._asked + self._lessons)
        self._asked += self._lessons
        return await asyncio.gather(
            *(self._learning.teach(LESSONS[n % len(LESSONS)], seed=n) for n in numbers)
        )

    async def _until_learned(self, minutes: float) -> None:
        """Wait until the learner has nothing more to learn from what it was told."""
        done, since_s = await self._generations(), self._clock()
        while self._minutes() < minutes and self._clock() - since_s < IDLE_S:
            await asyncio.sleep(LOOK_S)
            now = await self._generations()
            if now != done:
                done, since_s = now, self._clock()

    async def _measure(self, taught: list[Heard] | None) -> Measure:
        done = await self._generations()
        ours = await _all(self._learning, UNSEEN)
        theirs = await _all(self._frozen, UNSEEN)
        measure = Measure(
            minutes=self._minutes(),
            generations=done.get("all", 0),
            released=done.get("released", 0),
            version=ours[0].version,
            tokens=_tokens(ours),
            frozen_tokens=_tokens(theirs),
            pleased=_pleased(ours),
            frozen_pleased=_pleased(theirs),
            taught_pleased=_pleased(taught) if taught else None,
            judged=done.get("judged", 0),
            example=ours[0].text,
        )
        self._told(measure)
        return measure

    async def _generations(self) -> dict[str, int]:
        return await asyncio.to_thread(_count, self._store)

    def _minutes(self) -> float:
        return (self._clock() - self._began_s) / 60


def _count(settings: StreamsSettings) -> dict[str, int]:
    """Count generations by state (all: those that are done), and turns with a verdict."""
    if not (settings.home / "store.db").exists():  # the learner has not begun
        return {}
    with store_session(settings) as session:
        states = select(GenerationRow.state, func.count()).group_by(GenerationRow.state)
        counts: dict[str, int] = {state: number for state, number in session.exec(states)}  # noqa: C416 (rows)
        counts.pop("planned", None)
        return {**counts, "all": sum(counts.values()), "judged": _judged(session)}


def _judged(session: Session) -> int:
    return session.exec(select(func.count(func.distinct(col(JudgementRow.turn_id))))).one()


async def _all(user: User, questions: tuple[str, ...] | list[str]) -> list[Heard]:
    return await asyncio.gather(*(user.ask(question) for question in questions))


def _tokens(heard: list[Heard]) -> float:
    return sum(each.tokens for each in heard) / len(heard)


def _pleased(heard: list[Heard]) -> float:
    return sum(each.pleases for each in heard) / len(heard)
