"""What people wish of a line, and what became of it, from the store: for pages and Prometheus.

Instructions are people's words: operators see them as they see the turns.
"""

from collections.abc import Collection, Mapping
from typing import Final

from sqlmodel import Session, col, func, select

from agent.watch.metrics import Family
from streams.records import Json
from streams.store.lesson_tables import LessonCountRow, LessonRow, NoteRow

LIMIT: Final = 200
_STATES: Final = ("active", "satisfied", "set aside", "forgotten")
_NOTES: Final = ("active", "retired", "removed")
_HIDDEN: Final = {"changed", "due", "wished"}


def lessons(session: Session, lines: Collection[str], *, limit: int = LIMIT) -> list[Json]:
    """Read the lessons of some lines, the newest first, each with its note's state."""
    newest = (
        select(LessonRow)
        .where(col(LessonRow.line).in_(lines))
        .order_by(col(LessonRow.created_ms).desc(), LessonRow.id)
        .limit(limit)
    )
    rows = session.exec(newest).all()
    noted = select(NoteRow.lesson, NoteRow.state).where(
        col(NoteRow.lesson).in_([row.id for row in rows])
    )
    notes = dict(session.exec(noted).all())
    return [_shown(row, notes) for row in rows]


def families(session: Session, line: str) -> list[Family]:
    """Count lessons and notes by their state, and rewrites by what became of them."""
    states = select(LessonRow.state, func.count()).where(LessonRow.line == line)
    num = dict(session.exec(states.group_by(LessonRow.state)).all())
    kinds = select(NoteRow.state, func.count()).where(NoteRow.line == line)
    notes = dict(session.exec(kinds.group_by(NoteRow.state)).all())
    counts = session.exec(select(LessonCountRow).where(LessonCountRow.line == line)).all()
    return [
        Family(
            "lessons",
            "Wishes of people, by what became of them",
            ("state",),
            tuple(((state,), float(num.get(state, 0))) for state in _STATES),
        ),
        Family(
            "notes",
            "Standing wishes, by whether they are in prompts",
            ("state",),
            tuple(((state,), float(notes.get(state, 0))) for state in _NOTES),
        ),
        Family(
            "lessons",
            "Rewrites of replies that were complained of",
            ("outcome", "reason"),
            tuple(((row.outcome, row.reason), float(row.num)) for row in counts),
            counts=True,
        ),
    ]


def _shown(row: LessonRow, notes: Mapping[str, str]) -> Json:
    body = row.model_dump(exclude=_HIDDEN)
    body["versions"] = [name for name, _ in row.versions]
    return body | {"note": notes.get(row.id)}
