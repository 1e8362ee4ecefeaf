"""Settings of the agent. Parsed by deploy.settings.load; every field says its unit."""

import ipaddress
import logging
import re
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator

from agent.mcp.settings import ToolServer, prove_apart
from streams.records import Json
from streams.settings import Section

_LOG = logging.getLogger(__name__)

# Every model that can be asked for is one of these, or an alias of one.
MODEL = "quickset"

MAX_PENALTY: Final = 2.0
MAX_TOP_K: Final = 2**31 - 1  # more than any vocabulary has
# Beyond these a penalty decides alone what is said; they keep scores far from what floats can hold.
LEAST_REPETITION: Final = 0.01
MOST_REPETITION: Final = 100.0

# What a page's address begins with. Not "null", which any page can say that is put into a frame.
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?"
)
_PORTS: Final = {"http": 80, "https": 443}  # which browsers leave out

# A system prompt, a question and a short answer.
MIN_CONTEXT = 64


# scheme://name[:port][/path], without a user, a query or a fragment.
_ADDRESS: Final = re.compile(
    r"https?://(?:[\w.~-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?(?:/[\w.~/%-]*)?", re.ASCII
)

# What an operator may do, each role all that the ones before it may: look; change what serves;
# switch the learned weights off (agent.console.access.roles).
Role = Literal["viewer", "operator", "admin"]
# What an operator key without a role may do: as much as it could before there were roles, and
# nothing that came with them.
UNSTATED_ROLE: Role = "operator"


class OperatorKey(Section):
    """A console key, by its hash."""

    hash: str
    role: Role = UNSTATED_ROLE


class AgentSettings(Section):
    """Serving."""

    host: str = Field("127.0.0.1", description="address of the chat page and the API")
    port: int = Field(8321, ge=0, le=65535, description="0 takes a free one")
    console_host: str = Field(
        "127.0.0.1",
        description="address of the operators' console; loopback unless keys are set",
    )
    console_port: int = Field(8322, ge=0, le=65535, description="0 takes a free one")
    line: str = Field("main", description="the line of versions that this agent serves")
    threads: int = Field(0, ge=0, le=2**15, description="torch threads; 0 takes every core")
    max_batch: int = Field(16, ge=1, description="requests decoded together; more wait their turn")
    max_queue: int = Field(256, ge=1, description="requests that may wait; more are answered 429")
    context_tokens: int = Field(
        0,
        ge=0,
        description=(
            "prompt and reply together, at least 64 and never over the model's own; 0: the model's "
            "own (of the bundled one 8192), as far as agent.kv_tokens allows"
        ),
    )
    kv_tokens: int = Field(
        0,
        ge=0,
        description=(
            "prompt and reply tokens of all conversations together that may be in memory, at least "
            "64; memory is taken as they come, of the bundled model 46 kB each; 0: as many as one "
            "whole context has"
        ),
    )
    prefill_chunk_tokens: int = Field(
        128,
        ge=8,
        multiple_of=8,
        description="prompt tokens computed between two decode steps",
    )
    default_max_tokens: int = Field(
        512,
        ge=1,
        description="length of a reply when the request names none, tokens",
    )
    default_temperature: float = Field(
        0.2,
        ge=0,
        le=2,
        description="sampling temperature when the request names none; this, top_p, top_k, min_p "
        "and repetition_penalty, unless they are set: as the model's generation_config.json has "
        "it, where it does",
    )
    default_top_p: float = Field(
        0.9,
        gt=0,
        le=1,
        description="nucleus that is sampled from when the request names none",
    )
    default_top_k: int = Field(
        0,
        ge=-1,
        le=MAX_TOP_K,
        description="how many of the likeliest tokens are sampled from when the request does not "
        "say; 0 and -1: all",
    )
    default_min_p: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the likeliest token's probability that a sampled one has at least, "
        "when the request names none",
    )
    default_frequency_penalty: float = Field(
        0.3,
        ge=-MAX_PENALTY,
        le=MAX_PENALTY,
        description="off a token each time that the reply has it, where the request names neither "
        "this nor a temperature and wants text, neither calls nor JSON; unless it is set: 0 where "
        "the model suggests how it is sampled",
    )
    default_repetition_penalty: float = Field(
        1.0,
        ge=LEAST_REPETITION,
        le=MOST_REPETITION,
        description="by what tokens of prompt and reply are less likely again when the request "
        "does not say; 1: by nothing",
    )
    requests_per_minute: int = Field(
        0,
        ge=0,
        description=(
            "requests of one API key in a minute, which may come at once; more are answered 429; "
            "0: no limit"
        ),
    )
    replies_per_key: int = Field(
        128,
        ge=0,
        description=(
            "replies of one API key that wait or are made at once, so that it cannot fill the "
            "queue; more are answered 429; 0: no limit"
        ),
    )
    max_body_bytes: int = Field(2**20, ge=1024, description="largest request body")
    truncation: Literal["auto", "disabled"] = Field(
        "auto",
        description=(
            "what becomes of a conversation that does not fit and does not say it itself: answered "
            "without its oldest exchanges, and told so, or, with disabled, refused"
        ),
    )
    keep_alive_s: float = Field(
        15.0,
        gt=0,
        le=30,  # the chat page gives up a reply of which it has heard nothing for twice as long
        description=(
            "a stream that has said nothing for so long, because its request waits for a place, "
            "says so in a comment, seconds"
        ),
    )
    aliases: dict[str, str] = Field(
        {},
        description=(
            'other names of models, for clients that ask for a fixed one: {"gpt-4o-mini": '
            '"quickset"}, or of a version, "quickset@stable"'
        ),
    )
    retry_calls: bool = Field(
        True,
        description=(
            "sample a tool call again, held to the form of one, when it cannot be read or is of no "
            "tool on offer; once a reply"
        ),
    )
    notes: Literal["auto", "on", "off"] = Field(
        "auto",
        description=(
            "whether a wish stands in its principal's prompts until the weights hold it; auto: "
            "where keys tell people apart, or agent.host is this machine's own"
        ),
    )
    tools: dict[str, ToolServer] = Field(
        {},
        description=(
            "MCP servers whose tools the agent calls itself, by name: command, args, env, or url, "
            "headers; allow, the tools that may be called; approval (never, always, or names); "
            "timeout_s. docs/MCP.md"
        ),
    )
    tool_steps: int = Field(
        4, ge=1, le=32, description="how often such calls may follow each other for one request"
    )
    tool_seconds: float = Field(
        60.0, gt=0, description="longest that all such calls for one request take, seconds"
    )
    tool_bytes: int = Field(
        16_384, ge=256, le=2**20, description="longest result that the model reads; more is cut"
    )
    drain_s: float = Field(20.0, ge=0, description="grace for running replies at SIGTERM")
    keys: dict[str, str] = Field(
        {},
        description="API keys: name → SHA-256 of the key, hex; none: everybody may chat",
    )
    operator_keys: dict[str, OperatorKey] = Field(
        {},
        description=(
            'console keys: name → {hash = "<SHA-256, hex>", role = "viewer", "operator" or '
            '"admin"}, as `quickset keys new` prints them; a hash alone is an operator\'s; none: '
            "loopback only"
        ),
    )
    session_s: float = Field(
        12 * 3600.0,
        gt=0,
        description="length of a console session until the key is asked for again, seconds",
    )
    session_idle_s: float = Field(
        3600.0,
        ge=0,
        description="a console session that asks for nothing for so long ends, "
        "seconds; 0: none does",
    )
    score_names: tuple[str, ...] = Field(
        ("user-feedback", "feedback", "thumb", "thumbs", "rating", "helpfulness", "correctness"),
        description=(
            "names of Langfuse scores that are taken for a person's verdict on a reply, however "
            "they are spelt; others are refused"
        ),
    )
    origins: tuple[str, ...] = Field(
        (),
        description=(
            "web origins besides our own whose pages may call the API (CORS), such as "
            "https://chat.example.org"
        ),
    )
    public_url: str | None = Field(
        None,
        description=(
            "address under which others reach the API, for links to feedback and the page "
            "/connect, such as https://chat.example.org; none: the one under which it is asked, "
            "which is http behind a proxy that ends TLS"
        ),
    )
    response_secret: Path | None = Field(
        None,
        description=(
            "file with the secret that signs response ids, one for all replicas (openssl rand -hex "
            "32 makes one; a file that is named must be there); none: made in streams.home"
        ),
    )

    def context_of(self, model_tokens: int) -> int:
        """How many tokens prompt and reply may have together.

        model_tokens: what the model was made for
        """
        tokens = min(self.context_tokens or model_tokens, model_tokens)
        return min(tokens, self.kv_tokens or tokens)

    def sampling_as(self, suggested: Json) -> Self:
        """Return the settings with a model's suggestions where nothing else is set.

        What these settings could not be is left out, and the log says so: it is no more than
        advice.

        suggested: by the name of the request's parameter, as a file has it
        """
        taken: dict[str, Any] = {}
        for said, value in suggested.items():
            name = f"default_{said}"
            try:
                taken[name] = getattr(type(self).model_validate({name: value}), name)
            except ValidationError as cause:
                why = cause.errors(include_input=False)[0]["msg"]
                _LOG.warning("the model suggests %s %r, left out: %s", said, value, why)
        if taken:  # it was found so without a penalty, and stands long replies without one
            taken["default_frequency_penalty"] = 0.0
        unset = {name: taken[name] for name in taken if name not in self.model_fields_set}
        return self.model_copy(update=unset)

    @field_validator("context_tokens", "kv_tokens")
    @classmethod
    def _holds_something(cls, tokens: int) -> int:
        if 0 < tokens < MIN_CONTEXT:
            raise ValueError(f"{tokens} tokens hold no conversation: 0, or at least {MIN_CONTEXT}")
        return tokens

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not _ADDRESS.fullmatch(url):
            raise ValueError(f"{url!r} is no address such as https://chat.example.org")
        return url.rstrip("/")

    @field_validator("tools")
    @classmethod
    def _are_apart(cls, tools: dict[str, ToolServer]) -> dict[str, ToolServer]:
        prove_apart(tools)
        return tools

    @field_validator("operator_keys", mode="before")
    @classmethod
    def _hash_alone(cls, keys: Any) -> Any:
        """Read the older form, name → hash."""
        if not isinstance(keys, dict):
            return keys
        return {n: {"hash": key} if isinstance(key, str) else key for n, key in keys.items()}

    @field_validator("origins")
    @classmethod
    def _as_browsers_say(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin_of(each) for each in origins)

    @field_validator("aliases")
    @classmethod
    def _are_ours(cls, aliases: dict[str, str]) -> dict[str, str]:
        for alias, name in aliases.items():
            if name.partition("@")[0].partition(":")[0] != MODEL:
                raise ValueError(f"{alias} names {name!r}, which is not {MODEL} or {MODEL}@…")
            if alias.startswith(MODEL):
                raise ValueError(f"{alias} is a name of our own: choose another alias")
        return aliases


def origin_of(text: str) -> str:
    """Return an origin as browsers say it, with which it is compared. Raises: ValueError.

    >>> origin_of("HTTPS://Chat.example.org:443/")
    'https://chat.example.org'
    """
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        raise ValueError(
            f"{text!r} is no origin: write scheme://host or scheme://host:port, such as"
            " https://chat.example.org, and each of several"
        )
    scheme, host, port = found.groups()
    is_usual = port is None or int(port) == _PORTS.get(scheme)
    return f"{scheme}://{host}" if is_usual else f"{scheme}://{host}:{int(port)}"


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
