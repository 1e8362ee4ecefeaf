"""The JSON that Messages answers with, as types; reply.py builds it."""

from typing import Any, Literal

from typing_extensions import TypedDict

from agent.api.messages.errors import MessagesError

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class TextContent(TypedDict):
    """A piece of the reply's text."""

    type: Literal["text"]
    text: str
    citations: None


class Caller(TypedDict):
    """The model itself calls."""

    type: Literal["direct"]


class ToolUseContent(TypedDict):
    """A call of a tool."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]
    caller: Caller


class McpToolUse(TypedDict):
    """A call that the agent made of a tool of its own."""

    type: Literal["mcp_tool_use"]
    id: str
    name: str
    server_name: str
    input: dict[str, Any]


class McpToolResult(TypedDict):
    """What came of it."""

    type: Literal["mcp_tool_result"]
    tool_use_id: str
    is_error: bool
    content: list[TextContent]


Content = TextContent | ToolUseContent | McpToolUse | McpToolResult


class MessageUsage(TypedDict):
    """Tokens read and sampled; what was found in the cache counts apart."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: None
    server_tool_use: None
    service_tier: Literal["standard"]
    inference_geo: None
    output_tokens_details: None


class Message(TypedDict):
    """A whole answer."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Content]
    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: None
    container: None
    usage: MessageUsage


class MessageStart(TypedDict):
    """The first event: the message, empty so far."""

    type: Literal["message_start"]
    message: Message


class Ping(TypedDict):
    """Says that the server is there."""

    type: Literal["ping"]


class BlockStart(TypedDict):
    """A block begins, empty."""

    type: Literal["content_block_start"]
    index: int
    content_block: Content


class TextDelta(TypedDict):
    """More text."""

    type: Literal["text_delta"]
    text: str


class JsonDelta(TypedDict):
    """More of a call's input, as JSON."""

    type: Literal["input_json_delta"]
    partial_json: str


class BlockDelta(TypedDict):
    """A block grows."""

    type: Literal["content_block_delta"]
    index: int
    delta: TextDelta | JsonDelta


class BlockStop(TypedDict):
    """A block is whole."""

    type: Literal["content_block_stop"]
    index: int


class StopDelta(TypedDict):
    """Why the message ended."""

    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: None
    container: None


class MessageDelta(TypedDict):
    """The message is whole, but for its mark."""

    type: Literal["message_delta"]
    delta: StopDelta
    usage: MessageUsage


class MessageStop(TypedDict):
    """The mark of a stream that is whole."""

    type: Literal["message_stop"]


MessageEvent = (
    MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop
    | MessagesError
)  # fmt: skip


class TokenCount(TypedDict):
    """How many tokens a conversation has, as the model reads it."""

    input_tokens: int
