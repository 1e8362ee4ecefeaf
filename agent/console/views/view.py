"""What a page is: its address, its name, and the two readings that its data comes from.

Knows nothing of HTTP, nor of how the data is shown.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlmodel import Session

from agent.console.ports import Insight, Service
from agent.errors import InvalidError
from streams.log.contract import Log
from streams.records import Json

ROWS: Final = 25  # of a list on one page: two screens of a laptop
MAX_ROWS: Final = 500  # that a program may ask for at once


OfLog = Callable[[Callable[[Log | None], Json]], Awaitable[Json | None]]


async def unknown_log(_: Callable[[Log | None], Json]) -> Json | None:
    """Read nothing: the log does not answer."""
    return None


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a view.

    sections: the console's shared reading (agent.console.read), name → JSON text
    of_log: reads the log in a thread; None when it does not answer in time
    path: the variable parts of the address; query: what stands behind its question mark
    """

    service: Service
    insight: Insight
    line: str
    now_ms: int
    sections: Mapping[str, str]
    of_log: OfLog = unknown_log
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def section(self, name: str) -> Any:
        """Read one section of the shared reading; None when it could not be read."""
        return json.loads(self.sections[name]) if name in self.sections else None

    def of_line(self, name: str) -> list[Json]:
        """Read the entries of a section that are of this line; none when it could not be read."""
        return [row for row in self.section(name) or [] if row["line"] == self.line]

    @property
    def changes(self) -> list[Json]:
        """The last changes of the line, newest first: the store's, and what is not there yet."""
        stored = self.of_line("rollouts")
        return [*self.changes_after(stored[0]["seq"] if stored else 0), *stored]

    def changes_after(self, seq: int) -> list[Json]:
        """The changes after this one that the agent has followed, newest first."""
        return [row for row in self.of_line("decided") if row["seq"] > seq]

    @property
    def serving(self) -> Json:
        """What serves the line."""
        state: Json = self.section("serving")[self.line]
        return state

    @property
    def rows(self) -> int:
        """How many entries of a list are wanted. Raises: InvalidError."""
        return self.number("limit", ROWS, least=1, most=MAX_ROWS)

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**53) -> int:
        """Read a whole number of the query. Raises: InvalidError."""
        text = self.query.get(name, "")
        if not text:
            return default
        digits = text.lstrip("0")[:17] or "0"
        if not text.isascii() or not text.isdigit() or not least <= int(digits) <= most:
            raise InvalidError(f"{name} must be a whole number from {least} to {most}", param=name)
        return int(digits)

    @property
    def cursor(self) -> tuple[int, str] | None:
        """Where a list goes on: after the entry of this moment and id. Raises: InvalidError."""
        ms, _, id = self.query.get("after", "").partition("~")
        if not ms:
            return None
        if not ms.isascii() or not ms.isdigit() or len(ms) > 17 or not id:
            raise InvalidError("after must be what a page gave as its next", param="after")
        return int(ms), id

    def text(self, name: str) -> str:
        """Read a text of the query, without the space around it."""
        return self.query.get(name, "").strip()


def cursor_of(entry: Json) -> str:
    """Return what to ask for as ?after= to go on behind an entry.

    >>> cursor_of({"created_ms": 5, "id": "r1"})
    '5~r1'
    """
    return f"{entry['created_ms']}~{entry['id']}"


def nothing(_: Ask) -> Json:
    """Read nothing."""
    return {}


def nothing_stored(_session: Session, _: Ask) -> Json:
    """Read nothing of the store."""
    return {}


async def unchanged(_: Ask, data: Json) -> Json:
    """Return the data as it is."""
    return data


@dataclass(frozen=True, slots=True)
class View:
    """A page of the console.

    path: its address; what programs ask for stands below /api
    of_agent: what is known without the store, from memory and the shared reading
    of_store: what the store tells; left out while it is away
    finish: what takes the agent's own work, such as words for tokens
    key: the letter that leads there, after a g; empty: the page has no place in the menu
    """

    name: str
    path: str
    title: str
    of_agent: Callable[[Ask], Json] = nothing
    of_store: Callable[[Session, Ask], Json] = nothing_stored
    finish: Callable[[Ask, Json], Awaitable[Json]] = unchanged
    key: str = ""
    purpose: str = ""
