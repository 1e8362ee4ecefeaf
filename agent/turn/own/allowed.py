"""Remembers what came of calls that somebody allowed, so that each is made once.

A client whose request came to nothing, as the server was full, sends it again, what was allowed
with it: then the results are those of the first time. The same request sent twice waits for the one
call, and one whose client went away meanwhile is made to its end, as nobody knows how far it came.
What is remembered is this process's own and bounded; a call that was not made is not remembered.

Knows nothing of HTTP, or of where tools are.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from agent.tools.served import Result

REMEMBERED: Final = 500  # results, each as large as the settings let it be
_NOT_MADE: Final = ("away", "left", "unapproved")

_Key = tuple[str, str]  # principal, id of the call


class Allowed:
    """The newest results of calls that were allowed. Any thread may let go of them."""

    def __init__(self) -> None:
        """Start with none."""
        self._results: OrderedDict[_Key, Result] = OrderedDict()
        self._making: dict[_Key, asyncio.Task[Result]] = {}

    async def once(
        self, principal: str, call_id: str, make: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Return what came of a principal's call; it is made where it was not, or too long ago.

        make: makes the call, within a time of its own
        """
        key = (principal, call_id)
        if (result := self._results.get(key)) is not None:
            return result
        if (making := self._making.get(key)) is None:
            making = self._making[key] = asyncio.ensure_future(self._made(key, make))
        return await asyncio.shield(making)

    def forget(self, principal: str) -> None:
        """Let go of a principal's results, those that are on their way too."""
        for kept in (self._results, self._making):
            for key in [key for key in list(kept) if key[0] == principal]:
                kept.pop(key, None)

    async def _made(self, key: _Key, make: Callable[[], Awaitable[Result]]) -> Result:
        try:
            result = await make()
            if self._is_wanted(key) and result.outcome not in _NOT_MADE:
                self._results[key] = result
                while len(self._results) > REMEMBERED:
                    self._results.popitem(last=False)
            return result
        finally:
            if self._is_wanted(key):
                self._making.pop(key, None)

    def _is_wanted(self, key: _Key) -> bool:
        """Whether the call that runs here was not forgotten meanwhile."""
        return self._making.get(key) is asyncio.current_task()
