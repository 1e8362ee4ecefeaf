"""Reads the people of a line from the store: how many are active, and since when each is here.

A person is here since its first turn that the store has: who was away for longer than people are
looked back at is no newcomer for that.

What counts is the rows that the log had brought by then and the moment of planning, so that a line
that is run again plans alike.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from learner.trust.crowd import ENOUGH, LOOK_BACK_DAYS, Crowd, standing_of
from learner.trust.gold import records_of
from streams.store.states import JUDGED
from streams.store.tables import TurnRow

_DAY_MS: Final = 86_400_000


def crowd_of(
    session: Session,
    line: str,
    principals: Collection[str],
    *,
    now_ms: int,
    everybody: bool = False,
    gold: bool = False,
    own_gold: bool = True,
    first_turns: bool = True,
) -> Crowd:
    """Read the crowd of a line.

    principals: those who may be heard in the next generation
    everybody: count all others who count in full as well, where there are many; that reads more
    gold: read how often they were right where that is known; that reads more, too
    own_gold: False to read it as builds did that looked at the newest of all people together
    first_turns: False to read it as builds did to which whoever was away was new again
    """
    spoke = _firsts(line, _lately(line, now_ms), first_turns)
    everyone = [_days(first_ms, now_ms) for _, first_ms in session.exec(spoke)]
    oldest_days = min(max(everyone, default=0.0), float(LOOK_BACK_DAYS))
    active = min(len(everyone), ENOUGH)
    many = everybody and active >= ENOUGH
    heard = TurnRow.line == line, col(TurnRow.principal).in_(set(principals))
    seen = _firsts(line, (*heard, col(TurnRow.created_ms) >= since_ms(now_ms)), first_turns)
    days = {name: _days(first_ms, now_ms) for name, first_ms in session.exec(seen)}
    since = since_ms(now_ms)
    records = records_of(session, line, principals, since_ms=since, own=own_gold) if gold else {}
    return Crowd(
        active=active,
        days={name: days.get(name, float(LOOK_BACK_DAYS)) for name in sorted(set(principals))},
        oldest_days=oldest_days,
        settled=sum(standing_of(each, oldest_days) >= 1 for each in everyone) if many else 0,
        records=records,
    )


def num_active(session: Session, line: str, *, now_ms: int) -> int:
    """Count the principals with judged turns of late, up to ENOUGH."""
    names = select(TurnRow.principal).where(*_lately(line, now_ms)).distinct().limit(ENOUGH)
    return len(session.exec(names).all())


def _firsts(line: str, spoke: Sequence[Any], first_turns: bool) -> Any:
    """Select the principals of some turns, and when the first turn of each was.

    first_turns: False: the first of those turns
    """
    if not first_turns:
        first_ms = func.min(TurnRow.created_ms)
        return select(TurnRow.principal, first_ms).where(*spoke).group_by(col(TurnRow.principal))
    people = select(TurnRow.principal).where(*spoke).distinct().subquery()
    earlier = aliased(TurnRow)
    # one step into an index each, however much they have said
    first = select(func.min(earlier.created_ms)).where(*_own(earlier, line, people.c))
    return select(people.c.principal, first.scalar_subquery())


def _own(turn: Any, line: str, person: Any) -> tuple[Any, ...]:
    return turn.line == line, turn.principal == person.principal


def since_ms(now_ms: int) -> int:
    """Return from when on people are looked back at."""
    return now_ms - LOOK_BACK_DAYS * _DAY_MS


def _lately(line: str, now_ms: int) -> tuple[Any, ...]:
    judged = TurnRow.line == line, TurnRow.state == JUDGED
    return *judged, col(TurnRow.created_ms) >= since_ms(now_ms)


def _days(first_ms: int, now_ms: int) -> float:
    return max(0, now_ms - first_ms) / _DAY_MS
