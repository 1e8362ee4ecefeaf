"""Settles dead letters: a record is sent again where it came from, or given up, with who did it."""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web
from typing_extensions import TypedDict

from agent.api.openai import ErrorBody
from agent.api.operation import ANY_ERROR, Operation
from agent.console.access.admit import OPERATOR
from agent.console.access.roles import Route, operations
from agent.errors import NotFoundError, NotNowError, UnavailableError
from streams.errors import ConflictError, StreamsError
from streams.log import dead_letters
from streams.log.contract import Log

_VERBS: Final = {"redrive": dead_letters.redrive, "drop": dead_letters.drop}
_SUMMARIES: Final = {
    "redrive": "Send the record of a dead letter again where it came from",
    "drop": "Give the record of a dead letter up",
}


class Settled(TypedDict):
    """A dead letter that is closed, and how."""

    letter: str
    verb: str


class Letters:
    """The handlers; whether an operator may is proved before (agent.console.access.admit)."""

    def __init__(self, log: Log | None, *, changed: Callable[[], None]) -> None:
        """Take the log, and whom to tell when a letter was settled."""
        self._log, self._changed = log, changed

    def routes(self) -> list[Route]:
        """One route a verb."""
        return [route for verb in _VERBS for route in operations("operator", self._told(verb))]

    def _told(self, verb: str) -> Operation:
        return Operation(
            "POST", f"/operator/dead-letters/{{letter}}/{verb}", partial(self._settle, verb),
            _SUMMARIES[verb], "Changes", answer=Settled, error=ErrorBody, versioned=False,
            keyed=True, errors=(*ANY_ERROR, HTTPStatus.CONFLICT),
        )  # fmt: skip

    async def _settle(self, verb: str, request: web.Request) -> web.Response:
        if self._log is None:
            raise UnavailableError("this console was started without the log")
        who = request[OPERATOR].name
        settle = partial(_VERBS[verb], self._log, request.match_info["letter"], who=who)
        try:
            letter = await asyncio.to_thread(settle)
        except KeyError as cause:
            raise NotFoundError(str(cause.args[0]), param="letter") from cause
        except ConflictError as cause:
            raise NotNowError(str(cause)) from cause
        except StreamsError as cause:
            raise UnavailableError(str(cause)) from cause
        finally:
            self._changed()
        return web.json_response({"letter": letter.id, "verb": verb})
