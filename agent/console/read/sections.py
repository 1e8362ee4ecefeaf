"""Turns the store's rows into sections of the console: JSON values, newest first, bounded.

A reading costs a few milliseconds however long the history is: every query is by an index and has
a limit.

Knows nothing of HTTP, nor of what this process serves now.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlmodel import Session, col, func, select

from streams.log.contract import Partition
from streams.records import Json
from streams.store.tables import (
    ArtefactRow,
    ForgottenRow,
    GenerationRow,
    LeaseRow,
    OffsetRow,
    RolloutRow,
    TurnRow,
)

GENERATIONS = 400
ROLLOUTS = 50
RECENT_TURNS = 500  # the fresh ones are counted among these, so that the count stays cheap

Ends = Mapping[Partition, int]  # the log's end offsets


def generations(
    session: Session, lines: Collection[str], *, limit: int = GENERATIONS
) -> list[Json]:
    """Give the last generations, newest first, without the fitness of single members."""
    names = (
        "id", "line", "number", "parent", "child", "state", "reason", "turn_ids", "coefficients",
        "step", "reward", "fitness_mean", "fitness_spread", "gain", "kl", "planned_ms", "done_ms",
    )  # fmt: skip
    rows = session.execute(
        select(*(getattr(GenerationRow, name) for name in names))
        .where(col(GenerationRow.line).in_(lines))
        .order_by(col(GenerationRow.number).desc())
        .limit(limit)
    ).all()
    shown = []
    for row in rows:
        value = row._asdict()
        value["num_turns"] = len(value.pop("turn_ids"))
        value["num_pairs"] = len(value.pop("coefficients"))
        shown.append(value)
    return shown


def rollouts(session: Session, lines: Collection[str], *, limit: int = ROLLOUTS) -> list[Json]:
    """Give the last changes of the serving version, with who and why."""
    rows = session.exec(
        select(RolloutRow)
        .where(col(RolloutRow.line).in_(lines))
        .order_by(col(RolloutRow.seq).desc())
        .limit(limit)
    ).all()
    return [row.model_dump() for row in rows]


def forgotten(session: Session, lines: Collection[str], *, limit: int = ROLLOUTS) -> list[Json]:
    """Return whose data was forgotten last, by whom and why, and the versions that it had moved."""
    newest = (
        select(ForgottenRow)
        .where(col(ForgottenRow.line).in_(lines))
        .order_by(col(ForgottenRow.created_ms).desc())
        .limit(limit)
    )
    return [row.model_dump() for row in session.exec(newest).all()]


def learner(
    session: Session, lines: Collection[str], ends: Ends, num_dead_letters: int | None
) -> Json:
    """Give what the learner does: its lease, the generation in work, and what waits for it.

    num_dead_letters: open ones; None: not known
    """
    ours = col(TurnRow.line).in_(lines)
    last = session.exec(select(func.max(TurnRow.sequence))).one() or 0
    recent = session.execute(
        select(TurnRow.line, TurnRow.state, TurnRow.uses).where(
            TurnRow.sequence > last - RECENT_TURNS
        )
    ).all()
    planned = session.execute(
        select(GenerationRow.line, GenerationRow.number, GenerationRow.planned_ms)
        .where(GenerationRow.state == "planned", col(GenerationRow.line).in_(lines))
        .order_by(col(GenerationRow.number))
    ).all()
    states = select(TurnRow.state, func.count()).where(ours)
    counts = session.execute(states.group_by(TurnRow.state)).all()
    return {
        "leases": [row.model_dump() for row in session.exec(select(LeaseRow)).all()],
        "in_work": [dict(row._mapping) for row in planned],
        "num_turns": {str(state): count for state, count in counts},
        "num_fresh": sum(
            line in lines and state == "judged" and uses == 0 for line, state, uses in recent
        ),
        "lag": lag(session, ends),
        "dead_letters": num_dead_letters,
    }


def lag(session: Session, ends: Ends) -> Json:
    """Give group → topic → records not read yet; an upper bound, as offsets may have holes."""
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


class Masks:
    """The artefacts of the safety map, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def read(self, session: Session) -> list[Json]:
        """Read the artefacts, newest first, without the maps themselves."""
        rows = session.execute(
            select(ArtefactRow.digest, ArtefactRow.kind, ArtefactRow.created_ms).order_by(
                col(ArtefactRow.created_ms).desc()
            )
        ).all()
        for row in rows:
            if row.digest not in self._known:
                body = session.exec(
                    select(ArtefactRow.body).where(ArtefactRow.digest == row.digest)
                ).one()
                self._known[row.digest] = dict(row._mapping) | summary(body)
        return [self._known[row.digest] for row in rows]


def summary(body: Mapping[str, Any]) -> Json:
    """Give what a person wants to know of an artefact: its plain values, and how many units."""
    plain = {
        name: value for name, value in body.items() if isinstance(value, str | int | float | bool)
    }
    units = {
        f"num_{kind}": sum(len(some) for some in body[kind].values())
        for kind in ("neurons", "groups")
        if isinstance(body.get(kind), Mapping)
    }
    return plain | units
