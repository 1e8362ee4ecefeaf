"""Responses as the server uses it: a checked body into an Ask, an answer into its JSON.

What a response goes on from, and what it refers to, is looked up among the principal's own.
"""

from collections.abc import Sequence

from pydantic import TypeAdapter

from agent.api.caller import Caller
from agent.api.fields import may_serve
from agent.api.responses import stored
from agent.api.responses.events import ResponseReply
from agent.api.responses.items import Item, ItemReference, messages_of, prove_pairs
from agent.api.responses.own import McpApprovalResponse
from agent.api.responses.request import ResponsesRequest, read_response
from agent.api.responses.response import PREFIX
from agent.api.responses.tools import McpTool
from agent.api.sampling import samplings
from agent.errors import InvalidError, NotFoundError
from agent.turn.ask import Approval, Ask, Chosen
from agent.turn.origin.sessions import may_ask
from agent.turn.own.told import Told
from streams.records import Message, Turn

_ITEM: TypeAdapter[Item] = TypeAdapter(Item)


class Responses:
    """POST /v1/responses (agent.api.surface.Surface)."""

    id_prefix = PREFIX

    def read(self, body: bytes) -> ResponsesRequest:
        return read_response(body)

    async def asks(self, call: ResponsesRequest, caller: Caller) -> tuple[Ask]:
        before: Turn | None = None
        if call.previous_response_id is not None:
            before = await _before(call.previous_response_id, caller)
        items = [await _expanded(item, caller) for item in call.input]
        return (ask_of(call, items, before, caller),)

    def shape(self, answer: Told, call: ResponsesRequest) -> ResponseReply:
        return ResponseReply(answer, call)


async def _before(response_id: str, caller: Caller) -> Turn:
    """What is gone on from. Raises: InvalidError, and no 404, which stands for the path alone."""
    try:
        return await caller.find(response_id)
    except NotFoundError as cause:
        raise InvalidError(
            f"previous_response_id: {cause.message}",
            param="previous_response_id",
            code="previous_response_not_found",
        ) from cause


async def _expanded(item: Item, caller: Caller) -> Item:
    """What a reference refers to; any other item as it is."""
    if not isinstance(item, ItemReference):
        return item
    response_id = stored.response_of_item(item.id)
    if response_id is None:
        why = f"input: there is no item {item.id[:100]!r}"
        raise NotFoundError(why, param="input", code="item_not_found")
    turn = await caller.find(response_id)
    return _ITEM.validate_python(stored.item_of(turn, item.id))


def ask_of(
    call: ResponsesRequest, items: Sequence[Item], before: Turn | None, caller: Caller
) -> Ask:
    """Turn a checked request into what every API asks; its prompt is not rendered yet.

    items: the request's, references replaced
    before: the turn that it goes on from
    raises: NotFoundError; InvalidError, naming the parameter or header
    """
    first = [Message(role="system", content=call.instructions)] if call.instructions else []
    messages = first + (stored.context_of(before) if before else []) + messages_of(items)
    approvals = _approvals(items, before)
    tools, constraint = call.offered(), call.constraint()
    serves = may_serve(call.tool_choice)
    prove_pairs(messages, [each.call_id for each in approvals])
    return caller.ask(
        call.model,
        messages,
        samplings(
            call,
            caller,
            max_tokens=call.max_output_tokens,
            free=caller.wants_text(tools, constraint, serves=serves),
        ),
        learn=call.store is not False,
        session=before.session if before else None,
        metadata=call.metadata,
        named="input",
        tools=tools,
        parallel_calls=call.parallel_tool_calls is not False,
        truncation=call.truncation or caller.settings.truncation,
        wants_notes=call.notes is not False,
        top_logprobs=(call.top_logprobs or 0) if call.logprobs else 0,
        follows=before.id if before else None,
        constraint=constraint,
        serves=serves,
        most_calls=call.max_tool_calls,
        can_ask=_can_ask(call, items, caller),
        chosen=_chosen(call, caller),
        approvals=approvals,
    )


def _chosen(call: ResponsesRequest, caller: Caller) -> dict[str, Chosen]:
    """What is said of the agent's own servers. Raises: InvalidError for one that it has not"""
    for number, tool in enumerate(call.tools or []):
        if isinstance(tool, McpTool) and tool.server_label not in caller.servers:
            ours = ", ".join(caller.servers) or "none"
            param = f"tools[{number}].server_label"
            raise InvalidError(
                f"{param}: {tool.server_label[:100]!r} is no server of the agent's own, which alone"
                f" are called: {ours}",
                param=param,
                code="invalid_value",
            )
    return {server.server_label: server.chosen() for server in call.servers}


def _can_ask(call: ResponsesRequest, items: Sequence[Item], caller: Caller) -> frozenset[str]:
    """The servers of whose calls this client can be asked: it breaks at a question unknown to it.

    Those that it names; all where it says so, or answers what it was asked and names none.
    """
    answers = any(isinstance(each, McpApprovalResponse) for each in items)
    if may_ask(caller.headers) or (answers and not call.servers):
        named = frozenset(caller.servers)
    else:
        named = frozenset(server.server_label for server in call.servers)
    return named if call.store is not False else frozenset()


def _approvals(items: Sequence[Item], before: Turn | None) -> tuple[Approval, ...]:
    """What is said of each call that the response before asked for; nothing said is no.

    raises: InvalidError for an answer to what it did not ask
    """
    asked = stored.asked_of(before) if before is not None else {}
    answers = (each for each in items if isinstance(each, McpApprovalResponse))
    said = {each.approval_request_id: each for each in answers}
    for name in said:
        if name not in asked:
            raise InvalidError(
                f"input: {name[:100]!r} is no mcp_approval_request of previous_response_id: go on "
                "from the response that asked",
                param="input",
                code="invalid_value",
            )
    return tuple(
        Approval(call_id, said[name].approve, said[name].reason)
        if name in said
        else Approval(call_id, False, "nothing was said of it")
        for name, call_id in asked.items()
    )
