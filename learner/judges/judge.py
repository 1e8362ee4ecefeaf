"""The port of judges, and the one way to combine what they say.

A judge sees a turn and the evidence on it (what followed the reply, or feedback on it) and returns
a Judgement, or None when it has nothing to say; the same input gives the same Judgement, id
included. Combining is deterministic too: what somebody said outright outweighs what was read from
their words. Every judge is one file of this folder (learner.judges.open).

Knows nothing of weights or tables.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, runtime_checkable

from learner.link.conversation import Link
from streams.records import Feedback, Judgement, Turn, canonical_json

Source = Literal["explicit", "lexical", "embedding", "verifier", "tool", "program", "model"]
Evidence = Link | Feedback | Turn  # a turn is evidence on itself: what a program can verify
KindOfEvidence = type[Link] | type[Feedback] | type[Turn]

# A program that checks the answer is surer than whoever only reads it.
_VERIFIED: Final = 2.0
VERIFYING: Final[tuple[Source, ...]] = ("verifier", "tool", "program")
# A source that is as sure as this that the words say nothing of the reply outweighs the others.
SURE_OF_NOTHING: Final = 0.5
# A verdict under this confidence helps to steer a generation, but is no reason to start one.
SURE: Final = 0.3


class Judge(Protocol):
    """What every judge guarantees.

    source: what its judgements are marked with; the last one of a source counts
    reads: the kind of evidence that it is asked about
    """

    source: Source
    reads: KindOfEvidence

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return a verdict on the turn, or None where this evidence says nothing.

        Only the user's own words may be read as a reward; tool results and retrieved text never.
        Its time is bounded however long or hostile a text is, and it reads no clock.
        """
        ...


@runtime_checkable
class Comparer(Judge, Protocol):
    """A judge that can compare a reply that nobody has seen with the one that was shown."""

    def compare(self, unseen: Turn, shown: Turn) -> Judgement | None:
        """Return 1 where the unseen reply is better, −1 where it is worse, 0 where neither is."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all judgements on one turn come to."""

    score: Literal[-1, 0, 1]
    confidence: float
    hint: str | None

    @property
    def teaches(self) -> bool:
        """True when a member can be scored by it: it has a direction, or says what was wanted."""
        return (self.score != 0 and self.confidence > 0) or self.hint is not None

    @property
    def asks(self) -> bool:
        """True when something should have been otherwise; praise asks for nothing."""
        return self.score < 0 or self.hint is not None

    @property
    def starts(self) -> bool:
        """True when it may start a generation: it teaches, and is more than weak evidence."""
        return self.teaches and self.confidence >= SURE


def combine(judgements: Iterable[Judgement]) -> Verdict | None:
    """Make one verdict of all judgements on a turn; None when there are none.

    The last word of each source counts, and one without confidence never. An explicit one
    decides, unless it was taken back (score 0, no hint). Otherwise no verdict is better than a
    wrong one: sources that disagree in sign, or one that is sure that nothing was said of the
    reply, make it 0 without a hint; where those that have a sign agree, the surest counts. What a
    program verified has twice the weight of that. A hint is taken from the strongest judgement that
    has one, unless the turn was approved against it.
    """
    last: dict[str, Judgement] = {}
    for judgement in sorted(judgements, key=lambda given: (given.created_ms, given.id)):
        if judgement.confidence > 0:
            last[judgement.source] = judgement
    if "explicit" in last and last["explicit"].score == 0 and not last["explicit"].hint:
        del last["explicit"]
    if not last:
        return None
    explicit = last.get("explicit")
    ranked = sorted(last.values(), key=lambda given: (given is not explicit, -given.confidence))
    hinted = next((given for given in ranked if given.hint), None)
    if explicit is not None:
        score, confidence = explicit.score, explicit.confidence
    else:
        verified = [given for given in last.values() if given.source in VERIFYING]
        read = [given for given in last.values() if given.source not in VERIFYING]
        score, confidence = _weighted(read, verified)
        if score == 0 and hinted is not None and hinted.score != 0:
            hinted = None
    if hinted is not None and score > 0 and hinted.score < 0:
        hinted = None
    return Verdict(score, confidence, hinted.hint if hinted else None)


def judgement_of(
    turn: Turn,
    source: Source,
    said: bytes,
    *,
    score: Literal[-1, 0, 1],
    confidence: float,
    evidence: str,
    created_ms: int,
    hint: str | None = None,
    votes: Sequence[Literal[-1, 0, 1]] = (),
) -> Judgement:
    """Return what a source says of a turn to its own principal.

    said: what it rests on, which names it
    evidence: why, in words
    created_ms: event time of what it rests on
    """
    return Judgement(
        id=judgement_id(turn.id, source, said),
        turn_id=turn.id,
        line=turn.line,
        version=turn.version,
        principal=turn.principal,
        source=source,
        score=score,
        confidence=confidence,
        hint=hint,
        votes=list(votes),
        evidence=evidence,
        created_ms=created_ms,
    )


def said_in(link: Link) -> bytes:
    """Return what followed a turn, as bytes that name a judgement on it."""
    return canonical_json([link.kind, *(message.model_dump() for message in link.messages)])


def judgement_id(turn_id: str, source: Source, said: bytes) -> str:
    """Name a judgement by what it rests on, so that giving it again gives the same record."""
    return hashlib.sha256(f"{turn_id}\0{source}\0".encode() + said).hexdigest()[:32]


def _agreed(read: list[Judgement]) -> tuple[Literal[-1, 0, 1], float]:
    """What sources say together that only read words: the sign of all that have one, or 0."""
    signed = [given for given in read if given.score != 0]
    doubted = any(given.score == 0 and given.confidence >= SURE_OF_NOTHING for given in read)
    if not signed:
        return 0, max(given.confidence for given in read)
    surest = max(signed, key=lambda given: given.confidence)
    if doubted or len({given.score for given in signed}) > 1:
        return 0, surest.confidence
    return surest.score, surest.confidence


def _weighted(read: list[Judgement], verified: list[Judgement]) -> tuple[Literal[-1, 0, 1], float]:
    """What was read and what was verified, by weight."""
    said = [_agreed(read)] if read else []
    weights = [1.0] * len(said) + [_VERIFIED] * len(verified)
    said += [(given.score, given.confidence) for given in verified]
    total = sum(weight * score * sure for weight, (score, sure) in zip(weights, said, strict=True))
    mean = total / sum(weights)
    if mean == 0:
        return 0, max(sure for _, sure in said)
    return (1 if mean > 0 else -1), abs(mean)
