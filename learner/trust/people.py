"""Reads the people of a line from the store: how many are active, and since when each is here.

What counts is the rows that the log had brought by then and the moment of planning, so that a line
that is run again plans alike.
"""

from collections.abc import Collection
from typing import Any, Final

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
) -> Crowd:
    """Read the crowd of a line.

    principals: those who may be heard in the next generation
    everybody: count all others who count in full as well, where there are many; that reads more
    gold: read how often they were right where that is known; that reads more, too
    own_gold: False to read it as builds did that looked at the newest of all people together
    """
    first = (
        select(TurnRow.created_ms)
        .where(*_lately(line, now_ms))
        .order_by(col(TurnRow.created_ms))
        .limit(1)
    )
    oldest_ms = session.exec(first).first()
    oldest_days = _days(oldest_ms, now_ms) if oldest_ms is not None else 0.0
    active = num_active(session, line, now_ms=now_ms)
    many = everybody and active >= ENOUGH
    seen = (
        select(TurnRow.principal, func.min(TurnRow.created_ms))
        .where(TurnRow.line == line, col(TurnRow.principal).in_(set(principals)))
        .where(col(TurnRow.created_ms) >= since_ms(now_ms))
        .group_by(TurnRow.principal)
    )
    days = {name: _days(first_ms, now_ms) for name, first_ms in session.exec(seen)}
    since = since_ms(now_ms)
    records = records_of(session, line, principals, since_ms=since, own=own_gold) if gold else {}
    return Crowd(
        active=active,
        days={name: days.get(name, float(LOOK_BACK_DAYS)) for name in sorted(set(principals))},
        oldest_days=oldest_days,
        settled=_num_settled(session, line, oldest_days, now_ms) if many else 0,
        records=records,
    )


def num_active(session: Session, line: str, *, now_ms: int) -> int:
    """Count the principals with judged turns of late, up to ENOUGH."""
    names = select(TurnRow.principal).where(*_lately(line, now_ms)).distinct().limit(ENOUGH)
    return len(session.exec(names).all())


def _num_settled(session: Session, line: str, oldest_days: float, now_ms: int) -> int:
    """Count the principals with judged turns of late who count in full beside the oldest."""
    first = func.min(TurnRow.created_ms)
    firsts = session.exec(select(first).where(*_lately(line, now_ms)).group_by(TurnRow.principal))
    return sum(standing_of(_days(ms, now_ms), oldest_days) >= 1 for ms in firsts)


def since_ms(now_ms: int) -> int:
    """Return from when on people are looked back at."""
    return now_ms - LOOK_BACK_DAYS * _DAY_MS


def _lately(line: str, now_ms: int) -> tuple[Any, ...]:
    judged = TurnRow.line == line, TurnRow.state == JUDGED
    return *judged, col(TurnRow.created_ms) >= since_ms(now_ms)


def _days(first_ms: int, now_ms: int) -> float:
    return max(0, now_ms - first_ms) / _DAY_MS
