"""Keeps foreign pages out, and lets pages of named origins in (CORS).

A browser tells the origin of a page that calls us. Ours may; others only when settings name them:
otherwise any page that somebody opens could talk to an agent on their machine, and teach it. Where
no key is asked for on a loopback address, the page's own name must be loopback too, so that a name
that was made to resolve here gains nothing (DNS rebinding). To a page of such a name a GET is one
of its own origin, and has no Origin; so what is somebody's own is told under a loopback name only.

Knows nothing of what the routes do.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agent.errors import ForbiddenError
from agent.settings import AgentSettings, is_loopback

PREFLIGHT_S: Final = 7200  # browsers keep an answer no longer (Chrome)
METHODS: Final = "GET, HEAD, POST, PUT, DELETE"
# What a page may send: our own headers, what names its conversation or its trace, and those of the
# SDKs that run in browsers. They set User-Agent, too: Chrome drops it, others ask whether they may.
_HEADERS: Final = (
    "Authorization", "Content-Type", "X-Api-Key", "X-Session-Id", "X-Turn-Type", "X-Learn",
    "X-Server-Tools", "X-Request-Id", "X-Client-Request-Id", "Idempotency-Key", "User-Agent",
    "Traceparent", "Tracestate", "X-Conversation-Id", "X-Chat-Id", "X-OpenCode-Session",
    "X-OpenWebUI-Chat-Id", "X-OpenWebUI-Message-Id",
)  # fmt: skip
_PREFIXES: Final = ("x-stainless-", "anthropic-", "openai-")
# What a page may read beside the body.
_READABLE: Final = (
    "X-Quickset-Version", "X-Quickset-Truncated", "X-Request-Id", "Request-Id", "Retry-After",
    "X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Requests", "X-RateLimit-Reset-Requests",
)  # fmt: skip
# What is told of somebody: wishes, stored replies, feedback. The rest of GET is the same for all.
_OWN: Final = ("/notes", "/responses/", "/feedback/")


def keep_out(settings: AgentSettings) -> Middleware:
    """Refuse what a page of another origin sends, unless settings name the origin."""

    @web.middleware
    async def kept(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or request.method in ("GET", "HEAD"):
            own = request.path.removeprefix("/v1").startswith(_OWN)
            if own and not _may_name(name_in(request.host), settings):
                raise ForbiddenError(
                    f"what is somebody's own is not told under this name: ask {settings.host}"
                    " instead, or let the server ask for keys (agent.keys)",
                    code="host_not_allowed",
                )
            return await handler(request)
        if origin in settings.origins:
            if request.method == "OPTIONS":
                return _preflight(request)
            return await handler(request)
        told = origin.partition("://")[2].lower()
        if told != request.host.lower() or not _may_name(name_in(told), settings):
            raise ForbiddenError(
                f"pages of {origin} may not call this server: name the origin in agent.origins",
                code="origin_not_allowed",
            )
        return await handler(request)

    return kept


def allow_origins(
    settings: AgentSettings,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Let pages of named origins read responses, errors too; for on_response_prepare."""

    async def allow(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        origin = request.headers.get("Origin")
        if settings.origins:
            response.headers["Vary"] = "Origin"
        if origin is not None and origin in settings.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = ", ".join(_READABLE)

    return allow


def name_in(host: str) -> str | None:
    """Return the name or address in a Host header; None: there is none.

    >>> name_in("Example.org:80"), name_in("[::1]:80"), name_in("[::1")
    ('example.org', '::1', None)
    """
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # such as half an IPv6 address
        return None


def _preflight(request: web.Request) -> web.Response:
    """Allow our methods and headers, and of what is asked for what an SDK sends."""
    asked = request.headers.get("Access-Control-Request-Headers", "")
    names = (name.strip().lower() for name in asked.split(","))
    sent = [name for name in names if name.startswith(_PREFIXES) and name.isascii()]
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": ", ".join([*_HEADERS, *sent]),
        "Access-Control-Max-Age": str(PREFLIGHT_S),
        "Vary": "Origin, Access-Control-Request-Headers",
    }
    return web.Response(status=204, headers=headers)


def _may_name(name: str | None, settings: AgentSettings) -> bool:
    if settings.keys or not is_loopback(settings.host):
        return True
    return is_loopback(name or "") or name == settings.host
