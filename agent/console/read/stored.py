"""Reads the console's sections from the store, off the event loop, and says so when it cannot.

The store belongs to the learner; the agent serves, and its console rolls back, without it. So a
store that is missing, broken or slow becomes a section that says what is wrong, within a second.
The log is read beside it: while a broker is away, what the store tells is shown all the same.
"""

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from agent.console.read import sections
from agent.console.read.reading import Reading
from agent.console.read.turns import Turns
from agent.console.read.versions import Versions, bases
from streams.errors import StreamsError
from streams.log import dead_letters
from streams.log.contract import Log, Partition, Topic
from streams.records import Json
from streams.store.store import Store

_LOG = logging.getLogger(__name__)

Sections = dict[str, Json | list[Json]]

WAIT_S = 1.0  # a page that says nothing for longer looks broken
NO_STORE = "This agent was started without the learner's store."
NO_TABLES = "The store is empty so far. It is filled as soon as the learner runs."
NO_ANSWER = "The store has not answered yet."
BROKEN_ROW = "The store holds a row that this build cannot show; the agent's log has the reason."
READ_TOPICS: tuple[Topic, ...] = ("turns", "feedback", "rollouts")


@dataclass(frozen=True, slots=True)
class LogFigures:
    """What is shown of the log."""

    ends: Mapping[Partition, int] = field(default_factory=dict)  # of the topics that groups read
    dead_letters: int | None = None  # open ones; None: not known


class StoredSections:
    """The sections that come from the learner's store, with figures of the log among them."""

    def __init__(self, store: Store | None, log: Log | None, *, wait_s: float = WAIT_S) -> None:
        """Read nothing yet. wait_s: how long a page waits for either, in seconds."""
        self._store = store
        self._log = log
        self._wait_s = wait_s
        self._turns, self._versions, self._masks = Turns(), Versions(), sections.Masks()
        self._letters: tuple[Mapping[Partition, int], int] = ({}, 0)
        self._of_log = Reading[LogFigures]("console-log")
        self._of_store = Reading[Sections]("console-store")

    async def read(self, lines: Collection[str], named: Collection[str]) -> Sections:
        """Give the sections of these lines, or only the section `store` with what is wrong.

        named: versions that are shown however old they are
        """
        if self._store is None:
            return _trouble(NO_STORE)
        # A broker that is away costs its own figures, and no others.
        ends_s = time.monotonic() + self._wait_s
        figures = await self._of_log.ask(self._figures, wait_s=self._wait_s / 2)
        read = partial(self._read, self._store, lines, named, figures or LogFigures())
        found = await self._of_store.ask(read, wait_s=ends_s - time.monotonic())
        return _trouble(NO_ANSWER) if found is None else found

    def close(self) -> None:
        """Begin no further reading."""
        self._of_log.close()
        self._of_store.close()

    def _read(
        self, store: Store, lines: Collection[str], named: Collection[str], figures: LogFigures
    ) -> Sections:
        try:
            with store.reading() as session:
                return {
                    "store": {"ok": True, "message": ""},
                    "turns": self._turns.read(session, lines),
                    "generations": sections.generations(session, lines),
                    "versions": self._versions.read(session, lines, named),
                    "bases": bases(session, lines),
                    "rollouts": sections.rollouts(session, lines),
                    "forgotten": sections.forgotten(session, lines),
                    "learner": sections.learner(session, lines, figures.ends, figures.dead_letters),
                    "masks": self._masks.read(session),
                }
        except StreamsError as cause:
            return _trouble(_sentence(cause))
        except SQLAlchemyError as cause:
            missing = "no such table" in str(cause) or "UndefinedTable" in str(cause)
            return _trouble(NO_TABLES if missing else f"The store cannot be read: {cause}")
        except Exception:
            # A row that another build wrote must not take the serving version from the page.
            _LOG.exception("the store's rows cannot be shown")
            return _trouble(BROKEN_ROW)

    def _figures(self) -> LogFigures:
        if self._log is None:
            return LogFigures()
        ends: dict[Partition, int] = {}
        try:
            for topic in READ_TOPICS:
                ends |= self._log.end_offsets(topic)
            return LogFigures(ends, self._num_dead_letters(self._log))
        except StreamsError:
            return LogFigures()

    def _num_dead_letters(self, log: Log) -> int:
        """Count the open dead letters, again only when something was buried or settled since."""
        ends = log.end_offsets(dead_letters.TOPIC)
        if ends != self._letters[0]:
            buried = dead_letters.read_all(log) if any(ends.values()) else []
            self._letters = ends, sum(each.closed is None for each in buried)
        return self._letters[1]


def _trouble(message: str) -> Sections:
    return {"store": {"ok": False, "message": message}}


def _sentence(cause: Exception) -> str:
    text = str(cause)
    return text[:1].upper() + text[1:]
