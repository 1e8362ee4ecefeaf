"""Reads who has wished lately what the turns of the window wish, used up or not.

What somebody wished stays a wish for as long as people are looked back at (learner.trust.crowd):
its turn may have scored all that it may, be too old to be learned from, or wait for a word on what
was learned. What is set aside, or forgotten, is nobody's wish.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlmodel import Session, case, col, func, or_, select

from learner.judges.judge import SURE
from streams.store.lesson_tables import ACTIVE, SATISFIED, LessonRow
from streams.store.states import JUDGED
from streams.store.tables import TurnRow

# Wishes that are named to the database, those of the most people first.
_NAMED: Final = 1000


def agreed(
    session: Session, line: str, within: Sequence[Any], *, since_ms: int, agree: int
) -> list[str]:
    """Name the wishes of the window that people enough have wished, those of the most first.

    within: the window, as conditions
    """
    number = func.count(func.distinct(TurnRow.principal))
    counted = select(TurnRow.wish, number).where(*_said(line, within, since_ms))
    enough = session.execute(counted.group_by(TurnRow.wish).having(number >= agree)).all()
    return [str(wish) for wish, number in sorted(enough, key=lambda each: (-each[1], each[0]))]


def of_wishes(
    session: Session, line: str, within: Sequence[Any], wishes: Collection[str], *, since_ms: int
) -> dict[str, frozenset[str]]:
    """Read the principals behind each of these wishes, as far as the window has them."""
    named = *_said(line, within, since_ms), col(TurnRow.wish).in_(wishes)
    said = select(TurnRow.wish, TurnRow.principal).where(*named).distinct()
    found: dict[str, set[str]] = {}
    for wish, principal in session.exec(said):
        found.setdefault(str(wish), set()).add(principal)
    return {wish: frozenset(names) for wish, names in found.items()}


def first(agreed: Sequence[str]) -> Sequence[Any]:
    """Return an order that puts wishes with people enough before the others; none to order by.

    Those of an older build's rows, whose names are not known, stand with the former.
    """
    if not agreed:
        return ()
    known = or_(col(TurnRow.wish).is_(None), col(TurnRow.wish).in_(agreed[:_NAMED]))
    return (case((known, 0), else_=1),)


def _said(line: str, within: Sequence[Any], since_ms: int) -> tuple[Any, ...]:
    """Say which turns wish lately what a turn of the window wishes."""
    asked = select(TurnRow.wish).where(*within, col(TurnRow.wish).is_not(None))
    held = select(LessonRow.id).where(
        LessonRow.line == line, col(LessonRow.state).in_((ACTIVE, SATISFIED))
    )
    return (
        TurnRow.line == line,
        TurnRow.state == JUDGED,
        col(TurnRow.wish).in_(asked),
        col(TurnRow.strength) >= SURE,
        col(TurnRow.created_ms) >= since_ms,
        or_(col(TurnRow.lesson).is_(None), col(TurnRow.lesson).in_(held)),
    )
