"""The agent's HTTP API: its endpoints by their APIs, and what surrounds them.

    agent/api/chat         POST /v1/chat/completions          OpenAI's Chat Completions
    agent/api/responses    POST /v1/responses                 OpenAI's Responses, which are kept
    agent/api/completions  POST /v1/completions               OpenAI's older Completions
    agent/api/messages     POST /v1/messages                  Anthropic's Messages
    agent/api/embeddings   POST /v1/embeddings                where there is an embedder
    agent/api/models       GET  /v1/models, /v1/models/{id}   what can be asked for
    agent/api/feedback     PUT  /v1/feedback/{response_id}    what somebody says of a reply
                           GET  /rate/{link}                  the same behind a signed link
    agent/api/langfuse     POST /api/public/scores            the same, as Langfuse's clients do
    agent/api/openwebui    POST /api/v1/evaluations/feedback  the same, as Open WebUI does
    agent/api/notes        GET  /v1/notes, DELETE /v1/notes/{id}   what stands in one's prompts
    agent/api/health       GET  /health, /health/ready        it lives; it takes requests
                           GET  /metrics                      Prometheus
    agent/api/openapi      GET  /openapi.json, /docs          all of these, described
    agent/chat             GET  /, /connect                   the chat page; what clients need

What begins with /v1 is there without it, too. How a request is answered, step by step, stands in
agent/api/serve.py.
"""

from functools import partial

from aiohttp import web

from agent import chat
from agent.api.chat.routes import OPERATIONS as CHAT
from agent.api.completions.routes import OPERATIONS as COMPLETIONS
from agent.api.embeddings.routes import OPERATIONS as EMBEDDINGS
from agent.api.feedback.page import routes as rate
from agent.api.feedback.routes import OPERATIONS as FEEDBACK
from agent.api.health.routes import OPERATIONS as HEALTH
from agent.api.langfuse.routes import OPERATIONS as LANGFUSE
from agent.api.messages.errors import anthropic_error
from agent.api.messages.routes import OPERATIONS as MESSAGES
from agent.api.models.routes import OPERATIONS as MODELS
from agent.api.notes.routes import OPERATIONS as NOTES
from agent.api.openapi.document import document
from agent.api.openapi.routes import routes as describe
from agent.api.openwebui.routes import OPERATIONS as OPEN_WEBUI
from agent.api.operation import Operation
from agent.api.responses.routes import OPERATIONS as RESPONSES
from agent.api.serve import SERVICE
from agent.http import edge, names, origins
from agent.service import AgentService

OPERATIONS: tuple[Operation, ...] = (
    *CHAT,
    *RESPONSES,
    *COMPLETIONS,
    *MESSAGES,
    *EMBEDDINGS,
    *MODELS,
    *FEEDBACK,
    *LANGFUSE,
    *OPEN_WEBUI,
    *NOTES,
    *HEALTH,
)
VERSION_HEADER = "anthropic-version"  # every client of that API sends it


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
    for operation in OPERATIONS:
        app.add_routes(operation.routes())
    app.add_routes(describe(partial(document, OPERATIONS)))
    told = chat.routes(asks_key=bool(service.keys), public_url=service.settings.public_url)
    app.add_routes([*told, *rate()])
    return app


def _errors_of(request: web.Request) -> edge.ErrorShape:
    """The shape of errors of the API that is asked: Anthropic's where its clients ask."""
    path = request.path.removeprefix("/v1")
    ours = path == "/messages" or path.startswith("/messages/")
    return anthropic_error if ours or VERSION_HEADER in request.headers else edge.openai_error
