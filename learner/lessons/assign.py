"""Gives a turn that is complained of its lesson: the wish of its person that the complaint is.

Equal wishes of one principal and line are one lesson: what a program can check of them is the same,
or their words are, or, where an embedder is installed, what they mean. A complaint without a wish
belongs to a lesson of its own, so that learning from it can be seen to help as well. Words that are
no instruction, or are against the operator's, make a row that says why, and the complaint counts
without them.

The words stay where they were said: in the turn.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import Session, col, delete, select, update

from learner.batch.plan import unfinished
from learner.form.directions import directions_of
from learner.form.operator import AGAINST, against_operator
from learner.judges.judge import Verdict
from learner.judges.reading.text import tokens
from learner.judges.wishes import HINT_CHARS, hint_of
from streams.model.embedding.embed import Embedder
from streams.store.lesson_tables import FORGOTTEN, SET_ASIDE, LessonRow
from streams.store.tables import TurnRow

# So many wishes of one person are looked at for one that is the same, the newest first.
LOOKED_AT: Final = 64
# Of an operator's sentence that a wish is against, so much is told.
QUOTED_CHARS: Final = 80
# Two wishes that are as close have nearly the same words: a wish and its opposite ("more formal",
# "less formal") come to 0.97 (EXPERIMENTS, "One wish in other words").
ALIKE: Final = 0.98
_NEWEST: Final[tuple[Any, ...]] = (col(LessonRow.created_ms).desc(), col(LessonRow.id))


def assign(
    session: Session, row: TurnRow, verdict: Verdict | None, *, embedder: Embedder | None
) -> LessonRow | None:
    """Set the lesson of a turn by what all its judgements come to, and return it.

    verdict: None: nobody has judged it
    returns: None where nothing is complained of
    """
    found = None
    with session.no_autoflush:  # the turn is written once, with its lesson
        if verdict is not None and verdict.asks:
            found = _lesson(session, row, verdict, embedder)
        else:
            _touch(session, row)
        row.lesson = found.id if found is not None else None
    session.add(row)
    return found


def let_go(session: Session, row: TurnRow, before: str) -> bool:
    """Delete the lesson that a turn had, if nobody else has it and nothing came of it.

    Feedback may be replaced as often as somebody likes, and only its last word is kept. What has
    been in a generation, or is in one now, is kept: it tells what a version learned.
    """
    lesson = session.get(LessonRow, before)
    if lesson is None or lesson.state == FORGOTTEN or _has_history(lesson) or row.uses:
        return False
    others = select(TurnRow.id).where(TurnRow.lesson == before, TurnRow.id != row.id).limit(1)
    if session.exec(others).first() is not None:
        return False
    planned = unfinished(session, row.line)
    if planned is not None and any(item.get("lesson") == before for item in planned.batch):
        return False
    session.delete(lesson)
    session.flush()
    return True


def drop_refused(session: Session, turn_id: str) -> None:
    """Delete what was noted of a turn's words that were no instruction: they were replaced."""
    gone = delete(LessonRow).where(
        col(LessonRow.turn_id) == turn_id, col(LessonRow.refused).is_not(None)
    )
    session.execute(gone)


def _has_history(lesson: LessonRow) -> bool:
    return bool(lesson.versions or lesson.set_aside or lesson.source or lesson.rejected)


def _lesson(
    session: Session, row: TurnRow, verdict: Verdict, embedder: Embedder | None
) -> LessonRow | None:
    said = verdict.hint or ""
    hint = hint_of(said) if said else None
    if hint is not None and hint.refused:
        _refused(session, row, said, hint.refused)
    wish = hint.text or "" if hint is not None else ""
    if wish and (ordered := _ordered(row, wish)):
        _refused(session, row, said, AGAINST, f'{AGAINST}, "{ordered[:QUOTED_CHARS]}"')
        wish = ""
    if not wish and verdict.score >= 0:
        _touch(session, row)
        return None
    known = _known(session, row)
    for each in known:
        each.changed = True  # as _touch does
    same = _same(wish, known, embedder)
    return same if same is not None else _begun(session, row, wish)


def _ordered(row: TurnRow, wish: str) -> str:
    """Return what the operator orders in the turn's prompt against a wish; empty: nothing."""
    messages = row.record.get("messages", [])
    return against_operator(((each["role"], each.get("content")) for each in messages), wish)


def _refused(session: Session, row: TurnRow, said: str, why: str, told: str = "") -> None:
    """Keep that somebody's words are no instruction; the words stand in the turn's judgement.

    told: why, for people; empty: as it is
    """
    refused = _new(row, said[:HINT_CHARS])
    if session.get(LessonRow, refused.id) is None:
        refused.instruction, refused.wished = "", []
        refused.refused, refused.state, refused.changed = why, SET_ASIDE, False
        refused.reason = f"no instruction: {told or why}"
        session.add(refused)
        session.flush()


def _known(session: Session, row: TurnRow) -> Sequence[LessonRow]:
    query = select(LessonRow).where(*_theirs(row)).order_by(*_NEWEST).limit(LOOKED_AT)
    return session.exec(query).all()


def _same(wish: str, known: Sequence[LessonRow], embedder: Embedder | None) -> LessonRow | None:
    """Return the lesson that a wish is one of; None: it is new."""
    if not wish:
        return next((each for each in known if not each.instruction), None)
    wished, words = _wished(wish), tokens(wish)
    for each in known:
        if wished and each.wished == wished and _read_anew(each):
            return each
        if each.instruction and tokens(each.instruction) == words:
            _read_anew(each)
            return each
    free = [each for each in known if each.instruction and not each.wished]
    if embedder is None or wished or not free:
        return None
    vectors = embedder.embed([wish, *(each.instruction for each in free)])
    closeness = vectors[1:] @ vectors[0]
    best = int(closeness.argmax())
    both = hint_of(f"{wish} {free[best].instruction}")
    is_same = closeness[best] >= ALIKE and both.refused != "contradicts itself"
    return free[best] if is_same else None


def _read_anew(lesson: LessonRow) -> bool:
    """Correct what another build's rules saw in a lesson; return whether it was what ours see."""
    wished = _wished(lesson.instruction)
    was_right = lesson.wished == wished
    lesson.wished = wished
    return was_right


def _begun(session: Session, row: TurnRow, wish: str) -> LessonRow:
    """Return the lesson that a turn begins.

    It is there already where the turn began it before so many others that it is no more looked at.
    """
    new = _new(row, wish)
    known = session.get(LessonRow, new.id)
    if known is None:
        session.add(new)
        return new
    if known.state == FORGOTTEN or known.refused is not None:  # by another build's rules
        return session.merge(new)
    known.changed = True
    return known


def _new(row: TurnRow, wish: str) -> LessonRow:
    named = f"lesson\0{row.line}\0{row.id}\0{wish}"
    return LessonRow(
        id=hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:24],
        line=row.line,
        principal=row.principal,
        turn_id=row.id,
        instruction=wish,
        wished=_wished(wish),
        created_ms=row.created_ms,
    )


def _wished(wish: str) -> list[list[str]]:
    return [[each.kind, each.value] for each in directions_of(wish)]


def _touch(session: Session, row: TurnRow) -> None:
    """Note that what is known of this person's lessons has changed: of those that can be meant.

    However many wishes a key has sent, a word more costs no more; older ones are looked at with the
    next version that serves.
    """
    theirs = select(LessonRow.id).where(*_theirs(row)).order_by(*_NEWEST).limit(LOOKED_AT)
    touched = update(LessonRow).where(
        col(LessonRow.id).in_(theirs), col(LessonRow.changed).is_(False)
    )
    session.execute(touched.values(changed=True), execution_options={"synchronize_session": False})


def _theirs(row: TurnRow) -> tuple[Any, ...]:
    return (
        LessonRow.line == row.line,
        LessonRow.principal == row.principal,
        LessonRow.state != FORGOTTEN,
        col(LessonRow.refused).is_(None),
    )
