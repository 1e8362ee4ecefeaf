"""Notes when a line's planner had nothing to do, and what it knew then (learner.rerun).

A rest is noted once for as long as nothing new is known, with its first moment and its last; so
there are no more of them than records, changes of the line and generations.
"""

from sqlmodel import Session, col, select

from learner.batch.plan import horizon, last_number
from streams.line.line import Line
from streams.store.rest_tables import RestRow


class Rests:
    """The rests of one line. Not shared between threads; the holder of the lease uses it."""

    def __init__(self) -> None:
        """Know none."""
        self._rows: list[RestRow] = []  # the newest, and before it those that are not kept yet
        self.is_new = False  # whether one of them must be kept

    def see(self, session: Session, line: Line, *, now_ms: int) -> None:
        """Take note that nothing is due at a moment, by what the store says."""
        number, known = last_number(session, line.name), horizon(session, line)
        newest = self._rows[-1] if self._rows else _newest(session, line.name)
        if newest is not None and (newest.number, newest.horizon) == (number, known):
            newest.until_ms = now_ms
            self._rows = self._rows or [newest]
            return
        place = newest.place + 1 if newest is not None and newest.number == number else 1
        row = RestRow(
            line=line.name, number=number, place=place, horizon=known,
            rested_ms=now_ms, until_ms=now_ms,
        )  # fmt: skip
        self._rows, self.is_new = [*self._rows, row], True

    def keep(self, session: Session) -> None:
        """Write what was noted; the caller commits, and then says so with `kept`."""
        for row in self._rows:
            session.merge(row)

    def kept(self) -> None:
        """Let go of all that is kept, but for the newest, which may last."""
        self._rows, self.is_new = self._rows[-1:], False


def _newest(session: Session, line: str) -> RestRow | None:
    order = col(RestRow.number).desc(), col(RestRow.place).desc()
    found = session.exec(select(RestRow).where(RestRow.line == line).order_by(*order)).first()
    return RestRow(**found.model_dump()) if found is not None else None
