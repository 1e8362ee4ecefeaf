"""The console's pages and the same as JSON: one address a view, one reading, two ways to show it.

    GET /…        a page, made here of the view's data
    GET /api/…    the data itself, for programs
    GET /live     marks of what changed, so that a page asks for it anew

A page is shown whatever is away: what serves comes from memory, and what is wrong with the store
stands above it.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiohttp import web

from agent.console import live
from agent.console.access.access import Access, Operator
from agent.console.access.admit import OPERATOR
from agent.console.access.roles import Route, for_role
from agent.console.asking import Asking, Workers
from agent.console.ports import Insight, Service
from agent.console.render import Pages
from agent.console.views import (
    audit,
    conversations,
    generations,
    lessons,
    now,
    rollout,
    safety,
    settings,
    streams,
    tools,
    versions,
)
from agent.console.views.one import turn, version
from agent.console.views.view import Ask, View
from agent.errors import ApiError, InvalidError
from streams.log.contract import Log
from streams.records import Json

# In the order of the menu.
VIEWS: Final[tuple[View, ...]] = (
    now.VIEW,
    rollout.VIEW,
    versions.VIEW,
    version.VIEW,
    generations.VIEW,
    lessons.VIEW,
    conversations.VIEW,
    turn.VIEW,
    safety.VIEW,
    streams.VIEW,
    tools.VIEW,
    audit.VIEW,
    settings.VIEW,
)
MENU: Final = tuple(view for view in VIEWS if view.key)


def api_path(view: View) -> str:
    """Where programs find what a page shows.

    >>> api_path(now.VIEW), api_path(version.VIEW)
    ('/api/now', '/api/versions/{version}')
    """
    return f"/api{view.path if view.path != '/' else '/now'}"


class Site:
    """The pages of one console."""

    def __init__(
        self,
        service: Service,
        access: Access,
        shared: live.Shared,
        asking: Asking,
        *,
        insight: Insight,
        log: Log | None,
        of_log: Workers,
        clock_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        """Serve the pages of an agent.

        shared: the reading of sections that all pages share
        asking: reads the store for one page
        of_log: threads that read the log
        """
        self._insight, self._log, self._of_log = insight, log, of_log
        self._service, self._access, self._shared = service, access, shared
        self._asking, self._clock_ms = asking, clock_ms
        self._pages = Pages()

    def routes(self) -> list[Route]:
        """The routes of every view, as a page and as JSON."""
        pages = [web.get(view.path, partial(self._page, view)) for view in VIEWS]
        programs = [web.get(api_path(view), partial(self._json, view)) for view in VIEWS]
        parts = [
            web.get("/versions/{version}/change", self._change),
            web.get("/api/versions/{version}/change", self._change_json),
        ]
        return [
            *for_role("viewer", [*pages, *programs, *parts]),
            *for_role(None, [web.get("/login", self._login)]),
        ]

    async def _page(self, view: View, request: web.Request) -> web.Response:
        """Show a view, or say on a page why it cannot be shown."""
        ask = await self._ask(request)
        self._service.metrics.console_pages.labels(view.name, "page").inc()
        try:
            name, values, status = view.name, await self._data(view, ask), 200
        except ApiError as error:
            name, values, status = "error", {"message": error.message, "trouble": ""}, error.status
        around = self._around(view, ask, request[OPERATOR]) | {"wrong": self._of_line(request)[1]}
        return _html(self._pages.html(name, around | values), status)

    async def _json(self, view: View, request: web.Request) -> web.Response:
        self._prove_query(request)
        self._service.metrics.console_pages.labels(view.name, "json").inc()
        return web.json_response(await self._data(view, await self._ask(request)))

    async def _data(self, view: View, ask: Ask) -> Json:
        data = view.of_agent(ask)
        stored, trouble = await self._asking.ask(partial(_stored, view, ask))
        return await view.finish(ask, data | stored | {"trouble": trouble})

    async def _ask(self, request: web.Request) -> Ask:
        sections = await self._shared.sections()
        return Ask(
            service=self._service,
            insight=self._insight,
            line=self._of_line(request)[0],
            now_ms=self._clock_ms(),
            sections=sections,
            of_log=lambda read: self._of_log.ask(partial(read, self._log)),
            path=dict(request.match_info),
            query=dict(request.query),
        )

    def _of_line(self, request: web.Request) -> tuple[str, str]:
        """The line that is shown, the first where none is asked for, and why it is another one."""
        lines, asked = sorted(self._service.status().serving()), request.query.getall("line", [])
        if len(set(asked)) > 1:
            return lines[0], "The address asks for several lines: give one as ?line="
        unknown = next((line for line in asked if line and line not in lines), None)
        if unknown is not None:
            return lines[0], f"This agent serves no line {unknown[:100]!r}: give one of its own"
        return next(iter(filter(None, asked)), lines[0]), ""

    def _prove_query(self, request: web.Request) -> None:
        """Refuse what a program asks for and would not get. Raises: InvalidError."""
        names = [name for name, _ in request.query.items()]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise InvalidError(f"{doubled[:100]}: send it once", param=doubled[:100])
        if wrong := self._of_line(request)[1]:
            raise InvalidError(wrong, param="line")

    def _around(self, view: View, ask: Ask, operator: Operator) -> Json:
        """What every page has around it: the menu, what serves, and who is looking."""
        return {
            "view": view,
            "menu": MENU,
            "line": ask.line,
            "serving": ask.serving,
            "spool": ask.section("spool"),
            "operator": operator.name,
            "csrf": operator.csrf,
            "role": operator.role,
            "asks_for_key": self._access.asks_for_key,
            "now_ms": ask.now_ms,
            "marks": live.marks(ask.sections),
            "query": ask.query,
        }

    async def _change(self, request: web.Request) -> web.Response:
        """Show what a version changed: a part of its page, which comes when it is worked out."""
        try:
            values = await version.change(await self._ask(request))
        except ApiError as error:
            values = {"message": error.message}
        return _html(self._pages.html("change", values), 200)

    async def _change_json(self, request: web.Request) -> web.Response:
        self._prove_query(request)
        return web.json_response(await version.change(await self._ask(request)))

    async def _login(self, _: web.Request) -> web.Response:
        return _html(self._pages.html("login", {}), 200)


def _stored(view: View, ask: Ask, session: Any) -> Json:
    return view.of_store(session, ask)


def _html(text: str, status: int) -> web.Response:
    # A half of a surrogate pair is no text that can be sent; a client's words may hold one.
    body = text.encode("utf-8", "replace")
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8")
