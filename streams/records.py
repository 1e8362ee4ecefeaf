"""Wire records: what the agent, the learner and the operators tell each other.

Every record is frozen, versioned and named by its id; its bytes are canonical JSON, so the same
record is the same bytes everywhere. A record of an older version stays readable for ever (golden
files in tests/golden); one of a newer version raises NewerSchemaError and belongs to dead letters.

Knows nothing of topics, offsets or tables.
"""

import hashlib
import json
from functools import cache
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from streams.errors import NewerSchemaError, UnreadableRecordError
from streams.turn import Constraint, Message, Sampling, Turn
from streams.wire import Json, Record, canonical_json

__all__ = [
    "KINDS",
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


class Mask(Record):
    """The frozen units of a base model: neurons and attention groups by layer."""

    KIND: ClassVar[str] = "mask"

    base: str
    neurons: dict[int, list[int]] = Field(description="layer → frozen MLP neurons, ascending")
    groups: dict[int, list[int]] = Field(description="layer → frozen attention (KV) groups")

    @property
    def digest(self) -> str:
        """Name of this mask: what a recipe's `mask` must equal."""
        return hashlib.sha256(encode(self)).hexdigest()


Noise = Literal["rank1", "full", "normal", "screened"]
_MADE_IN: dict[str, int] = {"normal": 2, "screened": 3}
_POOL = 2**14  # row signs, and column signs, of a tensor that a screen searches (kernels.change)


class Recipe(Record):
    """What turns a parent version into its child; the child's name is its hash.

    Version 2 brought normal noise, version 3 screened noise: pairs that each move one tensor, by
    row and column signs that were searched for; version 4 decay towards the base. A recipe is of
    the version that its noise and decay need, so that the same recipe has one name, whichever build
    makes it.
    """

    KIND: ClassVar[str] = "recipe"
    VERSION: ClassVar[int] = 4
    ADDED: ClassVar[dict[str, int]] = {"tensors": 3, "rows": 3, "columns": 3, "decay": 4}

    line: str
    number: int = Field(ge=1, description="length of the chain from the base to this version")
    parent: str
    strategy: Literal["es", "randopt"]
    noise: Noise
    key: str = Field(pattern="^[0-9a-f]{16}$", description="the generation's 64-bit key")
    coefficients: list[int] = Field(description="one a pair, |c| ≤ 255")
    step: int = Field(ge=1, description="u of K += u · Σ c a bᵀ")
    sigma_log2: int = Field(description="members were probed at 2^(scale + sigma_log2)")
    layers: list[int]
    modules: list[str]
    scales: list[int] = Field(description="log2 of each tensor's RMS at the base, rounded")
    mask: str = Field(description="digest of the Mask in force")
    digest: str = Field(description="digest of the child's integer master")
    tensors: list[int] = Field(
        default=[],
        description="screened: the tensor that each pair moves, by its place in layers × modules",
    )
    rows: list[int] = Field(
        default=[], description="screened: the number of each pair's row signs in the pool"
    )
    columns: list[int] = Field(default=[], description="screened: likewise of its column signs")
    decay: int = Field(
        default=0,
        ge=0,
        lt=2**16,
        description="d of K −= sign(K) · (|K| · d >> 16), which comes before the step, in the"
        " tensors of layers × modules; 0: none",
    )

    @property
    def made_in(self) -> int:
        """The one version that a recipe of this noise and decay has."""
        return 4 if self.decay else _MADE_IN.get(self.noise, 1)

    @model_validator(mode="after")
    def _of_one_version(self) -> Self:
        if self.v != self.made_in:
            decays = "with" if self.decay else "without"
            raise ValueError(
                f"a recipe of {self.noise} noise {decays} decay has version {self.made_in}"
            )
        return self

    @model_validator(mode="after")
    def _of_known_signs(self) -> Self:
        pairs = len(self.coefficients) if self.noise == "screened" else 0
        if not all(len(found) == pairs for found in (self.tensors, self.rows, self.columns)):
            raise ValueError(
                "a screened recipe, and no other, has a tensor and signs for each pair"
            )
        num_tensors = len(self.layers) * len(self.modules)
        if not all(0 <= tensor < num_tensors for tensor in self.tensors):
            raise ValueError(f"a pair moves none of the {num_tensors} tensors")
        if not all(0 <= number < _POOL for number in (*self.rows, *self.columns)):
            raise ValueError(f"signs have numbers from 0 to {_POOL - 1}")
        return self

    @property
    def version(self) -> str:
        """The child's name: hash of this recipe, its parent's name in it. Never reused."""
        return hashlib.sha256(encode(self)).hexdigest()[:16]


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
    """A record that could not be used, as it came, with the cause."""

    KIND: ClassVar[str] = "dead-letter"

    id: str = Field(description="hash of where the record stood, so that it has one letter")
    topic: str
    partition: int = Field(ge=-1, description="-1: it never reached the log")
    offset: int = Field(ge=-1)
    key: str
    record_id: str = Field(description="the id that the record was appended under")
    cause: str
    payload_base64: str = Field(description="the record's bytes, cut when they are too many")
    payload_bytes: int = Field(ge=0, description="how many they were")
    created_ms: int


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
    DeadLetterClosed, Note,
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


def encode(record: Record) -> bytes:
    """Return a record's canonical bytes, in its own version.

    >>> encode(Mask(base="b", neurons={3: [1]}, groups={}))
    b'{"base":"b","groups":{},"kind":"mask","neurons":{"3":[1]},"v":1}'
    """
    body = record.model_dump(mode="json", exclude=_later(type(record), record.v))
    return canonical_json({"kind": record.KIND, **body})


@cache
def _later(record_type: type[Record], version: int) -> dict[str, Any]:
    """What a version of a record does not have yet, as pydantic's nested `exclude`."""
    excluded: dict[str, Any] = {}
    for path, added in record_type.ADDED.items():
        if added > version:
            *parts, name = path.split(".")
            place = excluded
            for part in parts:
                place = place.setdefault(part, {})
            place[name] = True
    return excluded


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
        raise UnreadableRecordError(f"not a record: {cause!r}") from cause
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
