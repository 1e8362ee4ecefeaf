"""The console: an application on its own port that shows operators the loop, and rolls it back.

The page is static; everything in it comes as JSON, all of it at once (GET /operator/state), by
section, or pushed when it changes (GET /operator/events). The one write is the rollback. It needs
the agent only: without broker and store it still shows what serves, and takes it back.
"""

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from agent.console import answers, live
from agent.console.access import COOKIE, SESSION_S, Access, prove_same_origin
from agent.console.ports import Service
from agent.console.read.stored import StoredSections
from agent.errors import (
    BusyError,
    KeyRefusedError,
    NotFoundError,
    SwapError,
    UnavailableError,
    UnknownVersionError,
)
from agent.http import pages
from streams.errors import ConflictError
from streams.log.contract import Log
from streams.records import Json
from streams.store.store import Store

_FOLDER = Path(__file__).parent / "static"

MAX_PAGES = 32  # open at once; each costs one comparison of strings an interval
EVENTS = 100


def build_console(
    service: Service,
    store: Store | None,
    *,
    log: Log | None = None,
    interval_s: float = live.INTERVAL_S,
    clock: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Assemble the console of an agent.

    store: the learner's; None, or one that is away, costs the sections that come from it
    log: for the learner's lag; None leaves it out
    interval_s: how often an open page looks for changes
    raises: BindError when other machines could reach it and no operator key is set
    """
    console = Console(
        service,
        Access(service.settings, clock=clock),
        StoredSections(store, log),
        interval_s=interval_s,
        clock=clock,
    )
    app = web.Application(
        middlewares=[answers.answer_errors, console.admit], client_max_size=answers.MAX_BODY_BYTES
    )
    app.on_response_prepare.append(answers.set_headers)
    app.on_shutdown.append(console.close)
    app.add_routes(console.routes())
    return app


class Console:
    """The console's handlers and what they share."""

    def __init__(
        self,
        service: Service,
        access: Access,
        stored: StoredSections,
        *,
        interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._service = service
        self._access = access
        self._stored = stored
        self._clock = clock
        self._shared = live.Shared(self._read, interval_s=interval_s, clock=clock)
        self._closing = asyncio.Event()
        self._num_pages = 0

    def routes(self) -> list[web.RouteDef]:
        """Give every route of the console."""
        return [
            pages.page("/", _FOLDER / "index.html"),
            pages.page("/login", _FOLDER / "login.html"),
            *pages.files("/console", _FOLDER),
            *pages.shared_files(),
            web.get("/operator/session", self._session),
            web.post("/operator/session", self._log_in),
            web.delete("/operator/session", self._log_out),
            web.get("/operator/state", self._state),
            web.get("/operator/events", self._events),
            web.get("/operator/versions/{version}/digest", self._digest),
            web.get(
                "/operator/{section:versions|generations|turns|rollouts|forgotten}", self._section
            ),
            web.post("/operator/lines/{line}/rollback", self._rollback),
        ]

    async def close(self, _: web.Application) -> None:
        """End every stream, so that the server can stop at once."""
        self._closing.set()
        self._stored.close()

    @web.middleware
    async def admit(self, request: web.Request, handler: answers.Handler) -> web.StreamResponse:
        """Let in who may come in; send a browser without a session to the login page."""
        path = request.path
        if path.startswith(("/static/", "/console/")) or (
            self._access.asks_for_key and (path, request.method) in _OPEN
        ):
            return await handler(request)
        try:
            operator = self._access.who(request)
        except KeyRefusedError:
            if path == "/":
                raise web.HTTPSeeOther("/login") from None
            raise
        if request.method not in ("GET", "HEAD"):
            self._access.prove_write(request, operator)
        return await handler(request)

    async def _session(self, request: web.Request) -> web.Response:
        operator = self._access.who(request)
        return answers.json_of(
            {
                "operator": operator.name,
                "csrf": operator.csrf,
                "can_log_out": self._access.asks_for_key,
                "now_ms": int(time.time() * 1000),
            }
        )

    async def _log_in(self, request: web.Request) -> web.Response:
        if not self._access.asks_for_key:
            return answers.json_of({})
        if "Origin" in request.headers:
            prove_same_origin(request)
        asked = await answers.read_body(request, answers.LoginRequest)
        cookie = self._access.log_in(asked.key, request.remote)
        response = answers.json_of({})
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return response

    async def _log_out(self, request: web.Request) -> web.Response:
        self._access.log_out(request)
        response = answers.json_of({})
        response.del_cookie(COOKIE)
        return response

    async def _state(self, _: web.Request) -> web.Response:
        return answers.json_text(await self._shared.sections())

    async def _section(self, request: web.Request) -> web.Response:
        """Give one section, of one line if ?line= names one, cut to ?limit= entries."""
        name = request.match_info["section"]
        current = await self._shared.sections()
        if name not in current:
            raise UnavailableError(json.loads(current["store"])["message"])
        rows: list[Json] = json.loads(current[name])
        line = request.query.get("line")
        if line is not None:
            rows = [row for row in rows if row["line"] == line]
        return answers.json_of({name: rows[: answers.limit(request)]})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._num_pages >= MAX_PAGES:
            raise BusyError(f"{MAX_PAGES} pages are open already: close some")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        operator = self._access.who(request)

        def connected() -> bool:
            transport = request.transport
            here = transport is not None and not transport.is_closing()
            return here and operator.until_s >= self._clock()

        self._num_pages += 1
        try:
            await response.prepare(request)
            async for part in live.stream(
                self._shared, closing=self._closing, connected=connected, clock=self._clock
            ):
                await response.write(part)
        except ConnectionError:
            pass  # the page was closed; there is nobody to tell
        finally:
            self._num_pages -= 1
        return response

    async def _digest(self, request: web.Request) -> web.Response:
        version = request.match_info["version"]
        try:
            digest = await asyncio.to_thread(self._service.residents.digest_of, version)
        except (UnknownVersionError, KeyError):
            raise NotFoundError(f"the weights of {version!r} are not in memory") from None
        return answers.json_of({"version": version, "sha256": digest})

    async def _rollback(self, request: web.Request) -> web.Response:
        line = request.match_info["line"]
        if line not in self._service.serving():
            raise NotFoundError(f"this agent serves no line {line!r}", param="line")
        asked = await answers.read_body(request, answers.RollbackRequest)
        operator = self._access.who(request)
        try:
            rollout = await self._service.rollback(
                operator.name, asked.reason, expected_seq=asked.expected_seq
            )
        except (ConflictError, SwapError) as cause:
            raise answers.ChangedError(str(cause)) from cause
        finally:
            self._shared.forget()
        return answers.json_of({"rollout": rollout.model_dump(mode="json")})

    async def _read(self) -> live.Sections:
        serving = {line: dict(state) for line, state in self._service.serving().items()}
        named = {state[name] for state in serving.values() for name in ("version", "previous")}
        stored = await self._stored.read(list(serving), named - {None})
        happened = [dataclasses.asdict(event) for event in self._service.events][-EVENTS:]
        spool = dict(self._service.spool())
        current = {"serving": serving, "spool": spool, "events": happened[::-1], **stored}
        return {name: json.dumps(value, ensure_ascii=False) for name, value in current.items()}


_OPEN = {("/login", "GET"), ("/login", "HEAD"), ("/operator/session", "POST")}
