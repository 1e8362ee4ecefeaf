"""Takes a principal's words, or a turn of theirs, out of the store, a line at a time.

A forgotten turn keeps its id, its times and its counts, and nothing that was said; its judgements
go, and so do the hints that plans quoted. A generation that was planned with it and is not done
becomes void. A wish that only theirs kept from being learned is looked at again. Forgetting again
changes nothing. Each line is emptied under its own lease, so that nothing of theirs is written back
meanwhile.

Knows nothing of the log's files, of spools, or of how weights are built again without somebody
(learner.rerun.refit, learner.rerun.rerun).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import delete, exists, not_, or_, update
from sqlalchemy.exc import DataError
from sqlmodel import Session, col, func, select

from learner.forget import plans
from learner.lessons.notes import note_id
from learner.lessons.review import less_said, set_free, wish_of
from streams.errors import RecordError
from streams.keeping import forgotten
from streams.keeping.forgotten import Moments
from streams.keeping.pack import pack
from streams.line import ledger
from streams.records import DeadLetter, Deletion, Forgotten, Judgement, Note, Turn, decode
from streams.store import outbox
from streams.store.lesson_tables import LessonRow, NoteRow
from streams.store.states import FORGOTTEN, WITHOUT_LINKS
from streams.store.store import pieces
from streams.store.tables import (
    ForgottenRow,
    GenerationRow,
    JudgementRow,
    OutboxRow,
    TurnRow,
)
from streams.turn import beside_id
from streams.wire import id_of


@dataclass(frozen=True, slots=True)
class Influence:
    """What a principal had to do with one version."""

    generation: int
    line: str
    version: str
    turns: int  # of theirs in its batch
    of_turns: int
    share: float  # of the batch's weight


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds of a principal."""

    turns: int  # that still say something
    judgements: int
    tombstones: int
    forgotten: ForgottenRow | None  # the last time


def held(session: Session, principal: str) -> Held:
    """Return what the store holds of a principal."""
    count = select(func.count()).select_from(TurnRow).where(TurnRow.principal == principal)
    gone = session.exec(count.where(TurnRow.state == FORGOTTEN)).one()
    said = session.exec(count.where(TurnRow.state != FORGOTTEN)).one()
    own = select(TurnRow.id).where(TurnRow.principal == principal)
    verdicts = select(func.count()).select_from(JudgementRow)
    concerned = or_(col(JudgementRow.principal) == principal, col(JudgementRow.turn_id).in_(own))
    last = select(ForgottenRow).where(ForgottenRow.principal == principal)
    return Held(
        turns=said,
        judgements=session.exec(verdicts.where(concerned)).one(),
        tombstones=gone,
        forgotten=session.exec(last.order_by(col(ForgottenRow.created_ms).desc())).first(),
    )


def moments(session: Session) -> Moments:
    """Return the newest moment up to which each principal is forgotten, for any line."""
    query = select(ForgottenRow.principal, func.max(ForgottenRow.created_ms))
    return dict(session.exec(query.group_by(ForgottenRow.principal)).all())


def influence(session: Session, principal: str, *, line: str | None = None) -> list[Influence]:
    """List the versions whose generations a principal's turns took part in, oldest first.

    Every version that stands on one of them stands on what it learned from them, too.

    line: whose turns; None: all lines'
    """
    said = select(TurnRow.id).where(TurnRow.principal == principal)
    theirs = set(session.exec(said if line is None else said.where(TurnRow.line == line)))
    done = select(GenerationRow).where(col(GenerationRow.child).is_not(None))
    seen = set[str]()
    found = list[tuple[int, Influence]]()
    for row in session.exec(done.order_by(*ledger.SAID_LAST)):
        version = str(row.child)
        if version in seen:
            continue
        seen.add(version)
        own = [item["weight"] for item in row.batch if item["turn_id"] in theirs]
        total = sum(item["weight"] for item in row.batch)
        if own:
            share = sum(own) / total if total > 0 else 0.0
            each = Influence(row.number, row.line, version, len(own), len(row.batch), share)
            found.append((row.done_ms or 0, each))
    found.sort(key=lambda one: (one[0], one[1].line, one[1].generation))
    return [each for _, each in found]


def apply(session: Session, record: Forgotten, line: str) -> ForgottenRow:
    """Forget what was said in a line; the same record again changes nothing."""
    known = session.get(ForgottenRow, (record.id, line))
    if known is not None:
        return known
    said = select(TurnRow.id).where(*_covered(record, line), TurnRow.state != FORGOTTEN)
    turn_ids = list(session.exec(said))
    lessons = _lessons(session, record, line)
    num_judgements = _remove_judgements(session, record, line, turn_ids)
    _clean_outbox(session, record, line, set(turn_ids), {row.id for row in lessons})
    wishes = [wish_of(lesson) for lesson in lessons]
    _empty_lessons(session, lessons)
    set_free(session, line, wishes)
    less_said(session, line, record.principal)
    plans.clean(session, set(turn_ids), "somebody whose turns were in its batch is forgotten")
    for some in pieces(turn_ids):
        session.execute(update(TurnRow).where(col(TurnRow.id).in_(some)).values(_TOMBSTONE))
        pack(session, TurnRow, some)
    row = ForgottenRow(
        id=record.id,
        line=line,
        principal=record.principal,
        reason=record.reason,
        who=record.who,
        num_turns=len(turn_ids),
        num_judgements=num_judgements,
        influenced=[asdict(each) for each in influence(session, record.principal, line=line)],
        created_ms=record.created_ms,
    )
    session.add(row)
    session.flush()
    return row


def apply_if_held(session: Session, record: Forgotten, line: str) -> None:
    """Forget what was said in a line; a moment that no column holds changes nothing.

    Such a record becomes a dead letter when it is read (learner.intake).
    """
    with suppress(DataError, OverflowError), session.begin_nested():
        apply(session, record, line)


def _covered(record: Forgotten, line: str) -> tuple[Any, ...]:
    """Say which turns are forgotten; by the agent's clock or the log's (forgotten.covers).

    One that ran ahead keeps nothing back.
    """
    said = or_(
        col(TurnRow.created_ms) <= record.created_ms, col(TurnRow.taken_ms) <= record.created_ms
    )
    return TurnRow.line == line, TurnRow.principal == record.principal, said


def delete_turn(session: Session, record: Deletion, *, taken_ms: int) -> None:
    """Empty one turn of its principal's, and what nobody saw beside it.

    One that has not come yet is empty when it comes, and what was said of it meanwhile goes.

    taken_ms: when the log took the record
    """
    if session.get(TurnRow, record.turn_id) is None:
        session.execute(delete(JudgementRow).where(col(JudgementRow.turn_id) == record.turn_id))
        tombstone = TurnRow(
            id=record.turn_id,
            line=record.line,
            version="",
            principal=record.principal,
            sequence=0,
            created_ms=record.created_ms,
            taken_ms=taken_ms,
            **_TOMBSTONE,
        )
        session.add(tombstone)
        session.flush()
    for id in (record.turn_id, beside_id(record.turn_id)):
        row = session.get(TurnRow, id)
        if row is not None and row.principal == record.principal and row.state != FORGOTTEN:
            _empty_turn(session, row)


def goes_with(session: Session, turn: Turn) -> bool:
    """Return whether a reply that nobody saw was made beside a turn that is empty."""
    shown = session.get(TurnRow, turn.beside) if turn.beside is not None else None
    return shown is not None and shown.state == FORGOTTEN


def _empty_turn(session: Session, row: TurnRow) -> None:
    session.execute(delete(JudgementRow).where(col(JudgementRow.turn_id) == row.id))
    waiting = select(OutboxRow).where(OutboxRow.line == row.line, OutboxRow.topic == "judgements")
    for sent in session.exec(waiting):
        told = decode(sent.value)
        if isinstance(told, Judgement) and told.turn_id == row.id:
            session.delete(sent)
    plans.clean(session, {row.id}, "a turn of its batch was deleted", by=plans.DELETED)
    _forget_lessons_of(session, row)
    less_said(session, row.line, row.principal)
    for name, value in _TOMBSTONE.items():
        setattr(row, name, value)
    session.add(row)
    pack(session, TurnRow, [row.id])


# The hashes of a conversation go, too: they would prove a guess at a short one.
_TOMBSTONE: Mapping[str, Any] = {
    "state": FORGOTTEN,
    "record": {},
    "next_state": None,
    "next_kind": None,
    "next_ms": None,
    "target": None,
    "session": "",
    "key": "",
    "prefix_key": "",
    "reason": None,
    "strength": None,
    "score": None,
    "lesson": None,
    "notes": None,
    "judged_ms": None,
    **WITHOUT_LINKS,
}


def _remove_judgements(
    session: Session, record: Forgotten, line: str, turn_ids: Sequence[str]
) -> int:
    """Remove every verdict on the turns, and the principal's on anything but other lines' turns.

    One that came before its turn belongs to no line yet, and goes with the first.
    """
    on_others = exists().where(
        col(TurnRow.id) == col(JudgementRow.turn_id), col(TurnRow.line) != line
    )
    own = (
        col(JudgementRow.principal) == record.principal,
        col(JudgementRow.created_ms) <= record.created_ms,
        not_(on_others),
    )
    num = session.execute(delete(JudgementRow).where(*own)).rowcount  # type: ignore[attr-defined]
    for some in pieces(turn_ids):
        on_theirs = delete(JudgementRow).where(col(JudgementRow.turn_id).in_(some))
        num += session.execute(on_theirs).rowcount  # type: ignore[attr-defined]
    return int(num)


def _clean_outbox(
    session: Session, record: Forgotten, line: str, turn_ids: set[str], lessons: set[str]
) -> None:
    """Remove what waits to be published and quotes the principal.

    lessons: that are forgotten
    """
    theirs = select(NoteRow).where(NoteRow.line == line, NoteRow.principal == record.principal)
    notes = {note.id for note in session.exec(theirs) if note.lesson in lessons}
    waiting = select(OutboxRow).where(
        OutboxRow.line == line, col(OutboxRow.topic).in_(("judgements", "dead-letters", "notes"))
    )
    for row in session.exec(waiting):
        try:
            sent = decode(row.value)
        except RecordError:
            continue
        match sent:
            case Judgement():
                said_ms = forgotten.said_by(row.value, record.principal)
                concerned = sent.turn_id in turn_ids or (
                    said_ms is not None and said_ms <= record.created_ms
                )
            case Note():
                # one without text says that a note is gone, to agents that may know it still
                concerned = (sent.principal, sent.text != "") == (record.principal, True) and (
                    sent.created_ms <= record.created_ms or sent.note in notes
                )
            case DeadLetter():
                concerned = forgotten.covers_letter(record, sent)
            case _:
                concerned = False
        if concerned:
            session.delete(row)


def _lessons(session: Session, record: Forgotten, line: str) -> Sequence[LessonRow]:
    """Return the principal's lessons that are forgotten: as old as the turn with their words."""
    words = select(TurnRow.id).where(*_covered(record, line))
    theirs = select(LessonRow).where(
        LessonRow.line == line,
        LessonRow.principal == record.principal,
        or_(col(LessonRow.created_ms) <= record.created_ms, col(LessonRow.turn_id).in_(words)),
    )
    return session.exec(theirs).all()


def _forget_lessons_of(session: Session, turn: TurnRow) -> None:
    """Empty the lessons whose words stood in a turn that is deleted, unless others say the same."""
    for row in session.exec(select(LessonRow).where(LessonRow.turn_id == turn.id)).all():
        others = select(TurnRow.id).where(TurnRow.lesson == row.id, TurnRow.id != turn.id)
        first = session.exec(others.order_by(col(TurnRow.created_ms), TurnRow.id)).first()
        if first is None:
            wish = wish_of(row)
            _empty_lessons(session, [row])
            set_free(session, row.line, [wish])
            continue
        row.turn_id, row.changed = first, row.refused is None
        session.add(row)


def _empty_lessons(session: Session, rows: Iterable[LessonRow]) -> None:
    emptied = []
    for row in rows:
        for name, value in _NO_LESSON.items():
            setattr(row, name, value)
        session.add(row)
        emptied.append(row.id)
    for some in pieces(emptied):
        left = update(TurnRow).where(col(TurnRow.lesson).in_(some)).values(lesson=None)
        session.execute(left, execution_options={"synchronize_session": False})
        named = col(NoteRow.id).in_([note_id(id) for id in some])
        for note in session.exec(select(NoteRow).where(named, NoteRow.text != "")):
            _take_back(session, note)
    session.flush()


def _take_back(session: Session, note: NoteRow) -> None:
    """Empty a note, and tell it to the agents that know it."""
    note.text, note.state = "", "removed"
    session.add(note)
    gone = Note(
        id=id_of(note.id, "forgotten"),
        note=note.id,
        line=note.line,
        principal=note.principal,
        text="",
        state="removed",
        created_ms=note.created_ms,
    )
    outbox.put(session, "notes", note.id, gone, line=note.line)


_NO_LESSON: Final[Mapping[str, Any]] = {
    "state": "forgotten", "instruction": "", "wished": [], "reason": "", "refused": None,
    "source": None, "rejected": None, "evidence": {}, "waits": False, "due": False,
    "changed": False,
}  # fmt: skip
