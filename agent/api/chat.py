"""Turns the body of a chat request into an Ask, or an error that names the parameter at fault.

OpenAI's Chat Completions, as far as this server can keep it: what is understood is checked
strictly, what is not known is ignored, because clients of that API send many parameters of their
own. What would silently change the reply's form (response_format, images, custom tools,
top_logprobs) is refused instead of ignored.

Knows nothing of HTTP, tokens or the engine.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from agent.errors import InvalidError
from agent.http.form import Form, read_form, refuse
from agent.settings import AgentSettings
from agent.turn.ask import Ask
from agent.turn.origin import UNKNOWN, Origin
from agent.turn.sessions import may_learn, purpose_of, session_of
from streams.records import Json, Message, Sampling

MAX_CHOICES = 8  # each choice takes a place in the engine's batch
MAX_STOPS = 16
MAX_STOP_CHARS = 256  # a stop string is held back while it may still come, so it is kept short
MAX_TOOLS = 128  # OpenAI's own limit
MAX_SEED = 2**63 - 1


def _text(content: Any) -> Any:
    """Join OpenAI's content parts to one text; this model reads nothing else."""
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


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _unread(value: Any) -> Any:
    """Refuse what would change the reply's form and cannot be kept."""
    if value is not None and value != {"type": "text"}:
        refuse("only the type text is supported")
    return value


Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]


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
    content: Annotated[str | None, BeforeValidator(_text)] = None
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
            refuse("only chosen tokens' log-probabilities are recorded: leave it out, or 0")
        return number

    @field_validator("tool_choice")
    @classmethod
    def _known_choice(cls, choice: Any) -> Any:
        if choice in (None, "none", "auto", "required") or isinstance(_named(choice), str):
            return choice
        refuse('choose "none", "auto", "required", or a function by its name')

    @model_validator(mode="after")
    def _choice_fits_tools(self) -> Self:
        name = _named(self.tool_choice)
        if name is not None and name not in [tool.function.name for tool in self.tools or []]:
            refuse("tool_choice: no tool is named {name}", name=repr(name))
        if self.tool_choice == "required" and not self.tools:
            refuse("tool_choice: required, but there are no tools")
        return self

    def offered(self) -> list[Json] | None:
        """The tools that the model is shown: all, the named one, or none.

        "required" is not enforced: without constrained decoding it is a wish.
        """
        if not self.tools or self.tool_choice == "none":
            return None
        name = _named(self.tool_choice)
        return [t.record() for t in self.tools if name is None or t.function.name == name]

    def reply_tokens(self) -> tuple[int | None, str]:
        """The reply's token limit, and the parameter that set it; the newer name wins."""
        if self.max_completion_tokens is not None:
            return self.max_completion_tokens, "max_completion_tokens"
        return self.max_tokens, "max_tokens"


def read_chat(body: bytes) -> ChatRequest:
    """Check the body of a chat request. Raises: InvalidError, which names the parameter."""
    return read_form(ChatRequest, body)


def ask_of(
    request: ChatRequest,
    settings: AgentSettings,
    *,
    principal: str,
    headers: Mapping[str, str],
    origin: Origin = UNKNOWN,
    draw_seed: Callable[[], int] = lambda: secrets.randbelow(MAX_SEED),
) -> Ask:
    """Turn a checked request into what every API asks; its prompt is not rendered yet.

    settings: those in force, the context no longer than the model's own
    headers: case-insensitive; what they say of session, purpose and learning is honoured
    raises: InvalidError, naming the parameter or header
    """
    messages = [message.record() for message in request.messages]
    return Ask(
        principal=principal,
        session=session_of(messages, headers, principal, request.metadata),
        line=settings.line,
        model=request.model,
        purpose=purpose_of(messages, headers),
        learn=may_learn(headers) and request.store is not False,
        messages=messages,
        tools=request.offered(),
        parallel_calls=request.parallel_tool_calls is not False,
        samplings=_samplings(request, settings, draw_seed),
        origin=origin,
    )


def _samplings(
    request: ChatRequest, settings: AgentSettings, draw_seed: Callable[[], int]
) -> tuple[Sampling, ...]:
    """Settle each choice's sampling; a given seed counts up, so that choices differ and repeat."""
    limit, param = request.reply_tokens()
    if limit is not None and limit > settings.context_tokens:
        raise InvalidError(
            f"{param}: at most {settings.context_tokens} tokens fit, prompt and reply together",
            param=param,
            code="invalid_value",
        )
    seed, temperature, top_p = request.seed, request.temperature, request.top_p
    return tuple(
        Sampling(
            temperature=settings.default_temperature if temperature is None else temperature,
            top_p=settings.default_top_p if top_p is None else top_p,
            max_tokens=limit or settings.default_max_tokens,
            seed=draw_seed() if seed is None else (seed + choice) % (MAX_SEED + 1),
            stop=request.stop or [],
        )
        for choice in range(request.n or 1)
    )


def _named(choice: Any) -> str | None:
    """Return the function that a tool_choice names."""
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        return name if isinstance(name, str) else None
    return None
