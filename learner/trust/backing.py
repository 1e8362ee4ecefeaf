"""Reads who has wished lately what the turns of the window wish, used up or not.

What somebody wished stays a wish for as long as people are looked back at (learner.trust.crowd):
its turn may have scored all that it may, be too old to be learned from, or wait for a word on what
was learned. What is set aside, or forgotten, is nobody's wish.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlmodel import Session, case, col, or_, select

from learner.judges.judge import SURE
from streams.store.lesson_tables import ACTIVE, SATISFIED, LessonRow
from streams.store.states import JUDGED
from streams.store.tables import TurnRow

# Wishes that are named to the database, those of the most people first.
_NAMED: Final = 1000


def of_window(
    session: Session, line: str, within: Sequence[Any], *, since_ms: int
) -> dict[str, frozenset[str]]:
    """Read the principals behind each wish of the window.

    within: the window, as conditions
    """
    asked = select(TurnRow.wish).where(*within, col(TurnRow.wish).is_not(None))
    held = select(LessonRow.id).where(
        LessonRow.line == line, col(LessonRow.state).in_((ACTIVE, SATISFIED))
    )
    said = (
        select(TurnRow.wish, TurnRow.principal)
        .where(
            TurnRow.line == line,
            TurnRow.state == JUDGED,
            col(TurnRow.wish).in_(asked),
            col(TurnRow.strength) >= SURE,
            col(TurnRow.created_ms) >= since_ms,
            or_(col(TurnRow.lesson).is_(None), col(TurnRow.lesson).in_(held)),
        )
        .distinct()
    )
    found: dict[str, set[str]] = {}
    for wish, principal in session.exec(said):
        found.setdefault(str(wish), set()).add(principal)
    return {wish: frozenset(names) for wish, names in found.items()}


def first(behind: Mapping[str, frozenset[str]], agree: int) -> Sequence[Any]:
    """Return an order that puts wishes with people enough before the others; none to order by.

    Those of an older build's rows, whose names are not known, stand with the former.
    """
    enough = [wish for wish, names in behind.items() if len(names) >= agree]
    if not enough:
        return ()
    named = sorted(enough, key=lambda wish: (-len(behind[wish]), wish))[:_NAMED]
    known = or_(col(TurnRow.wish).is_(None), col(TurnRow.wish).in_(named))
    return (case((known, 0), else_=1),)
