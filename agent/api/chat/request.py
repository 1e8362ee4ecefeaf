"""The body of a chat request, checked: an error names the parameter at fault.

What is understood is checked strictly; what becomes of other parameters stands in one table
(agent.api.chat.parameters). Parts of messages that are not text, and custom tools, are refused.

Knows nothing of HTTP, tokens or the engine.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from agent.api.chat.parameters import prove_possible
from agent.api.fields import (
    ArgumentsSchema,
    Choice,
    Format,
    Refused,
    Structured,
    constraint_of,
    prove_apart,
)
from agent.api.foreign import ReplyForm
from agent.api.openai import StreamOptions
from agent.api.sampling import Stops
from agent.engine.sampler import MAX_TOP
from agent.http.form import Form, named_type, read_form, refuse
from agent.turn.ask import Truncation
from agent.turn.held.constraint import Constraint
from streams.records import Json, Message

MAX_CHOICES = 8  # each choice takes a place in the engine's batch
MAX_TOOLS = 128  # OpenAI's own limit


class ChatTextPart(Form):
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
        if kind in ("text", "refusal") and not isinstance(text, str):
            refuse("part {number} needs {kind}, which is a string", number=number, kind=kind)
        if not isinstance(text, str):
            refuse("part {number} is not text{kind}: this model reads text only", number=number,
                   kind=named_type(part))  # fmt: skip
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
        BeforeValidator(_text, json_schema_input_type=str | list[ChatTextPart] | None),
    ] = None
    refusal: str | None = Field(None, description="what a reply said in the place of its content")
    name: str | None = None
    tool_calls: list[SentToolCall] | None = None
    tool_call_id: str | None = None
    function_call: Annotated[Any, Refused("tool_calls replaced it: send those")] = None
    audio: Annotated[Any, Refused("this model reads and writes text only: leave it out")] = None

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
            content=self.refusal if self.content is None else self.content,
            name=self.name,
            tool_calls=calls or None,
            tool_call_id=self.tool_call_id,
        )


class Function(Form):
    """A function that the model may call."""

    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: ArgumentsSchema | None = None
    strict: bool | None = Field(None, description="false: of the schema, what can be is kept to")


class ChatTool(Form):
    """A tool that the model may call; OpenAI's custom tools are refused."""

    type: Literal["function"]
    function: Function

    def record(self) -> Json:
        """The tool as the chat template and the wire records have it."""
        kept = {"function": {"strict"}}  # how it is sampled, and nothing that a model should read
        return self.model_dump(mode="json", exclude_none=True, exclude=kept)


class ChatRequest(ReplyForm):
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
    top_logprobs: int | None = Field(None, ge=0, le=MAX_TOP, description="likeliest tokens told")
    tools: list[ChatTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: Choice = None
    parallel_tool_calls: bool | None = Field(None, description="false: one call a reply")
    response_format: Format = None
    structured_outputs: Structured = None
    continue_final_message: bool | None = Field(
        None, description="the reply goes on with the last message, which is the assistant's"
    )
    add_generation_prompt: bool | None = Field(None, description="what the former is not")
    truncation: Truncation | None = Field(None, description="auto: leave out the oldest exchanges")
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = Field(None, description="false: nothing is learned from this turn")
    notes: bool | None = Field(None, description="false: no notes in this prompt")

    @model_validator(mode="before")
    @classmethod
    def _nothing_refused(cls, body: Any) -> Any:
        if isinstance(body, dict):
            prove_possible(body)
        return body

    @model_validator(mode="after")
    def _logprobs_wanted(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            refuse("top_logprobs: it goes with logprobs, which must be true")
        return self

    @model_validator(mode="after")
    def _opens_or_goes_on(self) -> Self:
        last = self.messages[-1]
        if not self.continue_final_message:
            if self.add_generation_prompt is False:
                refuse("add_generation_prompt: false goes with continue_final_message")
        elif self.add_generation_prompt:
            refuse("add_generation_prompt: no reply is opened where the last message goes on")
        elif last.role != "assistant" or last.tool_calls or not last.content:
            refuse("continue_final_message: the last message must be the assistant's, with text")
        return self

    @model_validator(mode="after")
    def _choice_fits_tools(self) -> Self:
        names = [tool.function.name for tool in self.tools or []]
        prove_apart(names)
        if self.tool_choice is not None:
            self.tool_choice.prove(names)
        return self

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.response_format is not None and self.structured_outputs is not None:
            refuse("structured_outputs: response_format is given, too: send one of them")
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
            [tool.function for tool in self.tools or []],
            response_format=self.response_format,
            structured_outputs=self.structured_outputs,
        )

    def reply_tokens(self) -> int | None:
        """The reply's token limit; the newer name wins."""
        return self.max_completion_tokens or self.max_tokens


def read_chat(body: bytes) -> ChatRequest:
    """Check the body of a chat request. Raises: InvalidError, which names the parameter."""
    return read_form(ChatRequest, body)
