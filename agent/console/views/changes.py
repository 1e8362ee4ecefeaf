"""The changes of a line: those that are not in the store yet, and what became of a version by them.

The log decides, and the agent follows it: an operator who changed something finds it in the audit
at once, also while the learner is busy or away.
"""

from collections.abc import Iterable, Sequence

from sqlmodel import Session, and_, col, func, or_, select

from agent.console.views.view import Ask
from streams.records import Json
from streams.store.tables import RolloutRow

ENDS = ("completed", "aborted")  # the states that a trial ends in


def not_stored(session: Session, ask: Ask) -> list[Json]:
    """Return the changes after the last one of the store, newest first."""
    last = select(func.max(RolloutRow.seq)).where(RolloutRow.line == ask.line)
    return ask.changes_after(session.exec(last).one() or 0)


def of_versions(session: Session, ask: Ask, names: Sequence[str], limit: int) -> list[Json]:
    """Return the changes by which versions were tried, came to serve or ceased to, newest first."""
    one, other, candidate = (
        col(column).in_(names)
        for column in (RolloutRow.version, RolloutRow.previous, RolloutRow.candidate)
    )
    moves = and_(RolloutRow.version != RolloutRow.previous, or_(one, other))
    query = select(RolloutRow).where(RolloutRow.line == ask.line, or_(candidate, moves))
    stored = session.exec(query.order_by(col(RolloutRow.seq).desc()).limit(limit))
    ahead = (row for row in not_stored(session, ask) if _concerns(row, names))
    return [*ahead, *(row.model_dump() for row in stored)]


def _concerns(row: Json, names: Sequence[str]) -> bool:
    moves = row["version"] != row["previous"]
    return row["candidate"] in names or (
        moves and (row["version"] in names or row["previous"] in names)
    )


def ended(version: str, changes: Iterable[Json]) -> Json | None:
    """Return the change that decided last on a version: promoted, aborted or taken back.

    changes: of its line, newest first
    returns: None for one on trial, or that was never tried
    """
    return next((row for row in changes if _decides(row, version)), None)


def _decides(row: Json, version: str) -> bool:
    """Whether a change took a version into service, or out of its trial or of service."""
    if row["verb"] in ("rollback", "reset"):
        left = row["previous"] if row["previous"] != row["version"] else None
        return version in (left, row["candidate"])
    if row["state"] not in ENDS:
        return False
    return bool(row["candidate"] == version or row["version"] == version != row["previous"])
