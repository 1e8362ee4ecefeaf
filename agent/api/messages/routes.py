"""The endpoints of Messages."""

from aiohttp import web

from agent.api.messages.errors import MessagesError
from agent.api.messages.request import CountRequest, MessagesRequest, read_count
from agent.api.messages.schema import Message, MessageEvent, TokenCount
from agent.api.messages.surface import Messages, ask_of
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit, caller_of, replies_of
from agent.http import edge


async def count_tokens(request: web.Request) -> web.Response:
    """Count the tokens of a conversation, as the model would read it."""
    service, principal = request.app[SERVICE], admit(request)
    body = await edge.read_body(request)
    ask = ask_of(read_count(body), caller_of(request, principal, body))
    counted: TokenCount = {"input_tokens": await service.count(ask)}
    return web.json_response(counted)


OPERATIONS = (
    Operation(
        "POST",
        "/messages",
        replies_of(Messages()),
        "Answer a conversation",
        "Messages",
        answer=Message,
        error=MessagesError,
        body=MessagesRequest,
        events=MessageEvent,
        gives=("/feedback/{response_id}",),
    ),
    Operation(
        "POST",
        "/messages/count_tokens",
        count_tokens,
        "Count the tokens of a conversation",
        "Messages",
        answer=TokenCount,
        error=MessagesError,
        body=CountRequest,
    ),
)
