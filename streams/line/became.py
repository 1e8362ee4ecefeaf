"""What became of a version by the changes of its line, for the console and for a shell alike."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlmodel import Session, and_, col, or_, select

from streams.records import Json
from streams.store.tables import RolloutRow

ENDS: Final = ("completed", "aborted")  # the states that a trial ends in
PIECE: Final = 50  # versions whose changes are read at once
EACH: Final = 20  # changes of a version that are looked at, on average: a trial has some ten


def changes_of(session: Session, line: str, names: Collection[str], limit: int) -> list[Json]:
    """Read the changes by which versions were tried, came to serve or ceased to, newest first."""
    one, other, candidate = (
        col(column).in_(names)
        for column in (RolloutRow.version, RolloutRow.previous, RolloutRow.candidate)
    )
    moves = and_(RolloutRow.version != RolloutRow.previous, or_(one, other))
    query = select(RolloutRow).where(RolloutRow.line == line, or_(candidate, moves))
    newest = session.exec(query.order_by(col(RolloutRow.seq).desc()).limit(limit))
    return [row.model_dump() for row in newest]


def ends_of(
    session: Session, line: str, names: Sequence[str], ahead: Sequence[Json] = ()
) -> dict[str, Json | None]:
    """Read how each of some versions ended (`ended`), however many are asked for.

    ahead: changes that are not in the store yet, newest first
    """
    found: dict[str, Json | None] = {}
    for first in range(0, len(names), PIECE):
        some = names[first : first + PIECE]
        changes = [*ahead, *changes_of(session, line, some, EACH * PIECE)]
        found |= {name: ended(name, changes) for name in some}
    return found


def concerns(change: Json, names: Sequence[str]) -> bool:
    """Tell whether a change is one that `changes_of` reads."""
    moves = change["version"] != change["previous"]
    return change["candidate"] in names or (
        moves and (change["version"] in names or change["previous"] in names)
    )


def ended(version: str | None, changes: Iterable[Json]) -> Json | None:
    """Return the change that decided last on a version, with what the version became by it.

    version: None where a generation made none; most changes have no candidate, and mean none either
    changes: of its line, newest first
    returns: None for one on trial, or that was never tried
    """
    if version is None:
        return None
    found = next((row for row in changes if _decides(row, version)), None)
    return found and found | {"became": _became(found)}


def _became(change: Json) -> str:
    if change["verb"] in ("rollback", "reset"):
        return "taken back"
    return "promoted" if change["state"] == "completed" else str(change["state"])


def _decides(row: dict[str, Any], version: str) -> bool:
    """Whether a change took a version into service, or out of its trial or of service."""
    if row["verb"] in ("rollback", "reset"):
        left = row["previous"] if row["previous"] != row["version"] else None
        return version in (left, row["candidate"])
    if row["state"] not in ENDS:
        return False
    return bool(row["candidate"] == version or row["version"] == version != row["previous"])
