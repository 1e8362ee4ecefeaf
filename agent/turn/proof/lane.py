"""A place that one has at a time, for which callers wait in turns, key by key.

A key that asks often waits behind itself and not before others; where too many wait, it is the
longest row that is cut. Who stops waiting takes nobody's turn.

Knows nothing of what the place is for. Used from one event loop.
"""

import asyncio
from collections import deque
from typing import Final

from agent.errors import BusyError

_FULL: Final = "too many large or unusual forms of replies wait to be compiled: ask again"


class Lane:
    """Who has the place, and who waits for it."""

    def __init__(self, most: int) -> None:
        """Begin empty. most: that may wait"""
        self._most, self._taken = most, False
        self._rows: dict[str, deque[asyncio.Future[None]]] = {}  # by key, whose turn is next first

    async def enter(self, key: str, *, follows: bool = False) -> None:
        """Wait for the place, to be left by `leave`.

        follows: goes on with what was begun, for which there is always room
        raises: BusyError where too many wait
        """
        if not self._taken:
            self._taken = True
            return
        if not follows and sum(map(len, self._rows.values())) >= self._most:
            self._cut(key)
        turn = asyncio.get_running_loop().create_future()
        self._rows.setdefault(key, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # it came to be its turn meanwhile
            else:
                self._drop(key, turn)
            raise

    def leave(self) -> None:
        """Give the place to whose turn it is."""
        while self._rows:
            key = next(iter(self._rows))
            row = self._rows.pop(key)
            turn = row.popleft()
            if row:
                self._rows[key] = row  # behind the others
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False

    def _cut(self, key: str) -> None:
        """Make room for one of a key. Raises: BusyError when its own row is the longest."""
        longest = max(self._rows, key=lambda each: len(self._rows[each]))
        if len(self._rows[longest]) <= len(self._rows.get(key, ())) + 1:
            raise BusyError(_FULL)
        last = self._rows[longest][-1]
        self._drop(longest, last)
        if not last.done():  # it has gone, and is about to say so
            last.set_exception(BusyError(_FULL))

    def _drop(self, key: str, turn: asyncio.Future[None]) -> None:
        row = self._rows.get(key)
        if row is not None and turn in row:
            row.remove(turn)
            if not row:
                del self._rows[key]
