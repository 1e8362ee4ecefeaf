"""The bodies that the console takes, and the JSON that it answers them with."""

from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from agent.compare import MAX_PROMPTS, MAX_TOKENS
from agent.errors import InvalidError, TooLargeError
from agent.http import edge
from agent.http.form import Form, read_form
from agent.settings import Role
from streams.records import LearnOrder, Rollout

MAX_PROMPT_CHARS = 4000
SMALL_BYTES = 16 * 1024  # a reason, or a key
# The prompts of a comparison, of which any character may take six bytes of JSON.
MAX_BODY_BYTES = 256 * 1024
Body = TypeVar("Body", bound=Form)


class OrderRequest(Form):
    """The body of an order: why."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: str = Field(min_length=1, max_length=500)


class ChangeRequest(OrderRequest):
    """The body of a change: why, and which state of the line the operator was looking at."""

    expected_seq: int | None = Field(None, ge=0)


class Told(TypedDict):
    """A change that was made: its record."""

    rollout: Rollout


class Ordered(TypedDict):
    """An order that was made: its record."""

    order: LearnOrder


Named = Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1, max_length=64)]
Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS)]


class CompareRequest(Form):
    """The body of a comparison: two versions and what both shall answer.

    a, b: a number on the way to what serves, 0 for the base; or a name, how it begins, or base,
        stable, previous or candidate
    """

    model_config = ConfigDict(extra="forbid")

    a: Named
    b: Named
    prompts: list[Prompt] = Field(min_length=1, max_length=MAX_PROMPTS)
    max_tokens: int = Field(96, ge=1, le=MAX_TOKENS)


class Answered(TypedDict):
    """What one version answered."""

    text: str
    tokens: int
    finish: str


class Pair(TypedDict):
    """A prompt, and what both answered."""

    prompt: str
    a: Answered
    b: Answered


class Compared(TypedDict):
    """What two versions, here by name, answered to the same prompts."""

    a: str
    b: str
    answers: list[Pair]


class LoginRequest(Form):
    """The body of a login."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=1000)


class Session(TypedDict):
    """Whoever is logged in, and what a page of theirs needs."""

    operator: str
    role: Role
    csrf: str
    can_log_out: bool
    now_ms: int


class Done(TypedDict):
    """Nothing more is said."""


async def read(request: web.Request, form: type[Body], *, most_bytes: int = SMALL_BYTES) -> Body:
    """Check a JSON body. Raises: InvalidError, which names the parameter; TooLargeError."""
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    if request.content_type != "application/json":
        raise InvalidError("send the body as application/json")
    body = await edge.read_body(request)
    if len(body) > most_bytes:  # it came packed, or without saying how long it is
        raise _too_large(most_bytes)
    return read_form(form, body)


def _too_large(most_bytes: int) -> TooLargeError:
    return TooLargeError(f"the body is larger than {most_bytes} bytes: shorten it")
