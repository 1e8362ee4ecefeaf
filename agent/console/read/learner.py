"""What the learner does: its lease, the generation in work, and what waits for it."""

from collections.abc import Collection, Mapping
from typing import Final, get_args

from sqlmodel import Session, col, func, select

from agent.console.read.counted import Counted
from agent.console.read.view import View
from streams.keeping.leap import leap_of, newest
from streams.log.contract import Partition
from streams.records import Json
from streams.store.states import EXPIRED, JUDGED, PLANNED, TurnState
from streams.store.tables import GenerationRow, LeaseRow, OffsetRow, TurnRow

RECENT_TURNS = 500  # the fresh ones are counted among these, so that the count stays cheap

# Of turns that are too old to be kept only ids, times and counts are left, and they only grow more.
_COUNTED: Final = tuple(state for state in get_args(TurnState) if state != EXPIRED)


class Learners:
    """The state of learners; turns are counted once a minute."""

    def __init__(self) -> None:
        self._num_turns = Counted(_num_turns)

    def read(self, session: Session, view: View) -> Json:
        """Read the state of the learners of these lines."""
        return _read(session, view) | {"num_turns": self._num_turns.read(session, view)}


def _num_turns(session: Session, lines: Collection[str]) -> Json:
    """Count turns by state, without those that are too old to be kept."""
    states = select(TurnRow.state, func.count()).where(
        col(TurnRow.line).in_(lines), col(TurnRow.state).in_(_COUNTED)
    )
    counts = session.execute(states.group_by(TurnRow.state)).all()
    return {str(state): count for state, count in counts}


def _read(session: Session, view: View) -> Json:
    last = session.exec(select(func.max(TurnRow.sequence))).one() or 0
    recent = session.execute(
        select(TurnRow.line, TurnRow.state, TurnRow.uses).where(
            TurnRow.sequence > last - RECENT_TURNS
        )
    ).all()
    planned = session.execute(
        select(GenerationRow.line, GenerationRow.number, GenerationRow.planned_ms)
        .where(GenerationRow.state == PLANNED, col(GenerationRow.line).in_(view.lines))
        .order_by(col(GenerationRow.number))
    ).all()
    return {
        "leases": [_lease(row, view.now_ms) for row in session.exec(select(LeaseRow)).all()],
        "in_work": [dict(row._mapping) for row in planned],
        "num_fresh": sum(
            line in view.lines and state == JUDGED and uses == 0 for line, state, uses in recent
        ),
        "lag": _lag(session, view.ends),
        "dead_letters": view.dead_letters,
        "not_pruned": _not_pruned(session, view),
    }


def _not_pruned(session: Session, view: View) -> str | None:
    """Say why the retention lets no more go; None: nothing is in its way."""
    if view.keep_days is None:
        return None
    found = leap_of(session, view.keep_days, newest(session, now_ms=view.now_ms))
    return str(found) if found is not None else None


def _lease(row: LeaseRow, now_ms: int) -> Json:
    """Tell who holds a lease; its end would be another one every few seconds, and is no news."""
    return row.model_dump(exclude={"expires_ms"}) | {"held": row.expires_ms > now_ms}


def _lag(session: Session, ends: Mapping[Partition, int]) -> Json:
    """Group → topic → records not read yet; an upper bound, as offsets may have holes."""
    read: dict[str, dict[tuple[str, int], int]] = {}
    for row in session.exec(select(OffsetRow)).all():
        read.setdefault(row.group, {})[row.topic, row.partition] = row.next_offset
    behind: dict[str, dict[str, int]] = {group: {} for group in read}
    for group, places in read.items():
        for partition, end in ends.items():
            if end:  # a partition that was never read has no place yet, and everything is left
                left = max(0, end - places.get((partition.topic, partition.number), 0))
                behind[group][partition.topic] = behind[group].get(partition.topic, 0) + left
    return behind
