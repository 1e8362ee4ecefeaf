"""The store's tables: what the learner derived, with the offset that it derived it from.

One SQL transaction holds an offset and everything derived up to it, so a crash repeats nothing and
loses nothing. Times are Unix milliseconds of the records (event time), so that a replay of the log
gives the same rows. Created and changed by the migrations in deploy/migrations only.
"""

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, LargeBinary, UniqueConstraint
from sqlmodel import AutoString, Field, SQLModel

from streams.records import State, Verb
from streams.store.any_text import hold_any_text
from streams.store.states import GenerationState, TurnState


class Row(SQLModel):
    """Root of the tables."""

    __tablename__: ClassVar[str]


class OffsetRow(Row, table=True):
    """The next offset that a consumer group will read of a partition."""

    __tablename__ = "offsets"

    group: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next_offset: int = Field(sa_type=BigInteger)


class SeenRow(Row, table=True):
    """A record id that a group has used: a second one is dropped."""

    __tablename__ = "seen"

    group: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    time_ms: int = Field(sa_type=BigInteger, index=True, description="when the log took it")


class LeaseRow(Row, table=True):
    """Who may write for a line; the epoch grows with every new holder and fences the old one."""

    __tablename__ = "leases"

    name: str = Field(primary_key=True)
    holder: str
    epoch: int
    expires_ms: int = Field(sa_type=BigInteger)


class OutboxRow(Row, table=True):
    """A record that must reach the log because its transaction committed."""

    __tablename__ = "outbox"
    # A number is never used twice, so that a row is not taken for one that was published before.
    __table_args__: ClassVar[dict[str, Any]] = {"sqlite_autoincrement": True}

    number: int | None = Field(default=None, primary_key=True)
    topic: str
    key: str
    id: str
    value: bytes = Field(sa_type=LargeBinary)


class TurnRow(Row, table=True):
    """A turn and what became of it (its states: streams.store.states).

    Of a forgotten one only ids, times and counts are left, so that what it moved can be named.
    """

    __tablename__ = "turns"

    id: str = Field(primary_key=True)
    line: str = Field(index=True)
    version: str = Field(index=True)
    member: int | None = Field(default=None, description="of a generation; none: the version")
    principal: str = Field(index=True)
    session: str = Field(index=True)
    key: str = Field(index=True, description="hash of the conversation including the reply")
    prefix_key: str = Field(index=True)
    state: TurnState = Field(sa_type=AutoString, index=True)
    sequence: int = Field(
        sa_type=BigInteger, index=True, description="order of arrival at the learner"
    )
    record: dict[str, Any] = Field(sa_type=JSON, description="the Turn as decoded")
    next_state: list[Any] | None = Field(
        default=None, sa_type=JSON, description="the messages that followed"
    )
    next_kind: str | None = Field(default=None, description="reply, retry or branch")
    next_ms: int | None = Field(
        default=None,
        sa_type=BigInteger,
        description="event time of the request that carried next_state",
    )
    target: dict[str, Any] | None = Field(
        default=None,
        sa_type=JSON,
        description="the hinted rewrite: hint, teacher version, token ids",
    )
    uses: int = Field(default=0, description="generations that this turn has scored")
    created_ms: int = Field(
        sa_type=BigInteger, index=True, description="by the clock of the agent that replied"
    )
    taken_ms: int = Field(sa_type=BigInteger, index=True, description="when the log took it")


class JudgementRow(Row, table=True):
    """A verdict on a turn."""

    __tablename__ = "judgements"

    id: str = Field(primary_key=True)
    turn_id: str = Field(index=True)
    principal: str = Field(index=True, description="who is answerable for the verdict")
    source: str
    score: int
    confidence: float
    hint: str | None = None
    votes: list[Any] = Field(default_factory=list, sa_type=JSON)
    evidence: str
    created_ms: int = Field(sa_type=BigInteger)


class GenerationRow(Row, table=True):
    """One step of the population and what it came to (its states: streams.store.states)."""

    __tablename__ = "generations"
    __table_args__ = (UniqueConstraint("line", "number", name="generations_line_number"),)

    id: str = Field(primary_key=True)
    line: str = Field(index=True)
    number: int = Field(description="counts the line's generations, void ones too")
    parent: str
    child: str | None = None
    key: str
    state: GenerationState = Field(sa_type=AutoString, index=True)
    reason: str = ""
    seq: int | None = Field(
        default=None,
        description="the Rollout.seq that its release claims; it must be back before the next plan",
    )
    turn_ids: list[Any] = Field(sa_type=JSON)
    batch: list[Any] = Field(
        default_factory=list,
        sa_type=JSON,
        description="what was known of each turn at planning: score, weight, hint",
    )
    horizon: dict[str, Any] = Field(
        default_factory=dict,
        sa_type=JSON,
        description="what was known at planning: offsets read, by topic/partition; the line's seq",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON, description="the learner's, at planning"
    )
    fitness: list[Any] = Field(default_factory=list, sa_type=JSON, description="turn × member")
    scored_ids: list[Any] = Field(
        default_factory=list, sa_type=JSON, description="the turns of fitness's rows, in order"
    )
    coefficients: list[Any] = Field(default_factory=list, sa_type=JSON)
    step: int = 0
    reward: float | None = Field(default=None, description="mean judged score of the batch, −1..1")
    fitness_mean: float | None = Field(default=None, description="mean fitness over members")
    fitness_spread: float | None = Field(default=None, description="its standard deviation")
    gain: float | None = Field(
        default=None, description="fitness of the child less that of its parent, on the batch"
    )
    kl: float | None = Field(default=None, description="child from parent, nats a token")
    gate: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON, description="the gate's report"
    )
    planned_ms: int = Field(sa_type=BigInteger)
    done_ms: int | None = Field(default=None, sa_type=BigInteger)


class RecipeRow(Row, table=True):
    """The ledger: one recipe a version, append-only."""

    __tablename__ = "recipes"

    version: str = Field(primary_key=True)
    parent: str = Field(index=True)
    line: str = Field(index=True)
    number: int
    record: dict[str, Any] = Field(sa_type=JSON)
    created_ms: int = Field(sa_type=BigInteger)


class RolloutRow(Row, table=True):
    """Every change of the version that serves a line, with who and why (the audit)."""

    __tablename__ = "rollouts"
    __table_args__ = (UniqueConstraint("line", "seq", name="rollouts_line_seq"),)

    id: str = Field(primary_key=True)
    line: str = Field(index=True)
    seq: int
    version: str
    previous: str
    candidate: str | None = None
    state: State = Field(sa_type=AutoString)
    step: int = 0
    share: float = 1.0
    verb: Verb = Field(sa_type=AutoString)
    reason: str
    who: str
    created_ms: int = Field(sa_type=BigInteger)


class TrialRow(Row, table=True):
    """What the learner last made of the trial of a line: evidence, and what it waits for."""

    __tablename__ = "trials"

    line: str = Field(primary_key=True)
    seq: int = Field(description="of the change of the line that it was seen at")
    candidate: str
    body: dict[str, Any] = Field(sa_type=JSON, description="evidence, guardrails, what is awaited")
    updated_ms: int = Field(sa_type=BigInteger)


class NoticeRow(Row, table=True):
    """How far the changes of a line have been told to the webhook."""

    __tablename__ = "notices"

    line: str = Field(primary_key=True)
    seq: int = Field(description="of the last change that was told, or needed no telling")


class ForgottenRow(Row, table=True):
    """Whose data was forgotten up to when, who wanted it and why, and what it had moved."""

    __tablename__ = "forgotten"

    id: str = Field(primary_key=True)
    principal: str = Field(index=True)
    reason: str
    who: str
    num_turns: int = Field(description="turns of the store that were emptied")
    num_judgements: int = Field(description="judgements that were removed")
    influenced: list[Any] = Field(
        sa_type=JSON, description="generation, version, turns and share of the weight, by version"
    )
    created_ms: int = Field(sa_type=BigInteger, description="the moment")


class ArtefactRow(Row, table=True):
    """A document named by its digest: a mask, a unit map."""

    __tablename__ = "artefacts"

    digest: str = Field(primary_key=True)
    kind: str
    body: dict[str, Any] = Field(sa_type=JSON)
    created_ms: int = Field(sa_type=BigInteger)


# Nobody who adds a column has to think of it.
hold_any_text(Row.metadata)
