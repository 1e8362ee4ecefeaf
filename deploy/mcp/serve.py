"""Runs the MCP server over stdio or streamable HTTP, and proves keys before the protocol begins.

Over HTTP the keys are the service's own (agent.keys): a request without one is answered 401, and
an address that other machines reach is not opened without them. On loopback the Host and Origin of
each request are checked, so that no web page reaches the server by a name of its own.
"""

import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.streamable_http import EventStore
from mcp.server.transport_security import TransportSecuritySettings

from agent.errors import BindError, KeyRefusedError
from agent.http.auth import Keys
from agent.settings import AgentSettings, is_loopback
from deploy.errors import PortInUseError
from deploy.mcp.calls import of_environment, of_request
from deploy.mcp.server import build_server
from deploy.mcp.service import HeldKeys, Service

PATH: Final = "/mcp"
LOCAL_HOSTS: Final = ("127.0.0.1:*", "localhost:*", "[::1]:*")
STOP_S: Final = 2  # for streams that do not end by themselves

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]


def serve_stdio(service: Service, keys: HeldKeys, *, operates: bool) -> None:
    """Serve on stdin and stdout until stdin ends. keys: of whoever started this process"""
    anyio.run(build_server(service, of_environment(keys), operates=operates).run_stdio_async)


def serve_http(
    service: Service, settings: AgentSettings, *, host: str, port: int, operates: bool
) -> None:
    """Serve streamable HTTP until told to stop.

    settings: of the agent, whose keys are asked for
    operates: whether the operators' verbs are offered; where operator keys are set, they always are
    raises: BindError, PortInUseError
    """
    prove_bind(settings, host)
    # A console that asks for no key is for this machine alone: no door to it for other machines.
    looks = is_loopback(host) or bool(settings.operator_keys)
    operates = looks and (operates or bool(settings.operator_keys))
    server = build_server(service, of_request, operates=operates, looks=looks)
    anyio.run(serve, build_app(server, settings, host), listen(host, port))


def prove_bind(settings: AgentSettings, host: str) -> None:
    """Refuse to be reached from other machines without keys. Raises: BindError."""
    if not is_loopback(host) and not settings.keys:
        raise BindError(
            f"MCP at {host} can be reached from other machines: set agent.keys first, "
            "or serve it at 127.0.0.1"
        )


def build_app(
    server: MCPServer[Any],
    settings: AgentSettings,
    host: str,
    *,
    event_store: EventStore | None = None,
    retry_ms: int | None = None,
) -> App:
    """The server as an application of HTTP, behind its keys.

    event_store: keeps what streams say, so that one that broke off can go on; None: none can
    retry_ms: after which a client comes back to such a stream
    """
    local = TransportSecuritySettings(
        allowed_hosts=list(LOCAL_HOSTS),
        allowed_origins=[f"http://{name}" for name in LOCAL_HOSTS],
    )
    # A page of another name is told from ours by the key that it lacks, where one is asked for.
    away = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        host=host,
        transport_security=local if is_loopback(host) else away,
        max_request_body_size=settings.max_body_bytes,
        event_store=event_store,
        retry_interval=retry_ms,
    )
    return _behind_keys(app, Keys(settings.keys))


def _behind_keys(app: App, keys: Keys) -> App:
    async def proved(scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        headers = {_text(name).title(): _text(value) for name, value in scope["headers"]}
        try:
            keys.principal(headers | {"x-api-key": headers.get("X-Api-Key", "")})
        except KeyRefusedError as refused:
            return await _refuse(send, refused.message)
        return await app(scope, receive, send)

    return proved


async def _refuse(send: Send, why: str) -> None:
    body = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(app: App, listening: socket.socket) -> None:
    """Serve an application on a socket until told to stop."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"MCP at http://{shown}:{port}{PATH}; Ctrl-C stops it", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=STOP_S, ws="none", lifespan="on"
    )
    await uvicorn.Server(config).serve(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 takes a free one. Raises: PortInUseError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as cause:
        listening.close()
        raise PortInUseError(
            f"cannot listen on {host}:{port} ({cause.strerror}): choose another with --mcp-port"
        ) from cause
    return listening


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")
