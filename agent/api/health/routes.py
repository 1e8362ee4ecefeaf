"""The endpoints of health and metrics; they ask for no key, and tell states and numbers only."""

from http import HTTPStatus
from typing import Literal

from aiohttp import web
from typing_extensions import TypedDict

from agent.api.operation import Operation
from agent.api.serve import SERVICE
from agent.watch.metrics import CONTENT_TYPE

TAG = "Health"


class Alive(TypedDict):
    """Says that this process lives."""

    status: str


class ToolServerStanding(TypedDict):
    """How an MCP server of agent.tools is."""

    state: Literal["starting", "up", "away"]
    why: str | None
    tools: list[str]  # that can be called now


class Ready(TypedDict):
    """Whether requests are taken, and what is not as it should be."""

    status: str
    reasons: list[str]
    warnings: dict[str, str]
    tools: dict[str, ToolServerStanding]
    line: str
    version: str
    base: str


async def show_alive(_: web.Request) -> web.Response:
    """Show that this process lives and its event loop turns."""
    return web.json_response({"status": "alive"})


async def show_ready(request: web.Request) -> web.Response:
    """Show whether this agent takes requests, and what is not as it should be."""
    ready, body = request.app[SERVICE].status().readiness()
    return web.json_response(body, status=200 if ready else HTTPStatus.SERVICE_UNAVAILABLE)


async def show_metrics(request: web.Request) -> web.Response:
    """Show the metrics in Prometheus's text format."""
    text = await request.app[SERVICE].metrics.text()
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


OPERATIONS = (
    Operation(
        "GET",
        "/health",
        show_alive,
        "Show that this process lives",
        TAG,
        answer=Alive,
        error=None,
        errors=(),
        versioned=False,
    ),
    Operation(
        "GET",
        "/health/ready",
        show_ready,
        "Show whether it takes requests, and why not",
        TAG,
        answer=Ready,
        error=Ready,
        errors=(HTTPStatus.SERVICE_UNAVAILABLE,),
        versioned=False,
    ),
    Operation(
        "GET",
        "/metrics",
        show_metrics,
        "Show the metrics, for Prometheus",
        TAG,
        answer=None,
        error=None,
        errors=(),
        versioned=False,
    ),
)
