"""The unit map of a line, from the store: for pages and Prometheus.

Knows nothing of how units are scored, or of what is frozen by which policy.
"""

from typing import Final

from sqlmodel import Session, col, select

from agent.watch.metrics import Family
from streams.line import ledger
from streams.store.tables import ArtefactRow

MAPS: Final = 16  # newest ones, among which the line's own is looked for


def map_of(session: Session, line: str) -> tuple[ArtefactRow, bool] | None:
    """Read the map of a line's frozen units, or the newest one where there is none.

    returns: the map, and whether the line's newest version was made under it
    """
    maps = select(ArtefactRow.digest).where(ArtefactRow.kind == "unit-map")
    newest = session.exec(maps.order_by(col(ArtefactRow.created_ms).desc()).limit(MAPS)).all()
    head, found = ledger.head(session, line), None
    for digest in newest:  # one body at a time: each has a letter a unit
        row = session.get_one(ArtefactRow, digest)
        found = found or row
        if head is None or row.body.get("mask") == head.mask:
            return row, head is not None
    return (found, False) if found else None


class Shares:
    """The shares of a line's classes of units, for Prometheus; each map is read once."""

    def __init__(self) -> None:
        """Know no map."""
        self._known: dict[str | None, tuple[int, list[Family]]] = {}

    def families(self, session: Session, line: str) -> list[Family]:
        """Return the share of each class, and of what is frozen; nothing where no map tells."""
        head = ledger.head(session, line)
        mask = head.mask if head else None
        counted = select(ArtefactRow.digest).where(ArtefactRow.kind == "unit-map")
        num = len(session.exec(counted.limit(MAPS)).all())
        if self._known.get(mask, (0, []))[0] != num:
            self._known = {mask: (num, _families(map_of(session, line)))}
        return self._known[mask][1] if num else []


def _families(found: tuple[ArtefactRow, bool] | None) -> list[Family]:
    shares = found[0].body.get("shares", {}) if found else {}
    if not shares:
        return []
    rows = tuple(((str(name),), float(share)) for name, share in shares.items())
    text = "Share of the units' parameters of each class, and of what is frozen"
    return [Family("unit_share", text, ("class",), rows)]
