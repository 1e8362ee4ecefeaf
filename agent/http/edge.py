"""Guards the edge of the API: failures have OpenAI's shape, foreign pages stay out, all is counted.

A browser tells the origin of a page that calls us. Ours may; others only when settings name them:
otherwise any page that somebody opens could talk to an agent on their machine, and teach it. Where
no key is asked for on a loopback address, the page's own name must be loopback too, so that a name
that was made to resolve here gains nothing (DNS rebinding).

Knows nothing of what the routes do.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agent.errors import (
    ApiError,
    BrokenError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooLargeError,
)
from agent.settings import AgentSettings
from agent.watch.metrics import Metrics

BODY_S = 30.0  # to send a body of the largest size over a slow line; longer is not a request
CLIENT_GONE = 499  # nginx's word for it: counted, never sent
PREFLIGHT_S = 600

_LOG = logging.getLogger(__name__)


def measure(metrics: Metrics) -> Middleware:
    """Count every request by route and status, and time it."""

    @web.middleware
    async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        began_s, status = time.perf_counter(), CLIENT_GONE
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            metrics.requests.labels(route, str(status)).inc()
            metrics.request_s.labels(route).observe(time.perf_counter() - began_s)

    return measured


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in OpenAI's shape, and never with a trace."""
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return error_response(_named(request, error), error.status)
    except Exception:
        _LOG.exception("%s %s failed", request.method, request.path)
        return error_response(BrokenError("the server failed; its log has the reason"))


def keep_out(settings: AgentSettings) -> Middleware:
    """Refuse what a page of another origin sends, unless settings name the origin (CORS)."""

    @web.middleware
    async def kept(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or request.method in ("GET", "HEAD"):
            return await handler(request)
        if origin in settings.origins:
            if request.method == "OPTIONS":
                return web.Response(status=204, headers=_PREFLIGHT)
            return await handler(request)
        url = urlsplit(origin)
        if url.netloc.lower() != request.host.lower() or not _may_name(url.hostname, settings):
            raise ForbiddenError(
                f"pages of {origin} may not call this server: name the origin in agent.origins",
                code="origin_not_allowed",
            )
        return await handler(request)

    return kept


def allow_origins(
    settings: AgentSettings,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Let pages of named origins read responses; for on_response_prepare."""

    async def allow(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        origin = request.headers.get("Origin")
        if settings.origins:
            response.headers["Vary"] = "Origin"
        if origin is not None and origin in settings.origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "X-Quickset-Version"

    return allow


async def read_body(request: web.Request) -> bytes:
    """Read a request's body.

    raises: TooLargeError; InvalidError when it does not come, or is not what its encoding says
    """
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as cause:
        raise TooLargeError(
            f"the body is larger than {request.client_max_size} bytes: shorten it"
        ) from cause
    except TimeoutError:
        raise InvalidError(f"the body did not come within {BODY_S:.0f} seconds") from None
    except (web.RequestPayloadError, ValueError) as cause:
        raise InvalidError("the body cannot be decoded: check its Content-Encoding") from cause


_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, X-Session-Id, X-Turn-Type, X-Learn"
    ),
    "Access-Control-Max-Age": str(PREFLIGHT_S),
}


def _may_name(name: str | None, settings: AgentSettings) -> bool:
    if settings.keys or not is_loopback(settings.host):
        return True
    return is_loopback(name or "") or name == settings.host


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _named(request: web.Request, error: web.HTTPException) -> ApiError:
    """What aiohttp refused, in words."""
    if isinstance(error, web.HTTPNotFound):
        return NotFoundError(f"there is nothing at {request.path[:200]}", code="unknown_url")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return InvalidError(
            f"{request.method} is not allowed here: use {allowed}",
            code="method_not_allowed",
            headers={"Allow": allowed},
        )
    return InvalidError(error.reason)


def error_response(error: ApiError, status: int | None = None) -> web.Response:
    """An error in OpenAI's shape. status: none: the error's own."""
    return web.json_response(error.body(), status=status or error.status, headers=error.headers)
