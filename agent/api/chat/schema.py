"""The JSON that Chat Completions answers with, as types; reply.py builds it."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from agent.api.logprobs import TokenLogprob
from agent.api.openai import FinishReason, Usage
from agent.tools.served import Outcome


class Logprobs(TypedDict):
    """Log-probabilities of the tokens of a choice or a chunk."""

    content: list[TokenLogprob]
    refusal: None


class CalledFunction(TypedDict):
    """Which function is called; the arguments are JSON."""

    name: NotRequired[str]  # of a streamed call, in its first chunk
    arguments: str


class ToolCall(TypedDict):
    """A call of a tool; of a streamed one, id, type and name come in its first chunk."""

    index: NotRequired[int]
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: CalledFunction


class ServerToolCall(TypedDict):
    """A call that the agent made of a tool of its own (agent.tools), and what came of it. Ours.

    A streamed one has its index, by which OpenAI's clients put lists of a stream together.
    """

    index: NotRequired[int]
    id: str
    server: str
    name: str
    arguments: str
    outcome: Outcome
    output: str | None


class ReplyMessage(TypedDict):
    """A reply."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    annotations: list[str]
    tool_calls: NotRequired[list[ToolCall]]
    server_tool_calls: NotRequired[list[ServerToolCall]]


class ChatChoice(TypedDict):
    """One of the replies."""

    index: int
    message: ReplyMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class ChatCompletion(TypedDict):
    """A whole answer; `system_fingerprint` is the version that sampled its first choice."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str | None
    choices: list[ChatChoice]
    usage: Usage


class Delta(TypedDict, total=False):
    """What a chunk adds to a choice."""

    role: Literal["assistant"]
    content: str
    tool_calls: list[ToolCall]
    server_tool_calls: list[ServerToolCall]


class ChunkChoice(TypedDict):
    """What is new of a choice."""

    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class ChatChunk(TypedDict):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str | None
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]
