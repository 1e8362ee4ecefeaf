"""The console: an application on its own port that shows operators the loop, and takes back.

Its pages are made on the server (agent.console.site), one a view; the same data is JSON below /api.
Programs that watch read everything at once (GET /operator/state), by section, or as it changes (GET
/operator/events). It needs the agent only: without broker and store it still shows what serves, and
takes it back.
"""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from agent.api.openai import ErrorBody
from agent.api.operation import Handler, Operation
from agent.console import live
from agent.console.access.access import LISTENS, Access
from agent.console.access.admit import OPERATOR, admit
from agent.console.access.roles import Route, for_role, operations
from agent.console.asking import Asking, Workers
from agent.console.document import described
from agent.console.forms import MAX_BODY_BYTES
from agent.console.letters import Letters
from agent.console.ports import Insight, NoInsight, Service
from agent.console.read.registry import LISTED
from agent.console.read.sections import WAIT_S, Sections
from agent.console.site import Site
from agent.console.write import Write
from agent.errors import (
    BusyError,
    NotFoundError,
    UnavailableError,
    UnknownVersionError,
)
from agent.http import edge, pages, sse
from agent.http.form import Query, read_query
from streams.clock import passed
from streams.log.contract import Log
from streams.records import Json
from streams.store.store import Store

_STATIC = Path(__file__).parent / "static"
# htmx puts parts of our own pages into a page, through the one policy that static/trust.js makes.
_HEADERS = pages.HEADERS | {
    "Content-Security-Policy": pages.HEADERS["Content-Security-Policy"].replace(
        "trusted-types 'none'", "trusted-types default"
    )
}

STALLED_S = 60.0  # a page that takes nothing for so long is gone, as a reader of a reply is
MAX_PAGES = 32  # open at once; each costs one comparison of strings an interval


def build_console(
    service: Service,
    store: Store | None,
    *,
    log: Log | None = None,
    insight: Insight | None = None,
    interval_s: float = live.INTERVAL_S,
    wait_s: float = WAIT_S,
    clock: Callable[[], float] = passed,
    stalled_s: float = STALLED_S,
    keep_days: int | None = None,
) -> web.Application:
    """Assemble the console of an agent.

    store: the learner's; None, or one that is away, costs the sections that come from it
    log: for the learner's lag and dead letters; None leaves them out
    insight: what can be told of the model; None: nothing
    interval_s: how often an open page looks for changes
    wait_s: how long a page waits for store and log, in seconds
    stalled_s: an open page that takes no byte for this long is gone
    keep_days: how long the log keeps what is said, to tell why nothing goes; None: not told
    raises: BindError when other machines could reach it and no operator key is set
    """
    access = Access(service, clock=clock)
    sections = Sections(service, store, log, wait_s=wait_s, keep_days=keep_days)
    shared = live.Shared(sections.read, interval_s=interval_s, clock=clock)
    asking, of_log = Asking(store, wait_s=wait_s), Workers("console-letters", wait_s=wait_s)
    site = Site(
        service, access, shared, asking, insight=insight or NoInsight(), log=log, of_log=of_log
    )
    read = Read(service, access, shared, clock=clock, stalled_s=stalled_s)
    routes = [
        *for_role(None, pages.files("/console", _STATIC)),
        *for_role(None, pages.shared_files()),
        *site.routes(),
        *read.routes(),
        *Write(service, access, changed=shared.forget).routes(),
        *Letters(log, changed=shared.forget).routes(),
    ]
    routes += described(routes)

    async def close(_: web.Application) -> None:
        read.closing.set()  # ends every stream, so that the server can stop at once
        for part in (sections, asking, of_log):
            part.close()

    app = web.Application(
        middlewares=[edge.answer_errors(), admit(access, routes)], client_max_size=MAX_BODY_BYTES
    )
    app.on_response_prepare.append(_set_headers)
    app.on_shutdown.append(close)
    app.add_routes([route.route for route in routes])
    return app


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    if not request.path.startswith(("/static/", "/console/")):
        response.headers.setdefault("Cache-Control", "no-store")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


class Read:
    """The handlers that show something."""

    def __init__(
        self,
        service: Service,
        access: Access,
        shared: live.Shared,
        *,
        clock: Callable[[], float],
        stalled_s: float,
    ) -> None:
        self._service, self._access, self._shared = service, access, shared
        self._clock, self._stalled_s = clock, stalled_s
        self._num_pages = 0
        self.closing = asyncio.Event()

    def routes(self) -> list[Route]:
        """The routes of the state, its sections, its changes and the digests."""
        section = f"/operator/{{section:{'|'.join(LISTED)}}}"
        events = partial(self._events, live.event)
        page = [web.get(LISTENS, partial(self._events, live.marked))]
        return [
            *for_role("viewer", [web.get("/operator/state", self._state), *page]),
            *operations("viewer", _told("/operator/events", events, EVENTS, answer=None)),
            *operations(
                "viewer",
                _told("/operator/versions/{version}/digest", self._digest, DIGEST, answer=Digest),
            ),
            *operations("viewer", _told(section, self._section, SECTION, query=SectionQuery)),
        ]

    async def _state(self, _: web.Request) -> web.Response:
        text = live.json_of(await self._shared.sections())
        return web.Response(text=text, content_type="application/json")

    async def _section(self, request: web.Request) -> web.Response:
        """One section, of one line if ?line= names one, cut to ?limit= entries."""
        name = request.match_info["section"]
        current = await self._shared.sections()
        if name not in current:
            raise UnavailableError(json.loads(current["store"])["message"])
        rows: list[Json] = json.loads(current[name])
        asked = read_query(SectionQuery, request.query)
        if asked.line is not None:
            rows = [row for row in rows if row["line"] == asked.line]
        return web.json_response({name: rows[: asked.limit]})

    async def _events(
        self, say: Callable[[live.Texts], bytes], request: web.Request
    ) -> web.StreamResponse:
        if self._num_pages >= MAX_PAGES:
            raise BusyError(f"{MAX_PAGES} pages are open already: close some")
        response = web.StreamResponse(headers=sse.HEADERS)
        operator = request[OPERATOR]

        def connected() -> bool:
            transport = request.transport
            here = transport is not None and not transport.is_closing()
            return here and self._access.lasts(operator)

        self._num_pages += 1
        try:
            await response.prepare(request)
            async for part in live.stream(
                self._shared,
                closing=self.closing,
                connected=connected,
                clock=self._clock,
                say=say,
            ):
                async with asyncio.timeout(self._stalled_s):
                    await response.write(part)
        except ConnectionError:
            pass  # the page was closed; there is nobody to tell
        except TimeoutError:
            edge.cut(request)  # or else the end of the response waits for it again
        finally:
            self._num_pages -= 1
        return response

    async def _digest(self, request: web.Request) -> web.Response:
        version = request.match_info["version"]
        try:
            digest = await self._service.digest_of(version)
        except UnknownVersionError:
            raise NotFoundError(f"the weights of {version!r} are not in memory") from None
        return web.json_response({"version": version, "sha256": digest})


EVENTS = "Follow what changes, as server-sent events; each has whole sections"
DIGEST = "Name the bits of a version that is in memory"
SECTION = "Read one section, newest first"


class Digest(TypedDict):
    """The bits of a version in memory: SHA-256 over its tensors, hex."""

    version: str
    sha256: str


class SectionQuery(Query):
    """Which entries of a section are asked for."""

    line: str | None = None
    limit: int | None = Field(None, ge=1, le=10_000)


def _told(path: str, handler: Handler, summary: str, **told: Any) -> Operation:
    told = {"answer": dict[str, Any]} | told
    return Operation(
        "GET", path, handler, summary, "Views", error=ErrorBody, versioned=False, keyed=True, **told
    )
