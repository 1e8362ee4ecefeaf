"""What is heard of people and what is not: what the planner waits for, what teaches nothing."""

from sqlmodel import Session

from agent.console.read.view import View
from agent.watch import heard
from streams.records import Json


def read(session: Session, view: View) -> Json:
    """Read what became of what people said to these lines."""
    return {
        "planners": heard.planners(session, view.lines),
        "reasons": heard.reasons(session, view.lines),
        "unlinked": heard.unlinked(session, view.lines),
        "example": heard.example(session, view.lines),
        "opted_out": heard.opted_out(session, view.lines),
    }
