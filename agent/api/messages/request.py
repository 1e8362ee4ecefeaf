"""The body of a request for a message, checked: an error names the parameter at fault.

Knows nothing of HTTP, tokens or the engine.
"""

import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from agent.api.fields import (
    ArgumentsSchema,
    Format,
    Refused,
    ToolChoice,
    constraint_of,
    prove_apart,
)
from agent.api.foreign import ReplyForm
from agent.api.messages.blocks import SentMessage, Texts, prove_pairs
from agent.api.sampling import StopList
from agent.http.form import Form, read_form, refuse
from agent.turn.ask import Truncation
from agent.turn.held.constraint import Constraint
from streams.records import Json, Message

MAX_TOOLS: Final = 128
MAX_EXAMPLES: Final = 20
# Anthropic's own default is high: to ask for it is to ask for nothing.
_ONE_EFFORT = "this model spends one effort on every reply: leave it out"
_NO_THINKING = "this model does not think before it answers: leave it out"


class MessagesTool(Form):
    """A tool that the client runs; Anthropic's own are refused."""

    type: Literal["custom"] | None = None
    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    input_schema: ArgumentsSchema
    strict: bool | None = Field(None, description="false: of the schema, what can be is kept to")
    input_examples: list[dict[str, Any]] | None = Field(
        None, max_length=MAX_EXAMPLES, description="shown to the model behind the description"
    )
    allowed_callers: list[str] | None = Field(None, description="the model itself: direct")

    @field_validator("allowed_callers")
    @classmethod
    def _called_directly(cls, callers: list[str] | None) -> list[str] | None:
        if callers is not None and "direct" not in callers:
            refuse("no code is run here that could call it: name direct, too, or leave it out")
        return callers

    def record(self) -> Json:
        """The tool as the chat template and the wire records have it."""
        function: Json = {"name": self.name}
        told = [] if self.description is None else [self.description]
        for each in self.input_examples or ():
            told.append(f"Example: {json.dumps(each, ensure_ascii=False)}")
        if told:
            function["description"] = "\n".join(told)
        return {"type": "function", "function": function | {"parameters": self.input_schema}}


def _tool(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") not in (None, "custom"):
        refuse("type: a built-in tool is not run here: offer one of your own, of type custom")
    return value


class ContextEdit(Form):
    """Thoughts are left out of every prompt, so that an edit that clears them is none."""

    type: str = Field(description="clear_thinking_…; others are refused")

    @field_validator("type")
    @classmethod
    def _clears_nothing(cls, kind: str) -> str:
        if not kind.startswith("clear_thinking_"):
            refuse("only truncation leaves messages out here: leave it out")
        return kind


class ContextManagement(Form):
    """What else shall be left out of the prompt."""

    edits: list[ContextEdit] | None = None


def _asks_for_a_reply(value: Any) -> Any:
    if value == 0:
        refuse(
            "0 asks to read the prompt into the cache without a reply, which is not done here: "
            "every prompt that is answered is found there again; send 1 or more"
        )
    return value


class MessagesToolChoice(Form):
    """Which tools may be called, and whether one must be."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if (self.type == "tool") != (self.name is not None):
            refuse("name: it goes with the type tool, and only with it")
        return self

    def neutral(self) -> ToolChoice:
        """The choice as every API has it."""
        mode: dict[str, Literal["none", "auto", "required"]] = {"auto": "auto", "none": "none"}
        names = (self.name,) if self.name is not None else None
        return ToolChoice(mode.get(self.type, "required"), names)


class OutputConfig(Form):
    """The form of the reply, and what is spent on it."""

    format: Format = None
    effort: Annotated[Any, Refused(_ONE_EFFORT, "high")] = None
    task_budget: Annotated[Any, Refused("no budget is told to the model: leave it out")] = None


ReplyTokens = Annotated[
    int, Field(ge=1, description="the context may hold less"), BeforeValidator(_asks_for_a_reply)
]


class CountRequest(ReplyForm):
    """The body of POST /v1/messages/count_tokens: a request for a message, which is not made."""

    model: str
    max_tokens: ReplyTokens | None = None
    messages: list[SentMessage] = Field(min_length=1)
    system: Texts | None = None
    tools: Annotated[
        list[Annotated[MessagesTool, BeforeValidator(_tool)]] | None, Field(max_length=MAX_TOOLS)
    ] = None
    tool_choice: MessagesToolChoice | None = None
    thinking: Annotated[Any, Refused(_NO_THINKING, {"type": "disabled"})] = None
    temperature: float | None = Field(None, ge=0, le=1, description="0: the likeliest token")
    stop_sequences: StopList | None = None
    stream: bool | None = None
    output_config: OutputConfig | None = None
    truncation: Truncation | None = Field(None, description="ours: as Chat has it")
    container: Annotated[Any, Refused("nothing is run here: leave it out")] = None
    mcp_servers: Annotated[Any, Refused("the server's own settings name MCP servers", [])] = None
    metadata: dict[str, Any] | None = None
    notes: bool | None = Field(None, description="false: no notes in this prompt")
    context_management: ContextManagement | None = None
    compaction: Annotated[Any, Refused("nothing is summed up here: leave it out")] = None
    thread: Any = Field(None, description="refused: send the whole conversation")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        prove_pairs(self.messages)
        names = [tool.name for tool in self.tools or []]
        prove_apart(names)
        if self.tool_choice is not None:
            self.tool_choice.neutral().prove(names)
        return self

    def records(self) -> list[Message]:
        """The conversation as the wire records have it, the system's text first."""
        system = "\n".join(block.text for block in self.system or [])
        first = [Message(role="system", content=system)] if system else []
        return first + [record for message in self.messages for record in message.records()]

    def offered(self) -> list[Json] | None:
        """The tools that the model is shown: all, the chosen one, or none."""
        names = [tool.name for tool in self.tools or []]
        only = self.tool_choice.neutral().only(names) if self.tool_choice else names
        return [tool.record() for tool in self.tools or [] if tool.name in only] or None

    @property
    def choice(self) -> ToolChoice | None:
        """Which tools may be called, as every API has it."""
        return self.tool_choice.neutral() if self.tool_choice else None

    @property
    def continues(self) -> bool:
        """Whether the reply goes on with the last message, which is the assistant's."""
        return self.messages[-1].role == "assistant"

    def constraint(self) -> Constraint | None:
        """What the reply must keep to, if anything."""
        return constraint_of(
            self.choice,
            self.tools or [],
            output_config__format=self.output_config.format if self.output_config else None,
        )


class MessagesRequest(CountRequest):
    """The body of POST /v1/messages."""

    max_tokens: ReplyTokens


def read_message(body: bytes) -> MessagesRequest:
    """Check the body of a request for a message. Raises: InvalidError, naming the parameter."""
    return read_form(MessagesRequest, body)


def read_count(body: bytes) -> CountRequest:
    """Check the body of a request for a count. Raises: InvalidError, naming the parameter."""
    return read_form(CountRequest, body)
