"""Takes the words of turns that are forgotten out of plans: those that are made, and new ones.

A plan with such a turn that is not done is void, and never done: an order that it was made for
stays open (learner.batch.when.mode). One that only set it aside, to score its child, is not void. A
deletion is noted in both, so that a run again, which hears of everything only at the next plan or
rest, hears of it as soon (learner.rerun.rerun); whoever is forgotten has no part in a run again,
and so needs no note.
"""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Text, cast, false, or_
from sqlmodel import Session, col, select

from learner.batch.plan import HELD_OUT
from streams.records import Json
from streams.store.states import FORGOTTEN, PLANNED, VOID
from streams.store.tables import GenerationRow, TurnRow

# The key of a generation's horizon for the turns, of its batch or set aside, whose deletion came
# before it was done.
DELETED: Final = "deleted"


def clean(session: Session, turn_ids: set[str], why: str, *, by: str | None = None) -> None:
    """Drop the turns' hints from every plan; a plan with one of them that is not done is void.

    by: under which the horizon of one that is not done notes them, also where it only set them
        aside; None: it does not
    """
    if by is not None:
        _note_aside(session, turn_ids, by)
    for id in _planned_with(session, turn_ids):
        row = session.get_one(GenerationRow, id, with_for_update=True)
        row.batch = _without_hints(row.batch, turn_ids)
        if row.state == PLANNED:
            row.state = VOID
            row.reason = why
            if by is not None:
                _note(row, turn_ids, by)
        session.add(row)
    session.flush()


def unsaid(session: Session, batch: Sequence[Json]) -> list[Json]:
    """Return a plan's turns without the hints of those that are forgotten by now."""
    ids = [item["turn_id"] for item in batch]
    gone = select(TurnRow.id).where(col(TurnRow.id).in_(ids), TurnRow.state == FORGOTTEN)
    return _without_hints(batch, set(session.exec(gone)))


def _note_aside(session: Session, turn_ids: set[str], by: str) -> None:
    """Note the turns in each plan that is not done and has set one of them aside."""
    query = select(GenerationRow.id, GenerationRow.horizon).where(GenerationRow.state == PLANNED)
    for id, horizon in session.exec(query).all():
        gone = turn_ids.intersection(item["turn_id"] for item in horizon.get(HELD_OUT, ()))
        if gone:
            row = session.get_one(GenerationRow, id, with_for_update=True)
            _note(row, gone, by)
            session.add(row)


def _note(row: GenerationRow, turn_ids: set[str], by: str) -> None:
    row.horizon = row.horizon | {by: sorted(turn_ids.union(row.horizon.get(by, ())))}


def _planned_with(session: Session, turn_ids: set[str]) -> list[str]:
    """Name the generations, also those built again, that have one of the turns in their batch.

    Those of one turn the database finds, for a poll may bring hundreds of deletions.
    """
    query = select(GenerationRow.id, GenerationRow.turn_ids)
    if len(turn_ids) <= 1:
        batches = cast(col(GenerationRow.turn_ids), Text)
        quoted = [batches.contains(json.dumps(id), autoescape=True) for id in turn_ids]
        query = query.where(or_(false(), *quoted))
    return [id for id, batch in session.exec(query) if not turn_ids.isdisjoint(batch)]


def _without_hints(batch: Sequence[Json], turn_ids: set[str]) -> list[Json]:
    return [item | {"hint": None} if item["turn_id"] in turn_ids else item for item in batch]
