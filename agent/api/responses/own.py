"""Calls that the agent made of its own tools, as the items that OpenAI's Responses has for them.

Of such a call an `mcp_call` tells what came of it; an `mcp_approval_request` asks whether it may be
made, and an `mcp_approval_response` of the next request answers that.

Knows nothing of sockets, nor of who made the call.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from agent.http.form import Form
from agent.tools.served import Made, Result
from streams.records import Json

McpStatus = Literal["in_progress", "completed", "incomplete", "failed"]


class McpCallItem(TypedDict):
    """A call of a tool of the agent's own, and what came of it."""

    type: Literal["mcp_call"]
    id: str
    server_label: str
    name: str
    arguments: str
    output: str | None
    error: str | None
    status: McpStatus
    approval_request_id: str | None


class McpApprovalRequest(TypedDict):
    """A call that is not made unless it is approved of."""

    type: Literal["mcp_approval_request"]
    id: str
    server_label: str
    name: str
    arguments: str


OwnItem = McpCallItem | McpApprovalRequest


class McpApprovalResponse(Form):
    """What somebody says of a call that was asked for."""

    type: Literal["mcp_approval_response"]
    approval_request_id: str = Field(min_length=1)
    approve: bool
    reason: str | None = Field(None, max_length=1000)


class OwnItemInput(Form):
    """What this server told before of its own tools; left out: it is kept with the response."""

    type: Literal["mcp_call", "mcp_approval_request", "mcp_list_tools"]


def item_of(made: Made, token: str, number: int) -> OwnItem:
    """A call as an item. token: of the response's id; number: its place in the output"""
    if made.asks:
        return {
            "type": "mcp_approval_request",
            "id": f"mcpr_{token}_{number}",
            "server_label": made.server,
            "name": made.name,
            "arguments": made.arguments,
        }
    result = made.result
    status: McpStatus = "in_progress"
    if result is not None:
        status = "completed" if result.outcome == "ok" else "failed"
    return {
        "type": "mcp_call",
        "id": f"mcp_{token}_{number}",
        "server_label": made.server,
        "name": made.name,
        "arguments": made.arguments,
        "output": result.text if result and result.outcome == "ok" else None,
        "error": result.error if result else None,
        "status": status,
        "approval_request_id": None,
    }


def begun(item: OwnItem) -> Iterator[tuple[str, Json]]:
    """The events by which a call begins: their names and fields."""
    if item["type"] == "mcp_call":
        arguments = item["arguments"]
        yield "response.mcp_call.in_progress", {}
        yield "response.mcp_call_arguments.delta", {"delta": arguments}
        yield "response.mcp_call_arguments.done", {"arguments": arguments}


def ended(item: OwnItem) -> Iterator[tuple[str, Json]]:
    """The events by which it ends."""
    if item["type"] == "mcp_call":
        yield f"response.mcp_call.{item['status']}", {}


def kept(made: Made) -> Json:
    """A call as it is kept with the response."""
    result = made.result
    return {
        "id": made.id,
        "server": made.server,
        "name": made.name,
        "arguments": made.arguments,
        "asks": made.asks,
        "text": result.text if result else None,
        "outcome": result.outcome if result else None,
    }


def made_again(body: Json) -> Made:
    """A call that was kept."""
    outcome: Any = body["outcome"]
    result = Result(body["text"], outcome) if outcome else None
    id, server, name = body["id"], body["server"], body["name"]
    return Made(id, server, name, body["arguments"], result, body["asks"])


def asked(parts: Sequence[Any], token: str) -> dict[str, str]:
    """The calls that a response asks for: id of the item → id of the call. parts: as kept"""
    return {
        f"mcpr_{token}_{number}": part["made"]["id"]
        for number, part in enumerate(parts)
        if isinstance(part, dict) and "made" in part and part["made"]["asks"]
    }
