"""Whose data was forgotten, by whom and why, and the versions that it had moved; of all lines."""

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.tables import ForgottenRow

LIMIT = 50


def read(session: Session, _: View) -> list[Json]:
    """Read the last ones, newest first."""
    newest = select(ForgottenRow).order_by(col(ForgottenRow.created_ms).desc()).limit(LIMIT)
    return [row.model_dump() for row in session.exec(newest).all()]
