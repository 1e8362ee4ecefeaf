"""Settles dead letters: sends a record again where it came from, or gives it up, with who did it."""

from collections.abc import Callable
from functools import partial
from typing import Final

import asyncio

from aiohttp import web

from agent.console.access import Access
from agent.console.write import ChangedError
from agent.errors import NotFoundError, UnavailableError
from streams.errors import ConflictError, StreamsError
from streams.log import dead_letters
from streams.log.contract import Log

_VERBS: Final = {"redrive": dead_letters.redrive, "drop": dead_letters.drop}


class Letters:
    """The handlers that settle dead letters; whether they may is proved before (app.admit)."""

    def __init__(self, log: Log | None, access: Access, *, changed: Callable[[], None]) -> None:
        """Take the log, and whom to tell when a letter was settled."""
        self._log, self._access, self._changed = log, access, changed

    def routes(self) -> list[web.RouteDef]:
        """One route a verb."""
        return [
            web.post(f"/operator/dead-letters/{{letter}}/{verb}", partial(self._settle, verb))
            for verb in _VERBS
        ]

    async def _settle(self, verb: str, request: web.Request) -> web.Response:
        if self._log is None:
            raise UnavailableError("this console was started without the log")
        who = self._access.operator_of(request).name
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
