"""The endpoints of Responses: one answers, the others show and delete what was stored."""

from aiohttp import web

from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.responses.query import Page, ShownQuery, read_page, read_shown
from agent.api.responses.request import InputTokensRequest, ResponsesRequest, read_count
from agent.api.responses.schema import (
    Deleted,
    InputTokens,
    ItemList,
    Response,
    ResponseEvent,
)
from agent.api.responses.stored import input_items, response_of
from agent.api.responses.surface import Responses
from agent.api.serve import SERVICE, admit, caller_of, replies_of
from agent.errors import InvalidError, NotFoundError
from agent.http import edge

SURFACE = Responses()
TAG, ONE = "Responses", "/responses/{response_id:resp_[^/]+}"


async def show_response(request: web.Request) -> web.Response:
    """Show a response that was stored; only its principal may."""
    service, principal = request.app[SERVICE], admit(request)
    read_shown(request.query)
    turn = await service.stored.find(request.match_info["response_id"], principal)
    return web.json_response(response_of(turn))


async def list_input_items(request: web.Request) -> web.Response:
    """List what a stored response was made from, a page at a time."""
    service, principal = request.app[SERVICE], admit(request)
    page = read_page(request.query)
    turn = await service.stored.find(request.match_info["response_id"], principal)
    return web.json_response(page.of(input_items(turn)))


async def delete_response(request: web.Request) -> web.Response:
    """Let a stored response be asked for no more."""
    service, principal = request.app[SERVICE], admit(request)
    response_id = request.match_info["response_id"]
    await service.delete(response_id, principal)
    deleted: Deleted = {"id": response_id, "object": "response", "deleted": True}
    return web.json_response(deleted)


async def cancel_response(request: web.Request) -> web.Response:
    """Refuse to cancel: no response runs in the background."""
    service, principal = request.app[SERVICE], admit(request)
    await service.stored.find(request.match_info["response_id"], principal)
    raise InvalidError(
        "no response runs in the background here: close the connection of the one to be cancelled",
        param="response_id",
        code="not_in_background",
    )


async def count_input(request: web.Request) -> web.Response:
    """Count the tokens of what would be answered, as the model would read it."""
    service, principal = request.app[SERVICE], admit(request)
    body = await edge.read_body(request)
    (ask,) = await SURFACE.asks(read_count(body), caller_of(request, principal, body))
    counted: InputTokens = {
        "object": "response.input_tokens",
        "input_tokens": await service.count(ask),
    }
    return web.json_response(counted)


async def compact(request: web.Request) -> web.Response:
    """Refuse to compact: nothing is summed up behind the client's back."""
    admit(request)
    raise NotFoundError(
        'nothing is compacted here: send truncation "auto" to leave out the oldest',
        code="unknown_url",
    )


OPERATIONS = (
    Operation(
        "POST",
        "/responses",
        replies_of(SURFACE),
        "Answer, and go on from an answer by its id",
        TAG,
        answer=Response,
        error=ErrorBody,
        body=ResponsesRequest,
        events=ResponseEvent,
        gives=(ONE, f"{ONE}/input_items", f"{ONE}/cancel", "/feedback/{response_id}"),
    ),
    Operation(
        "POST",
        "/responses/input_tokens",
        count_input,
        "Count the tokens of what would be answered",
        TAG,
        answer=InputTokens,
        error=ErrorBody,
        body=InputTokensRequest,
    ),
    Operation(
        "POST",
        "/responses/compact",
        compact,
        "Refused: nothing is compacted here",
        TAG,
        answer=Response,
        error=ErrorBody,
    ),
    Operation(
        "GET",
        ONE,
        show_response,
        "Show a stored response",
        TAG,
        answer=Response,
        error=ErrorBody,
        query=ShownQuery,
    ),
    Operation(
        "DELETE",
        ONE,
        delete_response,
        "Delete a stored response",
        TAG,
        answer=Deleted,
        error=ErrorBody,
    ),
    Operation(
        "GET",
        f"{ONE}/input_items",
        list_input_items,
        "List what a stored response was made from",
        TAG,
        answer=ItemList,
        error=ErrorBody,
        query=Page,
    ),
    Operation(
        "POST",
        f"{ONE}/cancel",
        cancel_response,
        "Refused: no response runs in the background",
        TAG,
        answer=Response,
        error=ErrorBody,
    ),
)
