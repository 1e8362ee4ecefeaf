"""Reads every section, off the event loop, and says so when the store cannot be read.

The store belongs to the learner; the agent serves, and its console rolls back, without it. So a
store that is missing, broken or slow becomes a section that says what is wrong, within a second.
The log is read beside it: a broker that is away costs its own figures, and no others.
"""

import json
import logging
import time
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from agent.console.ports import Service
from agent.console.read.log import Figures, LogFigures
from agent.console.read.registry import OF_AGENT, of_store
from agent.console.read.view import Value, View
from agent.watch.reading import Reading
from streams.errors import StreamsError
from streams.log.contract import Log
from streams.store.store import Store

_LOG = logging.getLogger(__name__)

WAIT_S = 1.0  # a page that says nothing for longer looks broken
NO_STORE = "This agent was started without the learner's store."
NO_TABLES = "The store is empty so far. It is filled as soon as the learner runs."
NO_ANSWER = "The store has not answered yet."
BROKEN_ROW = "The store holds a row that this build cannot show; the agent's log has the reason."


class Sections:
    """The sections of one console."""

    def __init__(
        self,
        service: Service,
        store: Store | None,
        log: Log | None,
        *,
        wait_s: float = WAIT_S,
        keep_days: int | None = None,
    ) -> None:
        """Read nothing yet.

        wait_s: how long a page waits for store and log, in seconds
        keep_days: how long the log keeps what is said; None: not known
        """
        self._service, self._store, self._wait_s = service, store, wait_s
        self._keep_days = keep_days
        self._sections, self._figures = of_store(), LogFigures(log)
        self._of_log = Reading[Figures]("console-log")
        self._of_store = Reading[dict[str, Value]]("console-store")

    async def read(self) -> dict[str, str]:
        """Read all, each as JSON text."""
        found = {name: read(self._service) for name, read in OF_AGENT.items()}
        found |= await self.of_store()
        return {name: json.dumps(value, ensure_ascii=False) for name, value in found.items()}

    async def of_store(self) -> dict[str, Value]:
        """Read what the store tells of the served lines, or only what is wrong with it."""
        if self._store is None:
            return _trouble(NO_STORE)
        serving = self._service.status().serving()
        named = {state[name] for state in serving.values() for name in ("version", "previous")}
        ends_s = time.monotonic() + self._wait_s
        figures = await self._of_log.ask(self._figures.read, wait_s=self._wait_s / 2)
        ends, letters = figures or ({}, None)
        now_ms = int(time.time() * 1000)
        view = View(list(serving), named - {None}, ends, letters, now_ms, self._keep_days)
        read = partial(self._read, self._store, view)
        found = await self._of_store.ask(read, wait_s=ends_s - time.monotonic())
        return _trouble(NO_ANSWER) if found is None else found

    def close(self) -> None:
        """Begin no further reading."""
        self._of_log.close()
        self._of_store.close()

    def _read(self, store: Store, view: View) -> dict[str, Value]:
        try:
            with store.reading() as session:
                found = {name: read(session, view) for name, read in self._sections.items()}
            return {"store": {"ok": True, "message": ""}, **found}
        except (StreamsError, SQLAlchemyError) as cause:
            return _trouble(trouble_of(cause))
        except Exception:
            # A row that another build wrote must not take the serving version from the page.
            _LOG.exception("the store's rows cannot be shown")
            return _trouble(BROKEN_ROW)


def trouble_of(cause: Exception) -> str:
    """Say in a sentence why the store cannot be read."""
    text = str(cause)
    if isinstance(cause, StreamsError):
        return text[:1].upper() + text[1:]
    missing = "no such table" in text or "UndefinedTable" in text
    return NO_TABLES if missing else f"The store cannot be read: {text}"


def _trouble(message: str) -> dict[str, Value]:
    return {"store": {"ok": False, "message": message}}
