"""What complaints became: a hint, the rewrite that is learned or why none, who learned it, and what
came of the wish; or why the wish was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, or_, select

from agent.watch.lessons import REFUSES, courses, learners, refusals
from deploy.errors import DeployError
from streams.store.given import given
from streams.store.lesson_tables import LessonRow
from streams.store.tables import IS_VERDICT, JudgementRow, TurnRow


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one turn teaches, or why what was wished of it teaches nothing.

    turn: its id; hint: what the reply should have done, in the complaint's words
    text: the rewrite that is learned; empty: there is none
    made: in what way; reason: why there is none
    refused: why what was wished is no instruction; None: it is one, or nothing was wished
    proof: what was measured of it, nats a token; None: nothing was
    versions: those whose generation learned from the turn, oldest first
    course: what became of the wish, and of its note (agent.watch.lessons); None: it is not kept
    """

    turn: str
    line: str
    created_ms: int
    asked: str
    answered: str
    score: int
    hint: str | None
    text: str
    made: str
    reason: str
    refused: str | None
    proof: dict[str, Any] | None
    uses: int
    versions: tuple[str, ...]
    course: dict[str, Any] | None


def lessons(session: Session, line: str, limit: int, *, start: str = "") -> list[Lesson]:
    """Return the newest lessons of a line, newest first. start: how the turn's id begins."""
    taught = or_(
        given(TurnRow.target),
        col(TurnRow.id).in_(select(JudgementRow.turn_id).where(REFUSES)),
        col(TurnRow.id).in_(select(LessonRow.turn_id).where(col(LessonRow.refused).is_not(None))),
    )
    query = select(TurnRow).where(TurnRow.line == line, taught)
    if start:
        query = query.where(col(TurnRow.id).startswith(start, autoescape=True))
    rows = session.exec(query.order_by(col(TurnRow.sequence).desc()).limit(limit)).all()
    ids = [row.id for row in rows]
    verdicts, refused = _verdicts(session, ids), refusals(session, ids)
    learned = learners(session, line, ids)
    became = courses(session, [row.lesson for row in rows if row.lesson])
    return [
        _lesson(
            row,
            verdicts.get(row.id),
            [each["version"] for each in learned.get(row.id, ())],
            became.get(row.lesson or ""),
            refused.get(row.id),
        )
        for row in rows
    ]


def find_lesson(session: Session, line: str, start: str) -> Lesson:
    """Return the lesson of the turn whose id begins like this.

    raises: DeployError when none does, or more than one
    """
    found = lessons(session, line, 2, start=start)
    if len(found) != 1:
        what = "no lesson is of a turn that begins" if not found else "several lessons' turns begin"
        raise DeployError(f"{what} with {start}: `quickset lessons list` names them")
    return found[0]


def _lesson(
    row: TurnRow,
    verdict: JudgementRow | None,
    versions: Sequence[str],
    course: dict[str, Any] | None,
    refused: str | None,
) -> Lesson:
    target, messages = row.target or {}, row.record.get("messages", [])
    said = [each.get("content") for each in messages if each.get("role") == "user"]
    return Lesson(
        turn=row.id,
        line=row.line,
        created_ms=row.created_ms,
        asked=(said[-1] if said else None) or "",
        answered=row.record.get("reply", {}).get("content") or "",
        score=verdict.score if verdict else 0,
        hint=target.get("hint") or (verdict.hint if verdict else None),
        text=target.get("text") or "",
        made=target.get("made") or "",
        reason=target.get("reason") or "",
        refused=refused,
        proof=target.get("proof"),
        uses=row.uses,
        versions=tuple(versions),
        course=course,
    )


def _verdicts(session: Session, ids: Sequence[str]) -> dict[str, JudgementRow]:
    """The last verdict on each turn that carries a hint, or else the last one."""
    found: dict[str, JudgementRow] = {}
    rows = select(JudgementRow).where(col(JudgementRow.turn_id).in_(ids), IS_VERDICT)
    for row in session.exec(rows.order_by(col(JudgementRow.created_ms))):
        known = found.get(row.turn_id)
        if row.hint or known is None or not known.hint:
            found[row.turn_id] = row
    return found
