"""The agent's HTTP API: each route as the steps that it takes.

    POST /v1/chat/completions          answer, whole or streamed
    GET  /v1/models, /v1/models/{id}   what can be asked for
    PUT  /v1/feedback/{response_id}    what somebody thinks of an answer
    GET  /health                       this process lives
    GET  /health/ready                 it takes requests; the body says why not
    GET  /metrics                      Prometheus
    GET  /                             the chat page

Knows the order of the steps; each step is a module of its own.
"""

import time

from aiohttp import web

from agent import chat
from agent.api.chat import read_chat, read_feedback
from agent.api.send import send_stream, send_whole
from agent.http import edge
from agent.service import AgentService
from agent.turn.sessions import recognise
from agent.watch.metrics import CONTENT_TYPE

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
    call = read_chat(await edge.read_body(request))
    service.prove_serving()
    service.prove_model(call.model)
    asked = await service.ask(call)
    occasion = recognise(asked.messages, request.headers, principal=principal, store=call.store)
    with (
        service.limits.hold_replies(principal, len(asked.sampling)),
        service.answer(call, asked, occasion, began_s=began_s) as answer,
    ):
        if call.stream:
            return await send_stream(request, answer)
        return await send_whole(request, answer)


async def take_feedback(request: web.Request) -> web.Response:
    """Keep a verdict on an answer; only whom it was given to may give one."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = service.keys.principal(request.headers.get("Authorization"))
    service.limits.count_request(principal)
    verdict = read_feedback(await edge.read_body(request))
    session = service.ids.session(response_id, principal=principal)
    kept = await service.recorder.feedback(
        response_id, verdict, principal=principal, session=session
    )
    return web.json_response(
        {
            "id": kept.id,
            "object": "feedback",
            "response_id": response_id,
            "score": kept.score,
            "hint": kept.hint,
            "comment": kept.comment,
            "created": kept.created_ms // 1000,
        }
    )


async def list_models(request: web.Request) -> web.Response:
    """List what can be asked for: the line that this agent serves."""
    service = request.app[SERVICE]
    service.keys.principal(request.headers.get("Authorization"))
    return web.json_response({"object": "list", "data": service.models()})


async def show_model(request: web.Request) -> web.Response:
    """Show one of the models."""
    service, name = request.app[SERVICE], request.match_info["id"]
    service.keys.principal(request.headers.get("Authorization"))
    service.prove_model(name)
    return web.json_response(service.models()[0] | {"id": name})


async def show_alive(_: web.Request) -> web.Response:
    """Say that this process lives and its event loop turns."""
    return web.json_response({"status": "alive"})


async def show_ready(request: web.Request) -> web.Response:
    """Say whether this agent takes requests, and what is not as it should be."""
    ready, body = request.app[SERVICE].readiness()
    return web.json_response(body, status=200 if ready else 503)


async def show_metrics(request: web.Request) -> web.Response:
    """Give the metrics in Prometheus's text format."""
    text = request.app[SERVICE].metrics.text()
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
