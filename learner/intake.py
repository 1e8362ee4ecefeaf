"""Turns entries of the log into rows: each turn linked, judged and accounted for exactly once.

Everything that one poll brought is used in one transaction, with the offsets that say so: a crash
repeats nothing and loses nothing. A record that was used before changes nothing, and one that
cannot be used goes to the dead letters with the cause, without stopping those behind it. What a
forgotten principal said is passed over.

Knows nothing of generations, weights or the wall clock: times are the records' own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, delete, select, update

from learner.forget import store as forget
from learner.judges.judge import Evidence, Judge
from learner.link import conversation
from learner.link.conversation import Link
from learner.rollout import claims
from learner.settings import GROUP
from streams.errors import LedgerError, RecordError
from streams.keeping import forgotten
from streams.keeping.forgotten import Moments
from streams.line import ledger
from streams.line.masks import keep_mask
from streams.log import dead_letters
from streams.log.contract import Entry, Topic
from streams.records import (
    Deletion,
    Feedback,
    Forgotten,
    Judgement,
    Mask,
    Recipe,
    Record,
    Rollout,
    Turn,
    decode,
)
from streams.store import offsets, outbox
from streams.store.states import CLOSED, JUDGED, LINKED, OPEN, SPEAKING, UNTRAINED
from streams.store.tables import JudgementRow, TurnRow

TOPICS: Final[tuple[Topic, ...]] = ("turns", "feedback", "rollouts", "recipes", "forgotten")
_BELONGS: Final[dict[Topic, tuple[type[Record], ...]]] = {
    "turns": (Turn,),
    "feedback": (Feedback, Deletion),
    "rollouts": (Rollout,),
    "recipes": (Recipe, Mask),
    "forgotten": (Forgotten,),
}

# An edited request is looked for among this many of the session's newest turns without a sequel.
# Sessions without a header share a name when they open alike, and may be many.
OPEN_TURNS: Final = 16


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays the same from poll to poll."""

    line: str
    judges: tuple[Judge, ...]
    idle_close_ms: int
    max_record_bytes: int


def take(session: Session, entries: Sequence[Entry], rules: Rules) -> None:
    """Use entries, and move the group past them.

    raises: ConflictError when another reader has used them: roll back and subscribe again
    """
    newest_ms = 0
    moments = forget.moments(session)
    for entry in entries:
        if _is_forgotten(entry, moments):
            continue  # not even as a dead letter
        try:
            record = decode(entry.value)
            # A record that cannot be used leaves nothing behind, and may be sent again.
            with session.begin_nested():
                if offsets.first_time(session, GROUP, entry):
                    _use(session, record, entry, rules)
        except (RecordError, LedgerError, ValueError, TypeError, KeyError, RecursionError) as cause:
            _to_dead_letters(session, entry, cause, rules)
            continue
        if isinstance(record, Turn):
            newest_ms = max(newest_ms, record.created_ms)
        elif isinstance(record, Forgotten):
            moments = forget.moments(session)
    _close_idle(session, newest_ms - rules.idle_close_ms)
    offsets.advance(session, GROUP, entries)


def _use(session: Session, record: Record, entry: Entry, rules: Rules) -> None:
    if not isinstance(record, _BELONGS[entry.partition.topic]):
        raise ValueError(f"a {record.KIND} does not belong on {entry.partition.topic}")
    match record:
        case Turn() if record.line == rules.line:
            _take_turn(session, record, rules, taken_ms=entry.time_ms)
        case Feedback() if record.line == rules.line:
            _take_feedback(session, record, rules)
        case Deletion() if record.line == rules.line:
            forget.delete_turn(session, record, taken_ms=entry.time_ms)
        case Rollout():
            claims.project(session, record)
        case Recipe():
            ledger.append(session, record, created_ms=entry.time_ms)
        case Mask():
            keep_mask(session, record, created_ms=entry.time_ms)
        case Forgotten():
            forget.apply(session, record)
        case _:
            pass  # turns and feedback of another line: its own learner's


def _is_forgotten(entry: Entry, moments: Moments) -> bool:
    """Return whether a forgotten principal said this before the moment."""
    if not moments or entry.partition.topic not in forgotten.SAID:
        return False
    spoken = forgotten.speaker(entry.value)
    return spoken is not None and forgotten.covers(moments, *spoken, entry.time_ms)


def _take_turn(session: Session, turn: Turn, rules: Rules, *, taken_ms: int) -> None:
    """Store a turn, and link it both ways: what it follows, and what already follows it."""
    if session.get(TurnRow, turn.id) is not None:
        return
    latest = session.exec(select(TurnRow.sequence).order_by(col(TurnRow.sequence).desc())).first()
    row = TurnRow(
        id=turn.id,
        line=turn.line,
        version=turn.version,
        member=turn.member,
        principal=turn.principal,
        session=turn.session,
        key=turn.key,
        prefix_key=turn.prefix_key,
        state=OPEN if conversation.trainable(turn) else UNTRAINED,
        sequence=(latest or 0) + 1,
        record=turn.model_dump(mode="json"),
        created_ms=turn.created_ms,
        taken_ms=taken_ms,
    )
    session.add(row)
    session.flush()
    for link in conversation.link(turn, map(_turn, _earlier(session, turn))):
        _follow(session, link, rules)
    for later in _later(session, turn):
        for link in conversation.link(_turn(later), [turn]):
            _follow(session, link, rules)
    _judge_early_feedback(session, row, turn, rules)


def _earlier(session: Session, turn: Turn) -> Iterable[TurnRow]:
    """Turns that this request may follow: those that it passes through, and open ones."""
    keys = list(conversation.next_states(turn.messages))
    ours = select(TurnRow).where(TurnRow.line == turn.line, TurnRow.principal == turn.principal)
    found = {row.id: row for row in session.exec(ours.where(col(TurnRow.key).in_(keys)))}
    newest = ours.where(col(TurnRow.next_kind).is_(None)).order_by(col(TurnRow.sequence).desc())
    # Twins are in the session too, unless the client named another one for its second try.
    for alike in (TurnRow.session == turn.session, TurnRow.prefix_key == turn.prefix_key):
        found |= {row.id: row for row in session.exec(newest.where(alike).limit(OPEN_TURNS))}
    return found.values()


def _later(session: Session, turn: Turn) -> Iterable[TurnRow]:
    """Turns that came in before this one and are not older: it may have come late."""
    query = select(TurnRow).where(
        TurnRow.session == turn.session,
        TurnRow.principal == turn.principal,
        TurnRow.created_ms >= turn.created_ms,
        TurnRow.id != turn.id,
    )
    return session.exec(query.order_by(col(TurnRow.created_ms), TurnRow.id)).all()


def _follow(session: Session, link: Link, rules: Rules) -> None:
    """Give a turn its next state, unless it has one that outweighs it, and judge it."""
    row = session.get_one(TurnRow, link.turn_id)
    if not conversation.outweighs(link, row.next_kind, row.next_ms):
        return
    row.next_state = [message.model_dump(mode="json") for message in link.messages]
    row.next_kind, row.next_ms = link.kind, link.created_ms
    if row.state in (OPEN, CLOSED):
        row.state = LINKED
    session.add(row)
    if row.state == UNTRAINED:
        return
    for judge in rules.judges:
        if judge.reads is Link:
            # the verdict on another next state, if there was one, is no verdict any more
            session.exec(
                delete(JudgementRow).where(
                    col(JudgementRow.turn_id) == row.id, col(JudgementRow.source) == judge.source
                )
            )
    _judge(session, row, link, rules)


def _judge(session: Session, row: TurnRow, evidence: Evidence, rules: Rules) -> None:
    """Ask every judge that reads this kind of evidence."""
    for judge in rules.judges:
        if isinstance(evidence, judge.reads):
            judgement = judge.judge(_turn(row), evidence)
            if judgement is not None:
                _note(session, row, judgement)


def _take_feedback(session: Session, feedback: Feedback, rules: Rules) -> None:
    """Take feedback; it waits when it overtook its turn."""
    row = session.get(TurnRow, feedback.turn_id)
    if row is not None and row.state not in SPEAKING:
        return  # a verdict on what is not known any more
    if row is not None:
        _judge(session, row, feedback, rules)
        return
    session.add(
        JudgementRow(
            id=feedback.id,
            turn_id=feedback.turn_id,
            principal=feedback.principal,
            source="explicit",
            score=feedback.score,
            confidence=1.0,
            hint=feedback.hint,
            evidence="feedback, before its turn",
            created_ms=feedback.created_ms,
        )
    )


def _judge_early_feedback(session: Session, row: TurnRow, turn: Turn, rules: Rules) -> None:
    waiting = select(JudgementRow).where(
        JudgementRow.turn_id == turn.id, JudgementRow.source == "explicit"
    )
    for early in session.exec(waiting).all():
        feedback = Feedback.model_validate(
            {
                "id": early.id,
                "turn_id": turn.id,
                "line": turn.line,
                "principal": early.principal,
                "session": turn.session,
                "score": early.score,
                "hint": early.hint,
                "created_ms": early.created_ms,
            }
        )
        session.delete(early)
        session.flush()
        _judge(session, row, feedback, rules)


def _note(session: Session, row: TurnRow, judgement: Judgement) -> None:
    """Keep a judgement, and publish it."""
    body = judgement.model_dump(exclude={"line", "version"})
    session.merge(JudgementRow(**body))
    if row.state != UNTRAINED:
        row.state = JUDGED
        session.add(row)
    outbox.put(session, "judgements", row.session, judgement)


def _close_idle(session: Session, before_ms: int) -> None:
    """Close conversations without a next request; a late one still counts for their turns."""
    if before_ms > 0:
        session.exec(
            update(TurnRow)
            .where(col(TurnRow.state) == OPEN, col(TurnRow.created_ms) < before_ms)
            .values(state=CLOSED)
        )


def _to_dead_letters(session: Session, entry: Entry, cause: Exception, rules: Rules) -> None:
    letter = dead_letters.of_entry(
        entry,
        f"{type(cause).__name__}: {cause}",
        max_bytes=rules.max_record_bytes,
        now_ms=entry.time_ms,
    )
    outbox.put(session, dead_letters.TOPIC, letter.id, letter)


def _turn(row: TurnRow) -> Turn:
    return Turn.model_validate(row.record)
