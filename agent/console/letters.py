"""Settles dead letters: a record is sent again where it came from, or given up, with who did it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp import web

from agent.console.admit import OPERATOR
from agent.console.roles import Route, for_role
from agent.console.write import ChangedError
from agent.errors import NotFoundError, UnavailableError
from streams.errors import ConflictError, StreamsError
from streams.log import dead_letters
from streams.log.contract import Log

_VERBS: Final = {"redrive": dead_letters.redrive, "drop": dead_letters.drop}


class Letters:
    """The handlers; whether an operator may is proved before (agent.console.admit)."""

    def __init__(self, log: Log | None, *, changed: Callable[[], None]) -> None:
        """Take the log, and whom to tell when a letter was settled."""
        self._log, self._changed = log, changed

    def routes(self) -> list[Route]:
        """One route a verb."""
        return for_role(
            "operator",
            [
                web.post(f"/operator/dead-letters/{{letter}}/{verb}", partial(self._settle, verb))
                for verb in _VERBS
            ],
        )

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
            raise ChangedError(str(cause)) from cause
        except StreamsError as cause:
            raise UnavailableError(str(cause)) from cause
        finally:
            self._changed()
        return web.json_response({"letter": letter.id, "verb": verb})
