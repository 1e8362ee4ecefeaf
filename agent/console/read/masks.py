"""The artefacts of the safety map, newest first, without the maps themselves."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.tables import ArtefactRow


class Masks:
    """The artefacts, each read once: they never change."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def read(self, session: Session, _: View) -> list[Json]:
        """Read the artefacts."""
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
                self._known[row.digest] = dict(row._mapping) | _summary(body)
        return [self._known[row.digest] for row in rows]


def _summary(body: Mapping[str, Any]) -> Json:
    """What a person wants to know of an artefact: its plain values, and how many units."""
    plain = {
        name: value for name, value in body.items() if isinstance(value, str | int | float | bool)
    }
    units = {
        f"num_{kind}": sum(len(some) for some in body[kind].values())
        for kind in ("neurons", "groups")
        if isinstance(body.get(kind), Mapping)
    }
    return plain | units
