"""Settings of what crosses processes. Parsed by deploy.settings.load; every field says its unit."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from streams.errors import SecretError

MOST_WHOLE: Final = 2**53  # what every database, and every reader of JSON, takes as a whole number
MOST: Final = 1e9  # of others; as seconds some thirty years, and threads wait for no longer
# What a URL may hold that is secret: user:password@, and what its query calls a password or a key.
_PASSWORD: Final = re.compile(r"(:/+[^:/@\s]*):[^@]*@(?:\S*@)?")
_QUERY: Final = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|token|secret|key)=)[^&;#\s]+", re.IGNORECASE
)


def masked(value: Any) -> Any:
    """Return a value, of whatever it is made, with the passwords of its URLs hidden.

    >>> masked(["https://bot:s3cret@chat.example.org/hooks"])
    ['https://bot:***@chat.example.org/hooks']
    >>> masked("postgresql://db/quickset?user=me&password=s3cret")
    'postgresql://db/quickset?user=me&password=***'
    """
    if isinstance(value, dict):
        return {name: masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(masked, value))
    if not isinstance(value, str):
        return value
    # A password ends at an @: behind the last one none is looked for, at each colon anew, in vain.
    before, at, after = value.rpartition("@")
    return _QUERY.sub(r"\1***", _PASSWORD.sub(r"\1:***@", before + at) + after)


def prove_http(setting: str, url: str) -> None:
    """Prove that a URL is one of HTTP and names a host. Raises: ValueError, without the URL."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{setting} must begin with http:// or https://")
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # such as half an IPv6 address, or a port that is no number
        named = False
    if not named:
        raise ValueError(
            f"{setting} names no host that could be asked: write it as https://host:port/path, and"
            " %40, %3A, %2F for @, : and / in a password"
        )


def secret_in(setting: str, file: Path) -> bytes:
    """Read the file that a setting names for the secret in it, without the white space around.

    raises: SecretError naming both, when it cannot be read or is empty
    """
    try:
        secret = file.expanduser().read_bytes().strip()
    except (OSError, RuntimeError) as cause:  # RuntimeError: ~name, of nobody
        why = cause.strerror if isinstance(cause, OSError) else cause
        raise SecretError(f"{setting}: {file} cannot be read: {why}") from cause
    if not secret:
        raise SecretError(f"{setting}: {file} is empty")
    return secret


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of which none is there twice. Raises: ValueError naming the first that is.

    >>> distinct(("a", "b"))
    ('a', 'b')
    """
    for at, name in enumerate(names):
        if name in names[:at]:
            raise ValueError(f"{name} is named twice")
    return names


Names = Annotated[tuple[str, ...], AfterValidator(distinct)]


class Section(BaseModel):
    """A part of the settings: immutable, an unknown name is an error, and values are usable ones.

    Not a number, infinity and 1e308 pass most limits, and end a process hours later: where it waits
    so many seconds, or writes them into a table. And an empty text, such as a variable that was to
    be filled in, is an address that means all of them, or a path that means this folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object, info: ValidationInfo) -> object:
        empty = isinstance(value, str) and not value.strip()
        if empty and cls.model_fields[info.field_name or ""].default != "":
            raise ValueError("it is empty: leave it out, or give a value")
        if isinstance(value, dict) and "" in value:
            raise ValueError("one entry has no name")
        return value

    @field_validator("*")
    @classmethod
    def _usable(cls, value: object) -> object:
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, int | float) and not isinstance(each, bool):
                most = MOST_WHOLE if isinstance(each, int) else MOST
                if not -most <= each <= most:
                    raise ValueError(f"the number should be between {-most:.0f} and {most:.0f}")
        return value


class ModelSettings(Section):
    """The base model."""

    path: Path | None = Field(
        None, description="Hugging Face model directory; none: the bundled SmolLM2-135M-Instruct"
    )
    cache: Path = Field(Path("~/.cache/quickset"), description="where converted models are kept")
    device: str = Field(
        "cpu",
        description="where the weights lie and everything computes: cpu, cuda, or cuda:N",
    )
    backend: Literal["auto", "reference", "cpu", "triton"] = Field(
        "auto",
        description="arithmetic of perturbations; auto: cpu on a processor, triton on a GPU;"
        " reference: slow, to compare with",
    )

    @field_validator("device")
    @classmethod
    def _known_device(cls, name: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise ValueError(f"unknown device {name!r}: choose cpu, cuda or cuda:N")
        return name


class StreamsSettings(Section):
    """The log, the store and the spool."""

    home: Path = Field(
        Path(".quickset"), description="folder of the embedded log, store, spool and artefacts"
    )
    log: str = Field("sqlite", description="sqlite, or kafka://host:port[,host:port…]")
    store: str | None = Field(
        None, description="SQLAlchemy URL; none: SQLite in home. DATABASE_URL sets it too"
    )
    topic_prefix: str = Field(
        "",
        pattern="^[a-zA-Z0-9._-]{0,64}$",
        description="put before the names of Kafka's topics and groups, to share a cluster",
    )
    replication: int = Field(
        1,
        ge=1,
        le=2**15 - 1,
        description="copies of each partition that `streams init` asks Kafka for",
    )
    partitions: int = Field(6, ge=1, le=2**31 - 1, description="partitions of turns and feedback")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    tls_ca: Path | None = Field(None, description="certificate authority of the brokers, PEM")
    tls_certificate: Path | None = Field(None, description="our certificate for the brokers, PEM")
    tls_key: Path | None = Field(None, description="its private key, PEM")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password_file: Path | None = Field(None, description="file that holds the SASL password")
    retention_days: int = Field(
        90,
        ge=1,
        le=36_500,
        description="how long turns, feedback, judgements and dead letters stay in the log, and"
        " what turns said in the store; recipes and rollouts stay for ever",
    )
    snapshots: Path | None = Field(
        None, description="folder of the snapshots, which replicas may share; none: in home"
    )
    snapshot_every: int = Field(
        50,
        ge=0,
        description="versions from one snapshot of the weights' integers to the next, so that a"
        " start repeats no more of the ledger; 0: no snapshots",
    )
    snapshots_kept: int = Field(3, ge=1, description="snapshots that are kept, the newest ones")
    max_record_bytes: int = Field(
        4 * 2**20,
        ge=1024,
        le=2**30,
        description="larger records go to dead letters; raised on Kafka, the topics take more only"
        " after `streams init`",
    )
    spool_bytes: int = Field(
        256 * 2**20, ge=2**16, description="disk that may be used by what waits for the log"
    )
    spool_when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest"


class RolloutSettings(Section):
    """How a version that has passed the gate comes to serve."""

    policy: Literal["direct", "staged", "approve", "two-person", "shadow"] = Field(
        "direct",
        description="direct: it serves everybody at once; staged: a share of the sessions, growing"
        " on evidence; approve: the same, but an operator starts and promotes it; two-person:"
        " another operator promotes it than started it; shadow: it first answers beside what"
        " serves, unseen, and then as staged",
    )
    steps: tuple[float, ...] = Field(
        (0.05, 0.25, 0.5),
        min_length=1,
        description="shares of the sessions that a candidate answers, step by step; after the last"
        " one it serves everybody",
    )
    shadow_share: float = Field(
        0.1,
        gt=0,
        le=1,
        description="share of the sessions whose requests a candidate answers, too, unseen (policy"
        " shadow): what it may cost; such replies are made while no other is, or not at all",
    )
    soak_s: float = Field(600.0, ge=0, description="least time at each step, seconds")
    deadline_s: float = Field(
        86_400.0,
        gt=0,
        description="a step that could not be decided for so long is held, seconds",
    )
    alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="chance of a wrong decision by evidence in one trial, one half to each side,"
        " however often one looks",
    )
    margin: float = Field(
        0.2,
        gt=0,
        lt=2,
        description="promoted when it is not judged worse by more than this, on a scale from −1"
        " to 1, with all of alpha's certainty",
    )
    min_principals: int = Field(
        5, ge=2, description="principals that must be heard on each version before a step"
    )
    voice_turns: int = Field(
        3, ge=1, description="judged turns that make up what a principal says of a version"
    )
    voice_s: float = Field(
        600.0,
        gt=0,
        description="after its first judged turn a principal is heard with fewer, seconds",
    )
    max_complaints: float | None = Field(
        0.15, ge=0, le=1, description="rise of the share of judged turns that are complaints that"
        " aborts a trial once it is certain; null: not watched",
    )  # fmt: skip
    max_refusals: float | None = Field(
        0.1, ge=0, le=1, description="rise of the share of replies that open by declining, likewise"
    )
    max_errors: float | None = Field(
        0.05, ge=0, le=1, description="rise of the share of replies that broke off, likewise"
    )
    max_invalid_calls: float | None = Field(
        0.05,
        ge=0,
        le=1,
        description="rise of the share of replies with an invalid tool call, where tools are"
        " offered, likewise",
    )
    max_length_tokens: float | None = Field(
        128.0, ge=0, description="rise of the mean length of replies, tokens, likewise"
    )
    max_latency_ms: float | None = Field(
        100.0,
        ge=0,
        description="rise of the time from token to token, a reply's median and the mean of these,"
        " milliseconds, likewise",
    )
    max_aboutness_nats: float | None = Field(
        0.5,
        ge=0,
        description="fall of how far replies are about what was asked, nats a token, likewise; what"
        " the learner has time to read of them",
    )
    max_liked_nats: float | None = Field(
        0.5,
        ge=0,
        description="fall of how likely the candidate makes what people liked, nats a token,"
        " likewise: replies judged good, and accepted rewrites; where there are any",
    )
    uninformative_probe: Literal["hold", "pass"] = Field(
        "hold",
        description="what becomes of a candidate of which a probe of the gate can say nothing",
    )
    pile_up: Literal["wait", "replace"] = Field(
        "wait",
        description="wait: no newer candidate is made while one is on trial; replace: it takes"
        " the place of the one on trial",
    )
    webhook: str | None = Field(
        None,
        description="URL that is told when a trial is held, aborted or completed, with user and"
        " password (https://user:password@host/…) where it asks for them; none: nobody",
    )
    webhook_secret: Path | None = Field(
        None, description="file with the secret that signs what the webhook is told (HMAC-SHA-256)"
    )

    @field_validator(
        "max_complaints", "max_refusals", "max_errors", "max_invalid_calls", "max_length_tokens",
        "max_latency_ms", "max_aboutness_nats", "max_liked_nats", mode="before",
    )  # fmt: skip
    @classmethod
    def _may_be_off(cls, value: object) -> object:
        """Files and flags have no null of their own: it is written as the word."""
        return None if value == "null" else value

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of the steps; 0 is the one of a candidate that nobody sees."""
        return (0.0, *self.steps) if self.policy == "shadow" else self.steps

    @property
    def asks_operator(self) -> bool:
        """Whether nothing serves everybody, or goes back, without an operator."""
        return self.policy in ("approve", "two-person")

    @property
    def replaces(self) -> bool:
        """Whether a newer candidate takes the place of the one on trial."""
        return self.policy != "direct" and self.pile_up == "replace"

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if not all(0 < share < 1 for share in self.steps):
            raise ValueError("rollout.steps are shares between 0 and 1, such as 0.05, 0.25, 0.5")
        if any(low >= high for low, high in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("rollout.steps must grow from step to step")
        if self.webhook is not None:
            prove_http("rollout.webhook", self.webhook)
            if self.webhook_secret is None:
                raise ValueError("rollout.webhook needs rollout.webhook_secret, to be believed")
        return self


class OtelSettings(Section):
    """Traces, by OpenTelemetry (extra otel)."""

    endpoint: str | None = Field(
        None,
        description="URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; "
        "none: no spans are made",
    )

    @field_validator("endpoint")
    @classmethod
    def _is_http(cls, endpoint: str | None) -> str | None:
        if endpoint is not None:
            prove_http("otel.endpoint", endpoint)
        return endpoint


NO_OTEL: Final = OtelSettings()

# How a service begins: what passes the gate serves at once.
DIRECT: Final = RolloutSettings()
