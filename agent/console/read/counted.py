"""Counts over all turns of some lines, made once a minute: a page asks for them twice a second."""

from collections.abc import Callable, Collection
from typing import Final

from sqlmodel import Session

from agent.console.read.view import View
from streams.records import Json

KEEP_MS: Final = 60_000

Count = Callable[[Session, Collection[str]], Json]


class Counted:
    """A count that is up to a minute old. It quotes nobody."""

    def __init__(self, count: Count) -> None:
        """Count nothing yet."""
        self._count = count
        self._known: dict[frozenset[str], tuple[int, Json]] = {}  # by lines: when, what

    def read(self, session: Session, view: View) -> Json:
        """Return what there is of these lines."""
        lines = frozenset(view.lines)
        fresh = {
            key: known
            for key, known in self._known.items()
            if 0 <= view.now_ms - known[0] < KEEP_MS
        }
        if lines not in fresh:
            fresh[lines] = view.now_ms, self._count(session, view.lines)
        self._known = fresh
        return fresh[lines][1]
