"""The agent's HTTP API: each route as the steps that it takes.

    POST /v1/chat/completions          OpenAI's Chat Completions: answer, whole or streamed
    POST /v1/messages                  Anthropic's Messages; /v1/messages/count_tokens
    POST /v1/completions               OpenAI's older Completions: a text continued as it stands
    GET  /v1/models, /v1/models/{id}   what can be asked for
    PUT  /v1/feedback/{response_id}    what somebody says outright of a reply
    GET  /health                       this process lives
    GET  /health/ready                 it takes requests; the body says why not
    GET  /metrics                      Prometheus
    GET  /                             the chat page

What begins with /v1 is there without it, too. Knows the order of the steps; each step is a module
of its own.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from agent import chat
from agent.api.caller import Caller
from agent.api.chat.surface import Chat
from agent.api.completions.surface import Completions
from agent.api.feedback import kept, read_feedback
from agent.api.messages.errors import anthropic_error
from agent.api.messages.request import read_count
from agent.api.messages.surface import Messages, counted_ask
from agent.api.models import Models
from agent.api.send import send_stream, send_whole
from agent.api.surface import Surface
from agent.http import edge, limits, names, origins
from agent.service import AgentService
from agent.turn.origin import origin_of
from agent.watch.metrics import CONTENT_TYPE

SERVICE = web.AppKey("service", AgentService)
VERSION_HEADER = "anthropic-version"  # every client of that API sends it
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(service: AgentService) -> web.Application:
    """Assemble the API of a running agent."""
    app = web.Application(
        middlewares=[
            edge.measure(service.metrics),
            edge.answer_errors(_errors_of),
            origins.keep_out(service.settings),
        ],
        client_max_size=service.settings.max_body_bytes,
    )
    app[SERVICE] = service
    app.on_response_prepare.extend(
        [
            names.tell_name,
            service.limits.tell_standing,
            origins.allow_origins(service.settings),
        ]
    )
    app.add_routes(
        [
            *_routes("POST", "/chat/completions", replies_of(Chat())),
            *_routes("POST", "/completions", replies_of(Completions())),
            *_routes("POST", "/messages", replies_of(Messages())),
            *_routes("POST", "/messages/count_tokens", count_tokens),
            *_routes("GET", "/models", list_models),
            *_routes("GET", "/models/{id:.+}", show_model),
            *_routes("PUT", "/feedback/{response_id}", take_feedback),
            web.get("/health", show_alive),
            web.get("/health/ready", show_ready),
            web.get("/metrics", show_metrics),
            *chat.routes(),
        ]
    )
    return app


def _routes(method: str, path: str, handler: Handler) -> list[web.RouteDef]:
    """A route with and without /v1; where GET is, HEAD is."""
    route = web.get if method == "GET" else web.post if method == "POST" else web.put
    return [route(f"/v1{path}", handler), route(path, handler)]


def replies_of(surface: Surface[Any]) -> Handler:
    """The handler of an API that answers with replies."""

    async def answer(request: web.Request) -> web.StreamResponse:
        """Answer one request; it is recorded after its last byte."""
        service, began_s = request.app[SERVICE], time.perf_counter()
        principal = admit(request)
        body = await edge.read_body(request)
        call = surface.read(body)
        service.prove_serving()
        caller = caller_of(request, principal, body)
        asks = [await service.render(ask) for ask in await surface.asks(call, caller)]
        with (
            service.limits.hold_replies(principal, sum(len(ask.samplings) for ask in asks)),
            service.answer(asks, prefix=surface.id_prefix, began_s=began_s) as answer,
        ):
            shape = surface.shape(answer, call)
            if not call.stream:
                return await send_whole(request, answer, shape)
            keep_alive_s = service.settings.keep_alive_s
            return await send_stream(request, answer, shape, keep_alive_s=keep_alive_s)

    return answer


def admit(request: web.Request) -> str:
    """Prove the key of a request, count it, and return its principal.

    raises: KeyRefusedError, BusyError
    """
    service = request.app[SERVICE]
    principal = service.keys.principal(request.headers)
    request[limits.PRINCIPAL] = principal
    service.limits.count_request(principal)
    return principal


def caller_of(request: web.Request, principal: str, body: bytes) -> Caller:
    """Say who asks, and what it may choose from. body: JSON that has been read."""
    service, origin = request.app[SERVICE], origin_of(request.headers, body, principal)
    return Caller(principal, request.headers, service.settings, models(service), origin)


def models(service: AgentService) -> Models:
    """What can be asked for now."""
    following, settings = service.following(), service.settings
    return Models(
        line=following.line,
        base=service.base,
        aliases=settings.aliases,
        knows=service.knows,
        context_tokens=settings.context_tokens,
        since_s=service.started_s,
    )


async def count_tokens(request: web.Request) -> web.Response:
    """Count the tokens of a conversation, as the model would read it."""
    service, principal = request.app[SERVICE], admit(request)
    body = await edge.read_body(request)
    ask = counted_ask(read_count(body), caller_of(request, principal, body))
    return web.json_response({"input_tokens": await service.count(ask)})


def _errors_of(request: web.Request) -> edge.ErrorShape:
    """The shape of errors of the API that is asked: Anthropic's where its clients ask."""
    path = request.path.removeprefix("/v1")
    ours = path == "/messages" or path.startswith("/messages/")
    return anthropic_error if ours or VERSION_HEADER in request.headers else edge.openai_error


async def take_feedback(request: web.Request) -> web.Response:
    """Keep what somebody says of a reply; only its principal may."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = admit(request)
    rating = read_feedback(await edge.read_body(request))
    session = service.ids.session(response_id, principal=principal)
    record = await service.recorder.feedback(
        response_id, rating, principal=principal, session=session
    )
    return web.json_response(kept(record))


async def list_models(request: web.Request) -> web.Response:
    """List what can be asked for."""
    service = request.app[SERVICE]
    service.keys.principal(request.headers)
    return web.json_response(models(service).all())


async def show_model(request: web.Request) -> web.Response:
    """Show one of the models."""
    service = request.app[SERVICE]
    service.keys.principal(request.headers)
    return web.json_response(models(service).one(request.match_info["id"]))


async def show_alive(_: web.Request) -> web.Response:
    """Show that this process lives and its event loop turns."""
    return web.json_response({"status": "alive"})


async def show_ready(request: web.Request) -> web.Response:
    """Show whether this agent takes requests, and what is not as it should be."""
    ready, body = request.app[SERVICE].status().readiness()
    return web.json_response(body, status=200 if ready else 503)


async def show_metrics(request: web.Request) -> web.Response:
    """Show the metrics in Prometheus's text format."""
    text = request.app[SERVICE].metrics.text()
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
