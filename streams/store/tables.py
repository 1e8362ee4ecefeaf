"""The store's tables: what the learner derived, with the offset that it derived it from.

One SQL transaction holds an offset and everything derived up to it, so a crash repeats nothing and
loses nothing. Times are Unix milliseconds of the records (event time), so that a replay of the log
gives the same rows. Created and changed by the migrations in deploy/migrations only.
"""

from typing import Any, ClassVar, Final

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import AutoString, Field, SQLModel, col

from streams.records import State, Verb
from streams.store.any_text import hold_any_text
from streams.store.states import JUDGED, WAITING, GenerationState, Reason, TurnState


class Row(SQLModel):
    """Root of the tables."""

    __tablename__: ClassVar[str]


def _partly(name: str, *columns: str, where: str) -> Index:
    """Index a few rows of many, which costs nothing where all others are written."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class OffsetRow(Row, table=True):
    """The next offset that a consumer group will read of a partition."""

    __tablename__ = "offsets"

    group: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next_offset: int = Field(sa_type=BigInteger)
    last_id: str | None = Field(
        default=None, description="of the record before it; none: an older build read that"
    )


class SeenRow(Row, table=True):
    """A record id that a group has used: a second one is dropped."""

    __tablename__ = "seen"
    __table_args__ = (Index("ix_seen_group_time", "group", "time_ms"),)

    group: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    time_ms: int = Field(sa_type=BigInteger, index=True, description="when the log took it")


class LeaseRow(Row, table=True):
    """The process that may write for a line; a new holder's higher epoch fences the old one."""

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
    line: str = Field(description="whose learner publishes it")
    topic: str
    key: str
    id: str
    value: bytes = Field(sa_type=LargeBinary)


class TurnRow(Row, table=True):
    """A turn and what became of it (its states: streams.store.states).

    Of a forgotten one only ids, times and counts are left, so that what it moved can be named.
    """

    __tablename__ = "turns"
    # What is asked together has an index together: of two SQLite, which keeps no statistics by
    # itself, takes either. With the time behind it the newest are found first, however many.
    __table_args__ = (
        *(
            Index(f"ix_turns_said_{name}", "principal", "line", name, "created_ms")
            for name in (
                "key", "prefix_key", "session", "talk_key", "reply_key", "asked_key",
                "before_key", "echo_key",
            )
        ),
        Index("ix_turns_said", "principal", "line", "created_ms"),
        Index("ix_turns_line_state", "line", "state", "reason", "created_ms"),
        Index("ix_turns_age", "line", "state", "sequence", "taken_ms"),
        Index("ix_turns_trial", "line", "version", "taken_ms"),
        Index("ix_turns_line_sequence", "line", "sequence"),
        _partly("ix_turns_scored", "principal", "line", "created_ms", "id",
                where="score IS NOT NULL"),
        _partly("ix_turns_bare", "line", "talk_key", "before_key", "state", "sequence",
                where="talk_key IS NULL AND before_key IS NULL"),
        _partly("ix_turns_judged", "line", "state", "created_ms", "principal",
                where=f"state = '{JUDGED}'"),
        _partly("ix_turns_wish", "line", "wish", "principal", "state", "strength", "created_ms",
                "lesson", where="wish IS NOT NULL"),
        # Whatever is asked of a window: the planner looks at all of it, at every step.
        _partly("ix_turns_window", "line", "state", "reason", "strength", "principal", "uses",
                "score", "lesson", "judged_ms", "version", "wish", "id",
                where=f"state = '{JUDGED}' AND reason IS NULL"),
        Index("ix_turns_lesson", "lesson", "created_ms"),
        Index("ix_turns_unlinked", "line", "unlinked", "sequence"),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    line: str
    version: str
    member: int | None = Field(default=None, description="of a generation; none: the version")
    principal: str
    session: str
    key: str = Field(description="hash of the conversation including the reply")
    prefix_key: str
    state: TurnState = Field(sa_type=AutoString)
    reason: Reason | None = Field(
        default=None, sa_type=AutoString, description="why it scores no generation (any more)"
    )
    # Hashes of what was said, as normal text and without system messages (learner.link.pieces):
    talk_key: str | None = Field(default=None, description="of the conversation with the reply")
    reply_key: str | None = Field(default=None, description="of the reply")
    asked_key: str | None = Field(default=None, description="of the last that the user said")
    before_key: str | None = Field(
        default=None, description="of the conversation up to the reply before this one"
    )
    echo_key: str | None = Field(default=None, description="of that reply alone")
    unlinked: str | None = Field(
        default=None, description="why that reply was linked to no turn: ambiguous or unknown"
    )
    strength: float | None = Field(
        default=None, description="confidence of all its judgements together; 0: teaches nothing"
    )
    judged_ms: int | None = Field(
        default=None, sa_type=BigInteger, description="event time of its newest judgement"
    )
    score: int | None = Field(default=None, description="−1, 0, 1: what all judgements come to")
    lesson: str | None = Field(default=None, description="what it is complained of (lessons.id)")
    wish: str | None = Field(
        default=None, description="hash of what it wishes (learner.trust.agreed); none: of an"
        " older build, or it teaches nothing",
    )  # fmt: skip
    notes: list[Any] | None = Field(default=None, sa_type=JSON, description="in its prompt, by id")
    sequence: int = Field(
        sa_type=BigInteger,
        index=True,
        description="order of arrival at the learner of its line; lines may have the same numbers",
    )
    record: dict[str, Any] = Field(sa_type=JSON, description="the Turn as decoded")
    next_state: list[Any] | None = Field(
        default=None, sa_type=JSON, description="the messages that followed"
    )
    next_kind: str | None = Field(default=None, description="reply, retry or branch")
    next_ms: int | None = Field(
        default=None, sa_type=BigInteger, description="event time of the request that carried it"
    )
    next_turn: str | None = Field(default=None, description="the turn of that request")
    next_layer: str | None = Field(
        default=None, description="the evidence that linked them (learner.link.layers)"
    )
    next_confidence: float | None = Field(default=None, description="of that evidence, 0..1")
    target: dict[str, Any] | None = Field(
        default=None,
        sa_type=JSON,
        description="the hinted rewrite (learner.batch.rewriting.teacher)",
    )
    uses: int = Field(default=0, description="generations that this turn has scored")
    created_ms: int = Field(
        sa_type=BigInteger, index=True, description="by the clock of the agent that replied"
    )
    taken_ms: int = Field(sa_type=BigInteger, description="when the log took it")


class ClientRow(Row, table=True):
    """What a line's learner has seen of one kind of client, by its User-Agent."""

    __tablename__ = "clients"

    line: str = Field(primary_key=True)
    client: str = Field(primary_key=True, description="empty: it does not say what it is")
    num_turns: int = 0
    num_opted_out: int = Field(default=0, description="those that must not be learned from")
    newest_ms: int = Field(default=0, sa_type=BigInteger, description="event time of its last turn")


class PlannerRow(Row, table=True):
    """What a line's planner waits for, in words, and what it has."""

    __tablename__ = "planners"

    line: str = Field(primary_key=True)
    waits_for: str
    num_fresh: int = Field(description="strong verdicts that have scored nothing yet")
    num_used: int = Field(description="strong verdicts that have")
    num_weak: int = Field(description="verdicts that start no generation by themselves")
    num_people: int = Field(description="principals with a strong verdict")
    num_alone: int = Field(default=0, description="strong verdicts whose wish too few share so far")
    alone: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON,
        description="of them: lesson → how many people are behind it, and are needed",
    )  # fmt: skip
    num_measured: int = Field(default=0, description="gate's probes the base is measured for")
    num_to_measure: int = Field(default=0, description="the gate's probes")
    since_ms: int = Field(sa_type=BigInteger, description="when that was noted")

    @property
    def measuring(self) -> str:
        """How far the base is measured, in words; empty when nothing is left."""
        if self.num_measured >= self.num_to_measure:
            return ""
        return f"measuring the base: {self.num_measured} of {self.num_to_measure}"


class JudgementRow(Row, table=True):
    """A verdict on a turn."""

    __tablename__ = "judgements"
    __table_args__ = (
        _partly("ix_judgements_waiting", "created_ms", "id", where=f"evidence = '{WAITING}'"),
    )

    id: str = Field(primary_key=True)
    turn_id: str = Field(index=True)
    principal: str = Field(index=True, description="of the person who gave the verdict")
    source: str
    score: int
    confidence: float
    hint: str | None = None
    votes: list[Any] = Field(default_factory=list, sa_type=JSON)
    evidence: str
    created_ms: int = Field(sa_type=BigInteger)


# Of rows that are verdicts: a question that waits for its judge stands among them as one of 0.
IS_VERDICT: Final = col(JudgementRow.evidence) != WAITING


class GenerationRow(Row, table=True):
    """One step of the population and what it came to (its states: streams.store.states)."""

    __tablename__ = "generations"
    __table_args__ = (UniqueConstraint("line", "number", name="generations_line_number"),)

    id: str = Field(primary_key=True)
    line: str = Field(index=True)
    number: int = Field(description="counts the line's generations, void ones too")
    parent: str
    child: str | None = Field(default=None, index=True)
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
    apart: float | None = Field(
        default=None, description="child from base on prompts of the bank, KL in nats a token"
    )
    gate: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON, description="the gate's report"
    )
    withdraws: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON, description="withdrawn: lessons, why, what serves again"
    )
    planned_ms: int = Field(sa_type=BigInteger)
    done_ms: int | None = Field(default=None, sa_type=BigInteger)


class WatchedRow(Row, table=True):
    """What a version came to on what is watched for ever; number 0 is the base."""

    __tablename__ = "watched"

    line: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    number: int = Field(description="length of the chain from the base")
    measured: dict[str, Any] = Field(
        sa_type=JSON, description="by name: shares right of small tasks, nats of text and refusals"
    )
    created_ms: int = Field(sa_type=BigInteger)


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
    """Whose data was forgotten in a line up to when, who wanted it and why, what it had moved."""

    __tablename__ = "forgotten"

    id: str = Field(primary_key=True)
    line: str = Field(primary_key=True, description="whose turns, hints and verdicts are gone")
    principal: str = Field(index=True)
    reason: str
    who: str
    num_turns: int = Field(description="turns of the line that were emptied")
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


# For every column at once, so that a new one is not left out.
hold_any_text(Row.metadata)
