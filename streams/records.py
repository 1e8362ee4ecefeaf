"""Wire records: what the agent, the learner and the operators tell each other.

Every record is frozen, versioned and named by its id; its bytes are canonical JSON, so the same
record is the same bytes everywhere. A record of an older version stays readable for ever (golden
files in tests/golden); one of a newer version raises NewerSchemaError and belongs to dead letters.

Knows nothing of topics, offsets or tables.
"""

import json
from typing import ClassVar, Literal

from pydantic import Field, ValidationError

from streams.errors import NewerSchemaError, UnreadableRecordError
from streams.recipe import Mask, Noise, Recipe
from streams.turn import Constraint, Message, Sampling, Turn
from streams.wire import Json, Record, canonical_json, encode

__all__ = [
    "KINDS",
    "Candidate",
    "Constraint",
    "DeadLetter",
    "DeadLetterClosed",
    "Deletion",
    "Feedback",
    "Forgotten",
    "Json",
    "Judgement",
    "LearnOrder",
    "Mask",
    "Message",
    "Noise",
    "Note",
    "NoteState",
    "Recipe",
    "Record",
    "Rollout",
    "Sampling",
    "State",
    "Turn",
    "Verb",
    "canonical_json",
    "decode",
    "encode",
    "record_id",
    "speaker",
]


class Feedback(Record):
    """What somebody said explicitly about one reply; the last in the log's order counts.

    Version 1 could not be taken back, and had a score of its own always.
    """

    KIND: ClassVar[str] = "feedback"
    VERSION: ClassVar[int] = 2
    ADDED: ClassVar[dict[str, int]] = {"withdrawn": 2}

    id: str
    turn_id: str
    line: str
    principal: str
    session: str
    score: Literal[-1, 0, 1] = Field(description="0: none was given, or neither good nor bad")
    hint: str | None = Field(default=None, description="what the reply should have done")
    comment: str | None = None
    withdrawn: bool = Field(
        default=False, description="all that this principal said of the reply is taken back"
    )
    created_ms: int


class Deletion(Record):
    """A principal wants a reply of its own kept no longer; nothing more is learned from it."""

    KIND: ClassVar[str] = "deletion"

    id: str
    turn_id: str
    line: str
    principal: str
    session: str
    created_ms: int


class Judgement(Record):
    """A verdict on one turn, with what it rests on."""

    KIND: ClassVar[str] = "judgement"

    id: str
    turn_id: str
    line: str
    version: str
    principal: str
    source: Literal["explicit", "lexical", "embedding", "verifier", "tool", "program", "model"]
    score: Literal[-1, 0, 1]
    confidence: float = Field(ge=0, le=1)
    hint: str | None = None
    votes: list[int] = Field(default=[])
    evidence: str = Field(description="the rule, test or vote that decided, in a few words")
    created_ms: int


State = Literal["pending", "running", "completed", "paused", "held", "aborted"]
Verb = Literal[
    "promote", "rollback",
    "start", "step", "skip-step", "pause", "resume", "hold", "abort", "promote-full",
    "reset", "learn",
]  # fmt: skip


_VERBS_OF: dict[str, int] = {"reset": 3, "learn": 3}


class Rollout(Record):
    """A change of a line: which version serves it from now on, which is on trial, and why.

    A candidate is on trial while `state` is pending, running, paused or held: `version` serves
    all other sessions meanwhile. Version 1 knew completed and aborted changes, without a trial.
    Version 3 is written where the verb is one that it brought.
    """

    KIND: ClassVar[str] = "rollout"
    VERSION: ClassVar[int] = 3
    ADDED: ClassVar[dict[str, int]] = {"candidate": 2, "step": 2, "share": 2}

    id: str
    line: str
    seq: int = Field(ge=1, description="grows by one a change of the line: its etag")
    version: str = Field(description="what serves, outside the candidate's share")
    previous: str = Field(description="what served before this change")
    candidate: str | None = Field(default=None, description="the version that the trial is about")
    state: State
    step: int = Field(default=0, ge=0, description="place in the policy's shares, from 0")
    share: float = Field(
        default=1.0, ge=0, le=1, description="share of the sessions that the candidate answers"
    )
    verb: Verb
    reason: str
    who: str
    created_ms: int

    @property
    def made_in(self) -> int:
        """The oldest version that knows the verb, so that older builds read all others."""
        return _VERBS_OF.get(self.verb, 2)


NoteState = Literal["active", "retired", "removed"]


class Note(Record):
    """An instruction that is put into its principal's prompts; the last of an id counts.

    The learner writes it when a wish is accepted, and when the weights hold it; the agent when its
    principal takes it away.
    """

    KIND: ClassVar[str] = "note"

    id: str = Field(description="of this state of the note: no two records have the same")
    note: str = Field(pattern="^note_[0-9a-f]{24}$")
    line: str
    principal: str
    text: str = Field(max_length=400, description="empty: its principal is forgotten")
    state: NoteState
    version: int | None = Field(
        default=None, ge=1, description="number of the version whose weights hold it"
    )
    created_ms: int = Field(description="when the note was made, whatever became of it since")


class Candidate(Record):
    """What may be decided for next: announced when it is made, so that agents build it meanwhile.

    It serves nobody by this: its recipe is published when it is released. The last one counts.
    """

    KIND: ClassVar[str] = "candidate"

    id: str
    line: str
    recipe: Json = Field(description="as it is published; empty: the last one is withdrawn")
    created_ms: int = Field(description="when its generation was planned")


class LearnOrder(Record):
    """An operator wants a generation now, whatever the learner's mode waits for."""

    KIND: ClassVar[str] = "learn"

    id: str
    line: str
    reason: str
    who: str
    created_ms: int


class Forgotten(Record):
    """What a principal said up to a moment is not to be kept or counted any more."""

    KIND: ClassVar[str] = "forgotten"

    id: str
    principal: str
    reason: str
    who: str
    created_ms: int = Field(description="the moment: what was said up to it is forgotten")


class DeadLetter(Record):
    """A record that could not be used, as it came, with the cause.

    Version 2 is written where the payload is cut and the whole record said whose it was: what is
    left of the payload may have the words without the name.
    """

    KIND: ClassVar[str] = "dead-letter"
    VERSION: ClassVar[int] = 2
    ADDED: ClassVar[dict[str, int]] = {"speaker": 2, "said_ms": 2}

    id: str = Field(description="hash of where the record stood, so that it has one letter")
    topic: str
    partition: int = Field(ge=-1, description="-1: it never reached the log")
    offset: int = Field(ge=-1)
    key: str
    record_id: str = Field(description="the id that the record was appended under")
    cause: str
    payload_base64: str = Field(description="the record's bytes, cut when they are too many")
    payload_bytes: int = Field(ge=0, description="how many they were")
    speaker: str | None = Field(default=None, description="principal of a record that was cut")
    said_ms: int | None = Field(default=None, description="when they said it")
    created_ms: int

    @property
    def made_in(self) -> int:
        """The oldest version that says as much, so that older builds read most letters."""
        return 1 if self.speaker is None else 2


class DeadLetterClosed(Record):
    """What became of a dead letter: it was sent again, or given up."""

    KIND: ClassVar[str] = "dead-letter-closed"

    id: str
    letter: str = Field(description="the dead letter's id")
    verb: Literal["redrive", "drop"]
    who: str
    created_ms: int


_TYPES: tuple[type[Record], ...] = (
    Turn, Feedback, Deletion, Judgement, Mask, Recipe, Rollout, LearnOrder, Forgotten, DeadLetter,
    DeadLetterClosed, Note, Candidate,
)  # fmt: skip
KINDS: dict[str, type[Record]] = {record_type.KIND: record_type for record_type in _TYPES}


def record_id(record: Record) -> str:
    """Name a record for deduplication: its id, or the hash that names a recipe or a mask.

    >>> mask = Mask(base="b", neurons={}, groups={})
    >>> record_id(mask) == mask.digest
    True
    """
    match record:
        case Recipe():
            return record.version
        case Mask():
            return record.digest
    return str(record.id)  # type: ignore[attr-defined]


def decode(value: bytes) -> Record:
    """Read a record of any known kind and version.

    raises: UnreadableRecordError when the bytes are no record of ours, NewerSchemaError when
        they are one of a version that this build does not know
    """
    try:
        body = json.loads(value)
        record_type = KINDS[body.pop("kind")]
        version = body["v"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as cause:
        # its repr may hold the whole of what was said
        why = f"{type(cause).__name__}: {cause}"
        raise UnreadableRecordError(f"not a record: {why}") from cause
    if type(version) is not int or version < 1:
        raise UnreadableRecordError(f"not a {record_type.KIND}: version {version!r}")
    if version > record_type.VERSION:
        raise NewerSchemaError(
            f"{record_type.KIND} of version {version}: this build reads up to"
            f" {record_type.VERSION}; upgrade it"
        )
    try:
        return record_type.model_validate(body)
    except ValidationError as cause:
        where = ".".join(map(str, cause.errors()[0]["loc"])) or "as a whole"
        what = cause.errors()[0]["msg"]
        raise UnreadableRecordError(f"not a {record_type.KIND}: {where}: {what}") from cause


def speaker(value: bytes) -> tuple[str, int] | None:
    """Return whose a record is and when they said it; None where it does not say.

    Reads records that this build cannot decode, too: whose they are must not depend on it.

    >>> speaker(b'{"kind":"feedback","v":99,"principal":"ann","created_ms":5}')
    ('ann', 5)
    """
    try:
        body = json.loads(value)
        principal, said_ms = body["principal"], body["created_ms"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(principal, str) and isinstance(said_ms, int)):
        return None
    return principal, said_ms
