"""The body of a chat request, checked: an error names the parameter at fault.

What is understood is checked strictly, what is not known is ignored, because clients of this API
send many parameters of their own. What would silently change the reply's form (images, audio,
custom tools) is refused instead of ignored.

Knows nothing of HTTP, tokens or the engine.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from agent.api.fields import Choice, Format, Refused, Structured, constraint_of
from agent.api.openai import StreamOptions
from agent.api.sampling import SamplingForm, Stops
from agent.http.form import Form, read_form, refuse
from agent.turn.constraint import Constraint
from streams.records import Json, Message

MAX_CHOICES = 8  # each choice takes a place in the engine's batch
MAX_TOOLS = 128  # OpenAI's own limit


class TextPart(Form):
    """A part of a message's content; this model reads nothing but text."""

    type: Literal["text", "refusal"]
    text: str | None = None
    refusal: str | None = None


def _text(content: Any) -> Any:
    """Join OpenAI's content parts to one text."""
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get(kind) if kind in ("text", "refusal") else None
        if not isinstance(text, str):
            refuse("part {number} is not text: this model reads text only", number=number)
        texts.append(text)
    return "\n".join(texts)


class SentFunction(Form):
    """The function of a tool call that the client sends back."""

    name: str
    arguments: str


class SentToolCall(Form):
    """A tool call that the client sends back."""

    id: str
    type: Literal["function"] = "function"
    function: SentFunction


class ChatMessage(Form):
    """One message of the request."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[
        str | None,
        BeforeValidator(_text, json_schema_input_type=str | list[TextPart] | None),
    ] = None
    name: str | None = None
    tool_calls: list[SentToolCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.content is None and self.role != "assistant":
            refuse("content: a {role} message needs it", role=self.role)
        if self.tool_calls and self.role != "assistant":
            refuse("tool_calls: only an assistant message may carry them")
        return self

    def record(self) -> Message:
        """The message as the wire records have it."""
        calls = [call.model_dump(mode="json") for call in self.tool_calls or []]
        return Message(
            role=self.role,
            content=self.content,
            name=self.name,
            tool_calls=calls or None,
            tool_call_id=self.tool_call_id,
        )


class Function(Form):
    """A function that the model may call."""

    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Form):
    """A tool that the model may call; OpenAI's custom tools are refused."""

    type: Literal["function"]
    function: Function

    def record(self) -> Json:
        """The tool as the chat template and the wire records have it."""
        return self.model_dump(mode="json", exclude_none=True)


class ChatRequest(SamplingForm):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES, description="choices, each sampled apart")
    max_tokens: int | None = Field(None, ge=1, description="older name of the next")
    max_completion_tokens: int | None = Field(None, ge=1, description="the context may hold less")
    stop: Stops | None = None
    logprobs: bool | None = Field(None, description="of each token, at temperature 1")
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[Tool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Choice = None
    parallel_tool_calls: bool | None = Field(None, description="false: one call a reply")
    response_format: Format = None
    structured_outputs: Structured = None
    modalities: Annotated[Any, Refused("this model reads and writes text only", ["text"])] = None
    audio: Annotated[Any, Refused("this model reads and writes text only")] = None
    functions: Annotated[Any, Refused("it was replaced by tools: send those")] = None
    function_call: Annotated[Any, Refused("it was replaced by tool_choice: send that")] = None
    web_search_options: Annotated[Any, Refused("nothing is searched here")] = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = Field(None, description="false: nothing is learned from this turn")

    @field_validator("top_logprobs")
    @classmethod
    def _chosen_only(cls, number: int | None) -> int | None:
        if number:
            refuse("only chosen tokens' log-probabilities are recorded: leave it out, or 0")
        return number

    @model_validator(mode="after")
    def _choice_fits_tools(self) -> Self:
        if self.tool_choice is not None:
            self.tool_choice.prove([tool.function.name for tool in self.tools or []])
        return self

    def offered(self) -> list[Json] | None:
        """The tools that the model is shown: all, the chosen ones, or none."""
        names = [tool.function.name for tool in self.tools or []]
        only = self.tool_choice.only(names) if self.tool_choice else names
        return [tool.record() for tool in self.tools or [] if tool.function.name in only] or None

    def constraint(self) -> Constraint | None:
        """What the reply must keep to, if anything."""
        return constraint_of(
            self.tool_choice,
            [tool["function"]["name"] for tool in self.offered() or []],
            response_format=self.response_format,
            structured_outputs=self.structured_outputs,
        )

    def reply_tokens(self) -> int | None:
        """The reply's token limit; the newer name wins."""
        return self.max_completion_tokens or self.max_tokens


def read_chat(body: bytes) -> ChatRequest:
    """Check the body of a chat request. Raises: InvalidError, which names the parameter."""
    return read_form(ChatRequest, body)
