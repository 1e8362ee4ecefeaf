"""What the learner last made of the trial of each line: evidence, limits, and what it waits for."""

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.tables import TrialRow


def read(session: Session, view: View) -> list[Json]:
    """Read the newest look at the trials of these lines."""
    rows = session.exec(select(TrialRow).where(col(TrialRow.line).in_(view.lines))).all()
    return [row.model_dump() for row in rows]
