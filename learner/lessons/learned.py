"""Notes in the lessons of a generation which version learned them, and what became of rewrites."""

from collections.abc import Mapping
from typing import Final

from sqlmodel import Session, col, select

from learner.batch.rewriting.teacher import Target
from learner.lessons.review import usable
from streams.store.lesson_tables import LessonCountRow, LessonRow
from streams.store.states import RELEASED
from streams.store.tables import GenerationRow

# Reasons as metrics have them, by words that stand in a target's reason.
_REASONS: Final = (
    ("the hint is refused", "refused"),
    ("goes round in circles", "babble"),
    ("says the hint again", "copies"),
    ("talks about the complaint", "apology"),
    ("it apologises", "apology"),
    ("is not about the question", "not about it"),
    ("does not do what was wished", "not as wished"),
    ("is not likely", "unlikely"),
    ("says nothing", "nothing said"),
)


def reason_of(told: str) -> str:
    """Return why a rewrite is no lesson, in one of a few words.

    >>> reason_of("of the teacher's rewrite: it is not about the question (+0.10 nats a token)")
    'not about it'
    """
    return next((short for words, short in _REASONS if words in told), "other")


def learned(session: Session, generation: GenerationRow, targets: Mapping[str, Target]) -> None:
    """Note what a finished generation came to in the lessons of its turns; the caller commits.

    targets: the rewrites that were made for it, by turn
    """
    of_turn = {item["turn_id"]: item.get("lesson") for item in generation.batch}
    scored = {of_turn.get(id) for id in generation.scored_ids}
    named = {id for id in of_turn.values() if id}
    # one that is forgotten meanwhile is worked out no more
    query = select(LessonRow).where(col(LessonRow.id).in_(named), *usable(generation.line))
    rows = {row.id: row for row in session.exec(query)}
    for row in rows.values():
        if generation.state == RELEASED and row.id in scored:
            row.versions = [*row.versions, [generation.child, len(row.set_aside)]]
        row.changed = True
        session.add(row)
    for id, target in targets.items():
        accepted = bool(target["token_ids"])
        why = "" if accepted else reason_of(target["reason"])
        _count(session, generation.line, "accepted" if accepted else "rejected", why)
        row_of = rows.get(of_turn.get(id) or "")
        if row_of is not None:
            row_of.source = target["made"] if accepted else row_of.source
            row_of.rejected = None if accepted else target["reason"]
    session.flush()


def _count(session: Session, line: str, outcome: str, reason: str) -> None:
    row = session.get(LessonCountRow, (line, outcome, reason))
    row = row or LessonCountRow(line=line, outcome=outcome, reason=reason, num=0)
    row.num += 1
    session.add(row)
    session.flush()
