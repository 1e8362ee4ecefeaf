"""What people wish of these lines, and what became of it, newest first."""

from sqlmodel import Session

from agent.console.read.view import View
from agent.watch.lessons import lessons
from streams.records import Json


def read(session: Session, view: View) -> list[Json]:
    """Read the lessons of these lines."""
    return lessons(session, view.lines)
