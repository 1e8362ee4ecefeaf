"""The body of a request for a response, checked: an error names the parameter at fault.

Knows nothing of HTTP, tokens or the engine.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from agent.api.fields import (
    Choice,
    Format,
    Refused,
    constraint_of,
    prove_apart,
)
from agent.api.foreign import ReplyForm
from agent.api.responses.items import Items
from agent.api.responses.tools import FunctionTool, McpTool, Tool
from agent.engine.sampler import MAX_TOP
from agent.http.form import Form, read_form, refuse
from agent.settings import MODEL
from agent.turn.held.constraint import Constraint
from streams.records import Json

MAX_TOOLS: Final = 128
MAX_METADATA: Final = 16  # OpenAI's own limits
LOGPROBS: Final = "message.output_text.logprobs"

# What a client may ask to be included; only log-probabilities ever are, the rest is of items that
# this server never makes.
Include = Literal[
    "message.output_text.logprobs", "reasoning.encrypted_content", "file_search_call.results",
    "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
]  # fmt: skip
_THINKS = "this model does not reason before it answers: leave it out"


class TextConfig(Form):
    """The form of the reply's text."""

    format: Format = None
    verbosity: Annotated[Any, Refused("replies have one verbosity: leave it out", "medium")] = None


class ResponsesStreamOptions(Form):
    """What a stream shall carry beside the reply; nothing is ever hidden in one."""

    include_obfuscation: bool | None = None


class Reasoning(Form):
    """How the model shall think; refused, but for nothing at all."""

    effort: Annotated[Any, Refused(_THINKS, "none")] = None
    mode: Annotated[Any, Refused(_THINKS, "standard")] = None
    summary: Annotated[Any, Refused(_THINKS)] = None
    generate_summary: Annotated[Any, Refused(_THINKS)] = None


Key = Annotated[str, StringConstraints(max_length=64)]
Value = Annotated[str, StringConstraints(max_length=512)]


class ResponsesRequest(ReplyForm):
    """The body of POST /v1/responses."""

    model: str
    input: Items = Field([], description="needed, but for previous_response_id")
    instructions: str | None = Field(None, description="for this response alone")
    previous_response_id: str | None = Field(None, description="the response that it goes on from")
    store: bool | None = Field(None, description="false: not to be asked for again, nor learned")
    stream: bool | None = None
    stream_options: ResponsesStreamOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1, description="the context may hold less")
    max_tool_calls: int | None = Field(
        None, ge=1, description="of tools that the agent calls itself"
    )
    tools: Annotated[list[Tool] | None, Field(max_length=MAX_TOOLS)] = None
    tool_choice: Choice = None
    parallel_tool_calls: bool | None = Field(None, description="false: one call a reply")
    text: TextConfig | None = None
    include: list[Include] | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_TOP)
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Annotated[dict[Key, Value] | None, Field(max_length=MAX_METADATA)] = None
    notes: bool | None = Field(None, description="false: no notes in this prompt")
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = Field(None, description="ignored: there is one")
    reasoning: Reasoning | None = None
    background: Annotated[Any, Refused("nothing runs in the background here", False)] = None
    conversation: Annotated[Any, Refused("send previous_response_id instead")] = None
    context_management: Annotated[
        Any, Refused("nothing is compacted here: send truncation instead", [])
    ] = None
    moderation: Annotated[Any, Refused("no reply is moderated here: leave it out")] = None
    prompt: Annotated[Any, Refused("no prompts are kept here: send instructions")] = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.top_logprobs and not self.logprobs:
            refuse("top_logprobs: it goes with include, which must have {what}", what=LOGPROBS)
        names = [tool.name for tool in self.functions]
        prove_apart(names)
        prove_apart([server.server_label for server in self.servers])
        if self.tool_choice is not None:
            self.tool_choice.prove(names)
        if not self.input and self.previous_response_id is None:
            refuse("input: there is nothing to answer")
        return self

    def offered(self) -> list[Json] | None:
        """The tools that the model is shown: all, the chosen ones, or none."""
        names = [tool.name for tool in self.functions]
        only = self.tool_choice.only(names) if self.tool_choice else names
        return [tool.record() for tool in self.functions if tool.name in only] or None

    def constraint(self) -> Constraint | None:
        """What the reply must keep to, if anything."""
        return constraint_of(
            self.tool_choice,
            self.functions,
            text__format=self.text.format if self.text else None,
        )

    @property
    def functions(self) -> list[FunctionTool]:
        """The tools that the client runs."""
        return [tool for tool in self.tools or [] if isinstance(tool, FunctionTool)]

    @property
    def servers(self) -> list[McpTool]:
        """The agent's own servers that are named."""
        return [tool for tool in self.tools or [] if isinstance(tool, McpTool)]

    @property
    def logprobs(self) -> bool:
        """Whether the tokens' log-probabilities are to be told."""
        return LOGPROBS in (self.include or [])


def _model(value: Any) -> Any:
    return MODEL if value is None else value


class InputTokensRequest(ResponsesRequest):
    """The body of POST /v1/responses/input_tokens: a request for a response, which is not made."""

    model: Annotated[str, BeforeValidator(_model, json_schema_input_type=str | None)] = MODEL


def read_response(body: bytes) -> ResponsesRequest:
    """Check the body of a request for a response. Raises: InvalidError, naming the parameter."""
    return read_form(ResponsesRequest, body)


def read_count(body: bytes) -> InputTokensRequest:
    """Check the body of a request to count. Raises: InvalidError, naming the parameter."""
    return read_form(InputTokensRequest, body)
