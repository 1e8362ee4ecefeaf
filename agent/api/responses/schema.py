"""The JSON that Responses answers with, as types; response.py and events.py build it."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from agent.api.logprobs import TokenLogprob
from agent.api.responses.own import McpApprovalRequest, McpCallItem

Status = Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(TypedDict):
    """A reply's text."""

    type: Literal["output_text"]
    text: str
    annotations: list[str]
    logprobs: list[TokenLogprob]


class InputText(TypedDict):
    """What somebody else said."""

    type: Literal["input_text"]
    text: str


class MessageItem(TypedDict):
    """A message."""

    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["assistant", "user", "system", "developer"]
    content: list[OutputText] | list[InputText]


class CallItem(TypedDict):
    """A call of a function."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


class CallOutputItem(TypedDict):
    """What a function returned."""

    type: Literal["function_call_output"]
    id: str
    call_id: str
    output: str
    status: ItemStatus


OutputItem = MessageItem | CallItem | McpCallItem | McpApprovalRequest
ItemField = OutputItem | CallOutputItem


class InputDetails(TypedDict):
    """What of the input did not have to be read, and what is not in the prompt."""

    cached_tokens: int
    cache_write_tokens: int
    truncated_tokens: int


class OutputDetails(TypedDict):
    """What the output's tokens went to."""

    reasoning_tokens: int  # always 0


class ResponseUsage(TypedDict):
    """Tokens read and sampled."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseError(TypedDict):
    """Why a response failed."""

    code: str
    message: str


class IncompleteDetails(TypedDict):
    """Why a response is not complete."""

    reason: Literal["max_output_tokens"]


class Echo(TypedDict):
    """What a response says of its request."""

    model: str
    previous_response_id: str | None
    instructions: str | None
    tools: list[dict[str, Any]]
    tool_choice: Any
    truncation: Literal["auto", "disabled"]
    parallel_tool_calls: bool
    text: dict[str, Any]
    top_p: float
    temperature: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    reasoning: dict[str, Any]
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: Literal[False]
    service_tier: Literal["default"]
    metadata: dict[str, str]
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None


class Response(Echo):
    """A response, whole or in the making; `system_fingerprint` is the version that sampled it."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Status
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    output: list[OutputItem]
    usage: ResponseUsage | None
    system_fingerprint: str | None


class InputTokens(TypedDict):
    """How many tokens the input has, as the model reads it."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class Deleted(TypedDict):
    """A response that is not to be asked for any more."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class ItemList(TypedDict):
    """A page of what a response was made from."""

    object: Literal["list"]
    data: list[ItemField]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseEvent(TypedDict):
    """One event of a stream; which fields it has goes by its type."""

    type: Literal[
        "response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", "response.output_text.delta", "response.output_text.done",
        "response.content_part.done", "response.function_call_arguments.delta",
        "response.function_call_arguments.done", "response.output_item.done",
        "response.mcp_call.in_progress", "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done", "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.completed", "response.incomplete", "response.failed",
    ]  # fmt: skip
    sequence_number: int
    response: NotRequired[Response]
    output_index: NotRequired[int]
    item_id: NotRequired[str]
    item: NotRequired[OutputItem]
    content_index: NotRequired[int]
    part: NotRequired[OutputText]
    delta: NotRequired[str]
    text: NotRequired[str]
    arguments: NotRequired[str]
    name: NotRequired[str]
    logprobs: NotRequired[list[TokenLogprob]]
