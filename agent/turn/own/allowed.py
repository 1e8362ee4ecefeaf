"""Remembers what came of calls that somebody allowed, so that each is made once.

A client whose request came to nothing, as the server was full, sends it again, what was allowed
with it: then the results are those of the first time. What is remembered is this process's own and
bounded; a call that was not made is not remembered.

Knows nothing of HTTP, or of where tools are.
"""

from collections import OrderedDict
from typing import Final

from agent.tools.served import Result

REMEMBERED: Final = 500  # results, each as large as the settings let it be
_NOT_MADE: Final = ("away", "left", "unapproved")


class Allowed:
    """The newest results of calls that were allowed. Any thread may use it."""

    def __init__(self) -> None:
        """Start with none."""
        self._results: OrderedDict[tuple[str, str], Result] = OrderedDict()

    def note(self, principal: str, call_id: str, result: Result) -> None:
        """Remember what came of a call, where it was made."""
        if result.outcome in _NOT_MADE:
            return
        self._results[principal, call_id] = result
        while len(self._results) > REMEMBERED:
            self._results.popitem(last=False)

    def find(self, principal: str, call_id: str) -> Result | None:
        """Return what came of a principal's call; None where it was not made, or too long ago."""
        return self._results.get((principal, call_id))

    def forget(self, principal: str) -> None:
        """Let go of a principal's results."""
        for key in [key for key in list(self._results) if key[0] == principal]:
            self._results.pop(key, None)
