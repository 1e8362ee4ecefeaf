"""The agent's HTTP API: each route as the steps that it takes.

    POST /v1/chat/completions          answer, whole or streamed
    GET  /v1/models, /v1/models/{id}   what can be asked for
    PUT  /v1/feedback/{response_id}    what somebody says outright of a reply
    GET  /health                       this process lives
    GET  /health/ready                 it takes requests; the body says why not
    GET  /metrics                      Prometheus
    GET  /                             the chat page

Knows the order of the steps; each step is a module of its own.
"""

import time

from aiohttp import web

from agent import chat
from agent.api.chat import ask_of, read_chat
from agent.api.completion import Completion
from agent.api.feedback import kept, read_feedback
from agent.api.models import MODEL, model, prove_model
from agent.api.send import send_stream, send_whole
from agent.http import edge
from agent.service import AgentService
from agent.turn.origin import origin_of
from agent.watch.metrics import CONTENT_TYPE
from streams.records import Json

SERVICE = web.AppKey("service", AgentService)


def build_app(service: AgentService) -> web.Application:
    """Assemble the API of a running agent."""
    app = web.Application(
        middlewares=[
            edge.measure(service.metrics),
            edge.answer_errors,
            edge.keep_out(service.settings),
        ],
        client_max_size=service.settings.max_body_bytes,
    )
    app[SERVICE] = service
    app.on_response_prepare.append(edge.allow_origins(service.settings))
    app.add_routes(
        [
            web.post("/v1/chat/completions", complete_chat),
            web.get("/v1/models", list_models),
            web.get("/v1/models/{id:.+}", show_model),
            web.put("/v1/feedback/{response_id}", take_feedback),
            web.get("/health", show_alive),
            web.get("/health/ready", show_ready),
            web.get("/metrics", show_metrics),
            *chat.routes(),
        ]
    )
    return app


async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Answer one request; it is recorded after its last byte."""
    service, began_s = request.app[SERVICE], time.perf_counter()
    principal = service.keys.principal(request.headers.get("Authorization"))
    service.limits.count_request(principal)
    body = await edge.read_body(request)
    call = read_chat(body)
    service.prove_serving()
    prove_model(call.model, service.settings.line)
    origin = origin_of(request.headers, body, principal)
    ask = ask_of(
        call, service.settings, principal=principal, headers=request.headers, origin=origin
    )
    ask = await service.render(ask)
    with (
        service.limits.hold_replies(principal, len(ask.samplings)),
        service.answer(ask, began_s=began_s) as answer,
    ):
        send = send_stream if call.stream else send_whole
        return await send(request, answer, Completion(answer, call))


async def take_feedback(request: web.Request) -> web.Response:
    """Keep what somebody says of a reply; only its principal may."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = service.keys.principal(request.headers.get("Authorization"))
    service.limits.count_request(principal)
    rating = read_feedback(await edge.read_body(request))
    session = service.ids.session(response_id, principal=principal)
    record = await service.recorder.feedback(
        response_id, rating, principal=principal, session=session
    )
    return web.json_response(kept(record))


async def list_models(request: web.Request) -> web.Response:
    """List what can be asked for: the line that this agent serves."""
    service = request.app[SERVICE]
    service.keys.principal(request.headers.get("Authorization"))
    return web.json_response({"object": "list", "data": [_model(service, MODEL)]})


async def show_model(request: web.Request) -> web.Response:
    """Show one of the models."""
    service, name = request.app[SERVICE], request.match_info["id"]
    service.keys.principal(request.headers.get("Authorization"))
    prove_model(name, service.settings.line)
    return web.json_response(_model(service, name))


def _model(service: AgentService, name: str) -> Json:
    tokens, info = service.settings.context_tokens, service.status().info()
    return model(name, info, context_tokens=tokens, created_s=service.started_s)


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
