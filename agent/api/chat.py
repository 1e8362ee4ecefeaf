"""Turns the bytes of a chat request into a checked ChatRequest, or an error that names the fault.

OpenAI's Chat Completions, as far as this server can keep it: what is understood is checked
strictly (a wrong type is never guessed at), what is not known is ignored, because clients of that
API send many parameters of their own. What would silently change the reply's form
(response_format, images, custom tools, top_logprobs) is refused instead of ignored.

Knows nothing of HTTP, tokens or the engine.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from agent.errors import InvalidError
from agent.http.body import read_json
from streams.records import Json, Message

MAX_CHOICES = 8  # each choice takes a place in the engine's batch
MAX_STOPS = 16
MAX_STOP_CHARS = 256  # a stop string is held back while it may still come, so it is kept short
MAX_TOOLS = 128  # OpenAI's own limit
MAX_SEED = 2**63 - 1


def _fail(message: str, **context: Any) -> NoReturn:
    raise PydanticCustomError("invalid", message, context or None)


def _text(content: Any) -> Any:
    """Join OpenAI's content parts to one text; this model reads nothing else."""
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get(kind) if kind in ("text", "refusal") else None
        if not isinstance(text, str):
            _fail("part {number} is not text: this model reads text only", number=number)
        texts.append(text)
    return "\n".join(texts)


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _unread(value: Any) -> Any:
    """Refuse what would change the reply's form and cannot be kept."""
    if value is not None and value != {"type": "text"}:
        _fail("only the type text is supported")
    return value


Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]


class Form(BaseModel):
    """Root of the request's parts: strict types, unknown names ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class CalledFunction(Form):
    """The function of a tool call that the client sends back."""

    name: str
    arguments: str


class ToolCall(Form):
    """A tool call that the client sends back."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Form):
    """One message of the request."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_text)] = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.content is None and self.role != "assistant":
            _fail("content: a {role} message needs it", role=self.role)
        if self.tool_calls and self.role != "assistant":
            _fail("tool_calls: only an assistant message may carry them")
        return self

    def record(self) -> Message:
        """Give the message as the wire records have it."""
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
        """Give the tool as the chat template and the wire records have it."""
        return self.model_dump(mode="json", exclude_none=True)


class StreamOptions(Form):
    """What a stream shall carry beside the reply."""

    include_usage: bool | None = None


class ChatRequest(Form):
    """The body of POST /v1/chat/completions."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=0, le=MAX_SEED)
    stop: Annotated[Stops | None, BeforeValidator(_listed)] = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[Tool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[Any, AfterValidator(_unread)] = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None

    @field_validator("top_logprobs")
    @classmethod
    def _chosen_only(cls, number: int | None) -> int | None:
        if number:
            _fail("only chosen tokens' log-probabilities are recorded: leave it out, or 0")
        return number

    @field_validator("tool_choice")
    @classmethod
    def _known_choice(cls, choice: Any) -> Any:
        if choice in (None, "none", "auto", "required") or isinstance(_named(choice), str):
            return choice
        _fail('choose "none", "auto", "required", or a function by its name')

    @model_validator(mode="after")
    def _choice_fits_tools(self) -> Self:
        name = _named(self.tool_choice)
        if name is not None and name not in [tool.function.name for tool in self.tools or []]:
            _fail("tool_choice: no tool is named {name}", name=repr(name))
        if self.tool_choice == "required" and not self.tools:
            _fail("tool_choice: required, but there are no tools")
        return self

    def offered(self) -> list[Json] | None:
        """Give the tools that the model is shown: all, the named one, or none.

        "required" is not enforced: without constrained decoding it is a wish.
        """
        if not self.tools or self.tool_choice == "none":
            return None
        name = _named(self.tool_choice)
        return [t.record() for t in self.tools if name is None or t.function.name == name]

    def reply_tokens(self) -> tuple[int | None, str]:
        """Give the reply's token limit, and the parameter that set it; the newer name wins."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens, "max_completion_tokens"
        return self.max_tokens, "max_tokens"


class FeedbackRequest(Form):
    """The body of PUT /v1/feedback/{response_id}: a score or a thumb, and what it rests on."""

    score: int | None = Field(None, ge=-1, le=1)
    thumb: Literal["up", "down"] | None = None
    hint: str | None = Field(None, max_length=4000)
    comment: str | None = Field(None, max_length=4000)

    @model_validator(mode="after")
    def _one_verdict(self) -> Self:
        if (self.score is None) == (self.thumb is None):
            _fail('score: give either score (-1, 0 or 1) or thumb ("up" or "down")')
        return self

    def verdict(self) -> Literal[-1, 0, 1]:
        """Give the score; a thumb is worth one."""
        score = self.score if self.score is not None else 1 if self.thumb == "up" else -1
        return 0 if score == 0 else 1 if score > 0 else -1


def read_chat(body: bytes) -> ChatRequest:
    """Check the body of a chat request. Raises: InvalidError, which names the parameter."""
    try:
        return ChatRequest.model_validate(read_json(body))
    except ValidationError as cause:
        raise _invalid(cause) from None


def read_feedback(body: bytes) -> FeedbackRequest:
    """Check the body of a feedback request. Raises: InvalidError, which names the parameter."""
    try:
        return FeedbackRequest.model_validate(read_json(body))
    except ValidationError as cause:
        raise _invalid(cause) from None


def _named(choice: Any) -> str | None:
    """Give the function that a tool_choice names."""
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        return name if isinstance(name, str) else None
    return None


def _invalid(cause: ValidationError) -> InvalidError:
    error = cause.errors(include_url=False, include_context=False, include_input=False)[0]
    path, message = _located(error)
    if error["type"] == "missing":
        return InvalidError(f"{path} is required", param=path, code="missing_required_parameter")
    return InvalidError(f"{path}: {message}", param=path, code="invalid_value")


def _located(error: ErrorDetails) -> tuple[str, str]:
    """Give the parameter as the client spells it, and the message without it."""
    message = "Must be an object" if error["type"] == "model_type" else error["msg"]
    location: Sequence[int | str] = error["loc"]
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if error["type"] == "invalid" and (whole := re.match(r"(\w+): ", message)):
        path, message = f"{path}.{whole[1]}", message[whole.end() :]
    return path.lstrip("."), message[0].lower() + message[1:]
