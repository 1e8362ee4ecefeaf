"""A turn, and its pieces: what was asked, how the reply was sampled, what came of it.

Knows nothing of how records become bytes.
"""

from typing import ClassVar, Literal

from pydantic import Field

from streams.wire import Json, Part, Record

HASH = "^[0-9a-f]{32}$"  # 128 bits, of a hash or drawn
MAX_CONSTRAINT_CHARS = 65_536  # a schema that is longer is named by its digest alone


class Message(Part):
    """One message of a conversation, in OpenAI's form; content parts are joined to text."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    name: str | None = None
    tool_calls: list[Json] | None = None
    tool_call_id: str | None = None


class Constraint(Part):
    """What a reply was held to while it was sampled: tokens that cannot lead there were masked."""

    kind: Literal["json_object", "json_schema", "regex", "choice", "grammar", "tool_call"]
    digest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its text, UTF-8")
    text: str | None = Field(
        default=None,
        max_length=MAX_CONSTRAINT_CHARS,
        description="the schema, expression or grammar; none: longer than is kept",
    )


class Sampling(Part):
    """How the tokens of a reply were chosen; what is left at its default changes nothing."""

    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(gt=0)
    seed: int
    stop: list[str] = Field(default=[])
    top_k: int = Field(default=0, ge=0, description="the likeliest tokens that are left; 0: all")
    min_p: float = Field(
        default=0.0, ge=0, le=1, description="least share of the likeliest token's probability"
    )
    presence_penalty: float = Field(
        default=0.0, description="taken from the score of each token that the reply has, nats"
    )
    frequency_penalty: float = Field(
        default=0.0, description="taken from a token's score each time that the reply has it, nats"
    )
    repetition_penalty: float = Field(
        default=1.0,
        gt=0,
        description="divides scores above 0, multiplies others, of tokens in prompt or reply",
    )
    logit_bias: dict[int, float] = Field(
        default={}, description="token id → what is added to its score, nats"
    )
    constraint: Constraint | None = None


_SAMPLING_OF_V3 = (
    "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias",
    "constraint",
)  # fmt: skip


def beside_id(turn_id: str) -> str:
    """Return the id of the reply that nobody sees beside a turn's, as it is recorded.

    >>> beside_id("resp_1")
    'resp_1-beside'
    """
    return f"{turn_id}-beside"


class Turn(Record):
    """One reply to one request, exactly as it was sampled."""

    KIND: ClassVar[str] = "turn"
    VERSION: ClassVar[int] = 5
    ADDED: ClassVar[dict[str, int]] = {
        "member": 2,
        **{f"sampling.{name}": 3 for name in _SAMPLING_OF_V3},
        "follows": 3, "client": 3, "delivered": 3, "body_key": 3, "idempotency_key": 3, "trace": 3,
        "notes": 3, "cut_messages": 3, "cut_tokens": 3, "continues": 3, "response": 3,
        "forced": 4, "broken_calls": 4,
        "inner": 5, "pinned": 5, "beside": 5, "gap_ms": 5,
    }  # fmt: skip

    id: str
    line: str
    version: str
    member: int | None = Field(
        default=None, ge=0, description="member of a generation that answered; none: the version"
    )
    principal: str
    session: str
    prefix_key: str = Field(description="hash of the conversation before the reply")
    key: str = Field(description="hash of the conversation up to and including the reply")
    messages: list[Message] = Field(description="the request's messages")
    tools: list[Json] | None = None
    reply: Message
    prompt_token_ids: list[int]
    token_ids: list[int] = Field(description="the reply's tokens, stop token included if sampled")
    logprobs: list[float] = Field(description="log π(token), nats, at temperature 1, no truncation")
    sampling_logprobs: list[float] = Field(
        description="log-probability, nats, of the distribution that the token was drawn from"
    )
    sampling: Sampling
    finish_reason: Literal["stop", "length", "tool_calls", "cancelled"]
    learn: bool = Field(description="false: the client asked not to be learned from")
    purpose: Literal["main", "side", "chore"] = Field(
        description="side: marked by the client; chore: a client's own title, tag or"
        " follow-up request"
    )
    created_ms: int
    follows: str | None = Field(
        default=None, description="id of the turn that the client named as the one before"
    )
    client: str | None = Field(
        default=None, max_length=64, description="first product of the User-Agent header"
    )
    delivered: bool | None = Field(
        default=None,
        description="whether the last byte was handed to a socket that was still there, and"
        " nothing had broken off; none: unknown",
    )
    body_key: str | None = Field(
        default=None,
        pattern=HASH,
        description="hash of principal and canonical body: the same for an identical resend",
    )
    idempotency_key: str | None = Field(
        default=None, pattern=HASH, description="hash of principal and Idempotency-Key header"
    )
    trace: str | None = Field(
        default=None, pattern=HASH, description="trace id (W3C Trace Context), given or new"
    )
    notes: list[str] = Field(
        default=[], description="ids of the standing instructions that were put into the prompt"
    )
    cut_messages: int = Field(
        default=0,
        ge=0,
        description="oldest messages, system and developer ones not counted, that are in"
        " `messages` but were left out of the prompt",
    )
    cut_tokens: int = Field(default=0, ge=0, description="by how many tokens that made it shorter")
    continues: bool = Field(
        default=False,
        description="the reply goes on with the last message, which is the assistant's: `key` is"
        " of both as one message, `prefix_key` of what stands before it",
    )
    response: Json | None = Field(
        default=None,
        description="of a reply that may be asked for again by its id: what the API shows of it"
        " beside messages, tools and reply; none: it may not",
    )
    forced: list[int] = Field(
        default=[],
        description="places in `token_ids` where a constraint's mask took so much of the model's"
        " probability that the token is its choice and not the model's: nothing is learned from it",
    )
    broken_calls: list[str] = Field(
        default=[],
        description="what was meant as a tool call and is none (malformed, of no tool on offer, or"
        " cut), as it was sampled; no part of the reply",
    )
    inner: list[int] = Field(
        default=[],
        description="places in `messages` of calls that the agent made itself, and of their"
        " results: `key` and `prefix_key` are without them, as the client has them not. The results"
        " are tainted: nothing that they say is ever a reward, a hint or an instruction",
    )
    pinned: bool = Field(
        default=False,
        description="the client named what was to answer, a version or the stable one: its session"
        " was assigned nothing, and says nothing of a candidate on trial",
    )
    beside: str | None = Field(
        default=None,
        description="id of the turn whose request this reply answered, too: nobody has seen it"
        " (rollout.policy shadow); none: it was shown",
    )
    gap_ms: float | None = Field(
        default=None,
        ge=0,
        description="median time from one token of the reply to the next, milliseconds; none: it"
        " has fewer than two",
    )
