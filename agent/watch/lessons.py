"""What people wish of a line, and what became of it, from the store: for pages and Prometheus.

Instructions are people's words: operators see them as they see the turns.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlmodel import Session, col, func, select

from agent.watch.metrics import Family
from streams.records import Json
from streams.store.lesson_tables import ACTIVE, LessonCountRow, LessonRow, NoteRow
from streams.store.tables import GenerationRow, JudgementRow, PlannerRow, RecipeRow

LIMIT: Final = 200
# Generations that are searched for who learned from a turn: some days of a busy line.
SEARCHED: Final = 400
_STATES: Final = ("active", "satisfied", "set aside", "forgotten")
_NOTES: Final = ("active", "retired", "removed")
_HIDDEN: Final = {"changed", "due", "wished"}
# As the judge that reads words writes it into its evidence (learner.judges.acts.message).
_REFUSED: Final = "hint refused: "
# A judgement whose wish is no instruction.
REFUSES: Final = col(JudgementRow.evidence).contains(_REFUSED, autoescape=True)


def lessons(session: Session, lines: Collection[str], *, limit: int = LIMIT) -> list[Json]:
    """Read the lessons of some lines, the newest first, each with its note's state."""
    newest = (
        select(LessonRow)
        .where(col(LessonRow.line).in_(lines))
        .order_by(col(LessonRow.created_ms).desc(), LessonRow.id)
        .limit(limit)
    )
    return list(_shown(session, session.exec(newest).all()).values())


def courses(session: Session, ids: Collection[str]) -> dict[str, Json]:
    """Read lessons by their ids: what became of each, by id."""
    return _shown(session, session.exec(select(LessonRow).where(col(LessonRow.id).in_(ids))).all())


def refusals(session: Session, turn_ids: Collection[str]) -> dict[str, str]:
    """Read why what was wished of some turns is no lesson, by turn."""
    judged = select(JudgementRow.turn_id, JudgementRow.evidence).where(
        col(JudgementRow.turn_id).in_(turn_ids), REFUSES
    )
    evidence = session.exec(judged.order_by(col(JudgementRow.created_ms))).all()
    noted = select(LessonRow.turn_id, LessonRow.reason).where(
        col(LessonRow.turn_id).in_(turn_ids), col(LessonRow.refused).is_not(None)
    )
    told = {id: f"no instruction: {said.partition(_REFUSED)[2]}" for id, said in evidence}
    return told | dict(session.exec(noted).all())


def learners(session: Session, line: str, turn_ids: Collection[str]) -> dict[str, list[Json]]:
    """Read which versions have some turns in their batch, by turn, the oldest version first."""
    columns: list[Any] = [
        GenerationRow.number, GenerationRow.child, GenerationRow.state, GenerationRow.turn_ids,
        RecipeRow.number,
    ]  # fmt: skip
    query = (
        select(*columns)
        .outerjoin(RecipeRow, col(RecipeRow.version) == col(GenerationRow.child))
        .where(GenerationRow.line == line, col(GenerationRow.child).is_not(None))
        .order_by(col(GenerationRow.number).desc())
        .limit(SEARCHED)
    )
    wanted, found = set(turn_ids), defaultdict[str, list[Json]](list)
    for generation, version, state, learned_from, number in session.execute(query):
        for id in wanted.intersection(learned_from):
            told = {"generation": generation, "version": version, "state": state, "number": number}
            found[id].insert(0, told)
    return found


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


def _shown(session: Session, rows: Sequence[LessonRow]) -> dict[str, Json]:
    """Lessons as they are shown, each with its note's state, by id."""
    noted = select(NoteRow.lesson, NoteRow.state).where(
        col(NoteRow.lesson).in_([row.id for row in rows])
    )
    notes: Mapping[str, str] = dict(session.exec(noted).all())
    alone = _alone(session, {row.line for row in rows})
    return {
        row.id: row.model_dump(exclude=_HIDDEN)
        | {"versions": [name for name, _ in row.versions], "note": notes.get(row.id)}
        | ({"reason": alone[row.id]} if row.state == ACTIVE and row.id in alone else {})
        for row in rows
    }


def _alone(session: Session, lines: Collection[str]) -> dict[str, str]:
    """Read which wishes wait for others who wish the same, each with the reason in words."""
    found = session.exec(select(PlannerRow).where(col(PlannerRow.line).in_(lines)))
    return {
        id: f"waits for others who wish the same: {behind:g} of {needed:g} people so far"
        for row in found
        for id, (behind, needed) in row.alone.items()
    }
