"""The body of a completion request, checked: an error names the parameter at fault.

Knows nothing of HTTP, tokens or the engine.
"""

from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from agent.api.fields import Refused, Structured, constraint_of
from agent.api.foreign import ReplyForm
from agent.api.openai import StreamOptions
from agent.api.sampling import Stops
from agent.http.form import read_form, refuse
from agent.turn.held.constraint import Constraint

DEFAULT_MAX_TOKENS: Final = 16  # as this API has always had it
MAX_REPLIES: Final = 32  # prompts × n: each takes a place in the engine's batch

Prompt = str | list[int]


def _listed(prompt: Any) -> Any:
    """Make a list of prompts of what may be one: a text, or the ids of its tokens."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt and all(_is_id(each) for each in prompt):
        return [prompt]
    if not isinstance(prompt, list) or not prompt:
        refuse("give a text, token ids, or a list of either")
    for number, each in enumerate(prompt):
        text = isinstance(each, str)
        if not text and not (isinstance(each, list) and each and all(map(_is_id, each))):
            refuse("prompt {number} is neither a text nor token ids", number=number)
    return prompt


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class CompletionRequest(ReplyForm):
    """The body of POST /v1/completions."""

    model: str
    prompt: Annotated[
        list[Prompt],
        BeforeValidator(_listed, json_schema_input_type=Prompt | list[Prompt]),
        Field(max_length=MAX_REPLIES, description="a text or token ids, or several of them"),
    ]
    n: int | None = Field(None, ge=1, le=MAX_REPLIES, description="choices of each prompt")
    best_of: int | None = Field(None, description="refused, but for n: nothing is ranked here")
    max_tokens: int | None = Field(None, ge=1, description="the context may hold less")
    stop: Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = Field(None, description="put the prompt before each reply")
    logprobs: int | None = Field(None, ge=0, le=5, description="likeliest tokens told; 0: chosen")
    structured_outputs: Structured = None
    suffix: Annotated[Any, Refused("a text cannot be filled in here: leave it out", "")] = None
    user: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        choices = self.n or 1
        if self.best_of not in (None, choices):
            refuse("best_of: nothing is ranked here: leave it out, or let it be n")
        if len(self.prompt) * choices > MAX_REPLIES:
            refuse("n: prompts times n are at most {most}", most=MAX_REPLIES)
        if self.echo and self.logprobs is not None:
            refuse("echo: the prompt's log-probabilities are not computed: leave out logprobs")
        if self.echo and not all(isinstance(prompt, str) for prompt in self.prompt):
            refuse("echo: only a text can be echoed, not token ids")
        return self

    def constraint(self) -> Constraint | None:
        """What the replies must keep to, if anything."""
        return constraint_of(None, (), structured_outputs=self.structured_outputs)


def read_completion(body: bytes) -> CompletionRequest:
    """Check the body of a completion request. Raises: InvalidError, naming the parameter."""
    return read_form(CompletionRequest, body)
