"""Tells records that a wrong clock has dated from those of a service that has slept.

Either way the newest records lie further ahead of the ones before them than anything is kept, and
all that was said would be old at once. A clock that is wrong is seen and set right; where time has
really passed, records go on coming: after some days of them the leap is believed. Until then what
is old is old beside the last record before it; so what is used more rarely than it keeps lets go,
too, one record behind.

Knows nothing of where records are kept.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlmodel import Session, func, select

from streams.store.tables import SeenRow

DAY_MS: Final = 24 * 60 * 60 * 1000
# A week: somebody looks at the machine within it, and what should go stays no longer than that.
PROVED_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Leap:
    """Records that may have been dated by a clock that is ahead: nothing is old by them.

    What is old beside the last one before them goes all the same: had that leapt itself, it would
    be believed by now, as these lie further ahead of it than that takes.
    """

    days: int  # how long records are kept
    before_ms: int  # the last record before them
    first_ms: int  # the first of them

    def __str__(self) -> str:
        """Say what is seen, and what to do."""
        before, first, believed = (
            datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
            for ms in (self.before_ms, self.first_ms, self.first_ms + proved_ms(self.days))
        )
        return (
            f"what came on {before} is followed by records of {first}, further ahead than the"
            f" {self.days} days that are kept: only what is old beside the former is pruned. If a"
            " machine's clock is wrong, set it right, and start agent and learner again. If so much"
            f" time has passed, pruning goes on by itself with the records of {believed}"
        )


def proved_ms(days: int) -> int:
    """Return for how long records must have come after a leap until it is believed."""
    return min(PROVED_MS, days * DAY_MS)


def leap(days: int, *, before_ms: int | None, first_ms: int | None, newest_ms: int) -> Leap | None:
    """Return the leap that makes records old, unless it is believed.

    days: how long records are kept, which ends so long before the newest
    before_ms: the last record that is too old; None: none is
    first_ms: the first one that is not
    newest_ms: the newest

    >>> leap(90, before_ms=0, first_ms=100 * DAY_MS, newest_ms=101 * DAY_MS) is None
    False
    >>> leap(90, before_ms=0, first_ms=100 * DAY_MS, newest_ms=107 * DAY_MS) is None
    True
    """
    if before_ms is None or first_ms is None or first_ms - before_ms <= days * DAY_MS:
        return None
    if newest_ms - first_ms >= proved_ms(days):
        return None
    return Leap(days, before_ms, first_ms)


def newest(session: Session, *, now_ms: int) -> int | None:
    """Return when the log took the newest record that was used, in Unix milliseconds.

    One that is dated later than now is of a clock that ran ahead.
    """
    return session.exec(select(func.max(SeenRow.time_ms)).where(SeenRow.time_ms <= now_ms)).one()


def leap_of(session: Session, days: int, newest_ms: int | None) -> Leap | None:
    """Return the leap that the retention of a store does not believe.

    days: how long records are kept
    newest_ms: of the newest that was used (`newest`); None: there is none
    """
    if newest_ms is None:
        return None
    old_ms = newest_ms - days * DAY_MS
    last = select(func.max(SeenRow.time_ms)).where(SeenRow.time_ms < old_ms)
    first = select(func.min(SeenRow.time_ms)).where(SeenRow.time_ms >= old_ms)
    return leap(
        days,
        before_ms=session.exec(last).one(),
        first_ms=session.exec(first).one(),
        newest_ms=newest_ms,
    )
