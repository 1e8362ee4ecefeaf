"""How SQLite finds what statements ask for: what is read whole, and what by an index."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine, event

# Tables that hold all that was ever said.
GROWING: Final = ("turns", "judgements", "seen")
# What every row of a line, or of its group, has alike.
_ALIKE: Final = ("line=?", "group=?")
_PLANNED: Final = re.compile(r"\s*(WITH|SELECT|UPDATE|DELETE|INSERT)")
_ALIKE_ROWID: Final = re.compile(r"rowid[<>]\?")
_ACCESS: Final = re.compile(
    r"(SCAN|SEARCH) (?:TABLE )?(\w+)"
    r"(?: USING (?:COVERING )?INDEX (\w+)| USING INTEGER PRIMARY KEY)?(?: \((.*)\))?"
)


@dataclass
class Plans:
    """The statements that were made, each with the plan that SQLite had for it."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def whole(self, *partial: str) -> list[str]:
        """Return the accesses that read all of a growing table, or all that a line has in it.

        partial: indexes that hold a few rows of many, which may be read whole
        """
        return [
            f"{step} <- {statement}"
            for statement, steps in self.found.items()
            for step in steps
            if _is_whole(step, partial)
        ]


def _is_whole(step: str, partial: tuple[str, ...]) -> bool:
    if "AUTOMATIC" in step:
        return True  # all is read for an index that is thrown away
    found = _ACCESS.match(step)
    if found is None or found[2] not in GROWING or found[3] in partial:
        return False
    if found[1] == "SEARCH" and found[4] is None:
        return False  # the first or the last of an index
    terms = found[4].split(" AND ") if found[4] else []
    return found[1] == "SCAN" or all(
        term in _ALIKE or _ALIKE_ROWID.fullmatch(term) for term in terms
    )


@contextmanager
def plans(engine: Engine) -> Iterator[Plans]:
    """Note the plan of whatever is asked of an SQLite database meanwhile."""
    noted = Plans()

    def note(_: Any, cursor: Any, statement: str, given: Any, __: Any, many: bool) -> None:
        if statement in noted.found or not _PLANNED.match(statement):
            return
        explain = cursor.connection.execute(
            f"EXPLAIN QUERY PLAN {statement}", given[0] if many else given
        )
        noted.found[statement] = [row[3] for row in explain]

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(engine, "before_cursor_execute", note)
