"""Takes the words of turns that are forgotten out of plans: those that are made, and new ones.

A plan with such a turn that is not done is void, and never done: an order that it was made for
stays open (learner.batch.when.mode). Where a deletion did that it is noted in the plan, so that a
run again, which hears of everything only at the next plan or rest, hears of it as soon
(learner.rerun.rerun); whoever is forgotten has no part in a run again, and so makes nothing void.
"""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Text, cast, false, or_
from sqlmodel import Session, col, select

from streams.records import Json
from streams.store.states import FORGOTTEN, PLANNED, VOID
from streams.store.tables import GenerationRow, TurnRow

# The key of a generation's horizon for the turns whose deletion made it void.
DELETED: Final = "deleted"


def clean(session: Session, turn_ids: set[str], why: str, *, by: str | None = None) -> None:
    """Drop the turns' hints from every plan; a plan with one of them that is not done is void.

    by: under which its horizon notes them; None: it does not
    """
    for id in _planned_with(session, turn_ids):
        row = session.get_one(GenerationRow, id, with_for_update=True)
        row.batch = _without_hints(row.batch, turn_ids)
        if row.state == PLANNED:
            row.state = VOID
            row.reason = why
            row.horizon = row.horizon | ({by: sorted(turn_ids)} if by else {})
        session.add(row)
    session.flush()


def unsaid(session: Session, batch: Sequence[Json]) -> list[Json]:
    """Return a plan's turns without the hints of those that are forgotten by now."""
    ids = [item["turn_id"] for item in batch]
    gone = select(TurnRow.id).where(col(TurnRow.id).in_(ids), TurnRow.state == FORGOTTEN)
    return _without_hints(batch, set(session.exec(gone)))


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
