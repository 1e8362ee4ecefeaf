"""The last changes of the serving version, with who and why; and where each line began."""

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.tables import RolloutRow

LIMIT = 50


def read(session: Session, view: View) -> list[Json]:
    """Read the changes of these lines, newest first."""
    rows = session.exec(
        select(RolloutRow)
        .where(col(RolloutRow.line).in_(view.lines))
        .order_by(col(RolloutRow.seq).desc())
        .limit(LIMIT)
    ).all()
    return [row.model_dump() for row in rows]


def bases(session: Session, view: View) -> Json:
    """Line → the version that it started from, for lines that have changed since."""
    first = select(RolloutRow).where(col(RolloutRow.line).in_(view.lines), RolloutRow.seq == 1)
    return {row.line: row.previous for row in session.exec(first).all()}
