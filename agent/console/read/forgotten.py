"""Whose data was forgotten, by whom and why, and the versions that it had moved."""

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.tables import ForgottenRow

LIMIT = 50


def read(session: Session, view: View) -> list[Json]:
    """Read the last ones of these lines, newest first."""
    newest = (
        select(ForgottenRow)
        .where(col(ForgottenRow.line).in_(view.lines))
        .order_by(col(ForgottenRow.created_ms).desc())
        .limit(LIMIT)
    )
    return [row.model_dump() for row in session.exec(newest).all()]
