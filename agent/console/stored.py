"""Reads the console's sections from the store, off the event loop, and says so when it cannot.

The store belongs to the learner; the agent serves, and its console rolls back, without it. So a
store that is missing, broken or slow becomes a section that says what is wrong, within a second.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

from agent.console import sections
from agent.console.turns import Turns
from agent.console.versions import Versions, bases
from streams import dead_letters
from streams.errors import StreamsError
from streams.log import Log, Partition, Topic
from streams.records import Json
from streams.store import Store

_LOG = logging.getLogger(__name__)

WAIT_S = 1.0  # a page that says nothing for longer looks broken
NO_STORE = "This agent was started without the learner's store."
NO_TABLES = "The store is empty so far. It is filled as soon as the learner runs."
NO_ANSWER = "The store has not answered yet."
BROKEN_ROW = "The store holds a row that this build cannot show; the agent's log has the reason."
READ_TOPICS: tuple[Topic, ...] = ("turns", "feedback", "rollouts")


class StoredSections:
    """The sections that come from the learner's store."""

    def __init__(self, store: Store | None, log: Log | None, *, wait_s: float = WAIT_S) -> None:
        self._store = store
        self._log = log
        self._wait_s = wait_s
        self._turns, self._versions, self._masks = Turns(), Versions(), sections.Masks()
        self._letters: tuple[Mapping[Partition, int], int] = ({}, 0)
        # One thread: a store that hangs holds up one reading, and no second one is begun.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="console-store")
        self._reading: asyncio.Future[dict[str, Json | list[Json]]] | None = None

    async def read(
        self, lines: Collection[str], named: Collection[str]
    ) -> dict[str, Json | list[Json]]:
        """Give the sections of these lines, or only the section `store` with what is wrong.

        named: versions that are shown however old they are
        """
        if self._store is None:
            return _trouble(NO_STORE)
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(
                self._thread, self._read, self._store, lines, named
            )
        done, _ = await asyncio.wait([self._reading], timeout=self._wait_s)
        if not done:
            return _trouble(NO_ANSWER)
        reading, self._reading = self._reading, None
        return reading.result()

    def close(self) -> None:
        """Begin no further reading."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(
        self, store: Store, lines: Collection[str], named: Collection[str]
    ) -> dict[str, Json | list[Json]]:
        try:
            ends, num_dead_letters = self._ends(), self._num_dead_letters()
            with store.reading() as session:
                return {
                    "store": {"ok": True, "message": ""},
                    "turns": self._turns.read(session, lines),
                    "generations": sections.generations(session, lines),
                    "versions": self._versions.read(session, lines, named),
                    "bases": bases(session, lines),
                    "rollouts": sections.rollouts(session, lines),
                    "forgotten": sections.forgotten(session),
                    "learner": sections.learner(session, lines, ends, num_dead_letters),
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

    def _ends(self) -> Mapping[Partition, int]:
        """Give the log's end offsets; a log that is away only costs the figure of the lag."""
        if self._log is None:
            return {}
        ends: dict[Partition, int] = {}
        try:
            for topic in READ_TOPICS:
                ends |= self._log.end_offsets(topic)
        except StreamsError:
            return {}
        return ends

    def _num_dead_letters(self) -> int | None:
        """Count the open dead letters, again only when something was buried or settled since."""
        if self._log is None:
            return None
        try:
            ends = self._log.end_offsets(dead_letters.TOPIC)
            if ends != self._letters[0]:
                buried = dead_letters.read_all(self._log) if any(ends.values()) else []
                self._letters = ends, sum(each.closed is None for each in buried)
        except StreamsError:
            return None
        return self._letters[1]


def _trouble(message: str) -> dict[str, Json | list[Json]]:
    return {"store": {"ok": False, "message": message}}


def _sentence(cause: Exception) -> str:
    text = str(cause)
    return text[:1].upper() + text[1:]
