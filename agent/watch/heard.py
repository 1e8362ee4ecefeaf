"""What learners hear of people and what they do not, from the store, for pages and Prometheus.

Counts are of what the store holds now: what retention or forgetting has emptied is not in them.

Knows nothing of how turns are linked, judged or planned.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from agent.watch import watched
from agent.watch.lessons import families
from agent.watch.metrics import Family, Sample
from agent.watch.reading import Reading
from agent.watch.safety import families as safety_families
from agent.watch.units import Shares
from streams.errors import StreamsError
from streams.records import Json
from streams.store.states import SPEAKING
from streams.store.store import Store
from streams.store.tables import ClientRow, PlannerRow, TurnRow

_LOG = logging.getLogger(__name__)

WAIT_S: Final = 0.5  # a scrape that takes longer than Prometheus waits loses every other figure
KEEP_S: Final = 90.0  # a slow store is told a scrape late, which is a minute; figures quote nobody
CLIENTS: Final = 10  # that opt the most turns out
TEXT_CHARS: Final = 300  # of an example
_UNLINKED: Final = ("ambiguous", "unknown")
_TEXTS: Final = {
    "ambiguous": "Replies seen in a later request that may belong to several turns",
    "unknown": "Replies seen in a later request that belong to no turn that is known",
}
_MEASURED: Final = (
    ("base_probes", "num_to_measure", "Probes of the gate, each measured once of the base"),
    ("base_probes_measured", "num_measured", "Those for which the base has been measured"),
)


def planners(session: Session, lines: Collection[str]) -> list[Json]:
    """Read what each line's planner waits for, the count of each kind of verdict, and how far its
    base is measured."""
    rows = session.exec(select(PlannerRow).where(col(PlannerRow.line).in_(lines))).all()
    return [row.model_dump() | {"measuring": row.measuring} for row in rows]


def reasons(session: Session, lines: Collection[str]) -> Json:
    """Count the turns that score no generation (any more), by the reason."""
    count = select(TurnRow.reason, func.count()).where(
        col(TurnRow.line).in_(lines),
        col(TurnRow.state).in_(SPEAKING),
        col(TurnRow.reason).is_not(None),
    )
    return {str(why): num for why, num in session.execute(count.group_by(TurnRow.reason)).all()}


def unlinked(session: Session, lines: Collection[str]) -> Json:
    """Count the requests that carry a reply which was linked to no turn, by the reason."""
    count = select(TurnRow.unlinked, func.count()).where(
        col(TurnRow.line).in_(lines), col(TurnRow.unlinked).in_(_UNLINKED)
    )
    found = dict(session.execute(count.group_by(TurnRow.unlinked)).all())
    return {why: found.get(why, 0) for why in _UNLINKED}


def example(session: Session, lines: Collection[str]) -> Json | None:
    """Read the newest request whose reply was linked to no turn; None: there is none."""
    ids = [
        session.exec(
            select(TurnRow.sequence, TurnRow.id)
            .where(TurnRow.line == line, TurnRow.unlinked == why)
            .order_by(col(TurnRow.sequence).desc())
            .limit(1)
        ).first()
        for line in lines
        for why in _UNLINKED
    ]
    newest = max((each for each in ids if each is not None), default=None)
    if newest is None:
        return None
    row = session.get_one(TurnRow, newest[1])
    messages = row.record.get("messages", [])
    replies = (m.get("content") for m in reversed(messages) if m.get("role") == "assistant")
    return {
        "turn": row.id,
        "why": row.unlinked,
        "client": row.record.get("client"),
        "reply": str(next(replies, None) or "")[:TEXT_CHARS],
        "created_ms": row.created_ms,
    }


def opted_out(session: Session, lines: Collection[str]) -> list[Json]:
    """Name the clients that ask not to be learned from, those with the most turns first."""
    most = (
        select(ClientRow)
        .where(col(ClientRow.line).in_(lines), ClientRow.num_opted_out > 0)
        .order_by(col(ClientRow.num_opted_out).desc(), col(ClientRow.client))
        .limit(CLIENTS)
    )
    return [row.model_dump() for row in session.exec(most).all()]


class Heard:
    """What one line's store tells Prometheus, read at a scrape and off the event loop."""

    def __init__(self, store: Store, line: str) -> None:
        """Read nothing yet."""
        self._store, self._line, self._units = store, line, Shares()
        self._reading = Reading[list[Sample | Family]]("metrics-store", keep_s=KEEP_S)

    async def samples(self) -> Sequence[Sample | Family] | None:
        """Read the figures; None when the store does not answer in time, or cannot be read."""
        return await self._reading.ask(self._read, wait_s=WAIT_S) or None

    def close(self) -> None:
        """Begin no further reading."""
        self._reading.close()

    def _read(self) -> list[Sample | Family]:
        lines = (self._line,)
        try:
            with self._store.reading() as session:
                num, clients = unlinked(session, lines), opted_out(session, lines)
                waiting = planners(session, lines)
                wishes = [*families(session, self._line), *watched.families(session, self._line)]
                units = self._units.families(session, self._line)
                safety = safety_families(session, self._line)
        except (StreamsError, SQLAlchemyError) as cause:
            _LOG.debug("the store cannot be read for the metrics: %s", cause)
            return []
        found: list[Sample | Family] = [*wishes, *units, *safety]
        found += [(f"unlinked_{why}", _TEXTS[why], float(num[why])) for why in _UNLINKED]
        out = float(sum(row["num_opted_out"] for row in clients))
        found.append(("turns_opted_out", "Turns of clients that opt out of learning", out))
        for kind in ("fresh", "used", "weak", "alone"):
            text = f"Verdicts in the planner's window that are {kind}"
            found += [(f"verdicts_{kind}", text, float(row[f"num_{kind}"])) for row in waiting]
        for name, key, text in _MEASURED:
            found += [(name, text, float(row[key])) for row in waiting]
        return found
