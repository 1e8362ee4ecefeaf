"""The endpoints of models."""

from aiohttp import web

from agent.api.models.models import Model, ModelList
from agent.api.models.query import ModelPage, read_page
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import SERVICE, models_of


async def list_models(request: web.Request) -> web.Response:
    """List what can be asked for, a page at a time where one is asked for."""
    service = request.app[SERVICE]
    service.keys.principal(request.headers)
    page = read_page(request.query)
    return web.json_response(page.of(models_of(service).all()))


async def show_model(request: web.Request) -> web.Response:
    """Show one of the models."""
    service = request.app[SERVICE]
    service.keys.principal(request.headers)
    return web.json_response(models_of(service).one(request.match_info["id"]))


OPERATIONS = (
    Operation(
        "GET",
        "/models",
        list_models,
        "List what can be asked for",
        "Models",
        query=ModelPage,
        answer=ModelList,
        error=ErrorBody,
    ),
    Operation(
        "GET",
        "/models/{id:.+}",
        show_model,
        "Show one of them",
        "Models",
        answer=Model,
        error=ErrorBody,
    ),
)
