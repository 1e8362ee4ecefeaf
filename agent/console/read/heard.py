"""What is heard of people and what is not: what the planner waits for, what teaches nothing."""

from sqlmodel import Session

from agent.console.read.counted import Counted
from agent.console.read.view import View
from agent.watch import heard
from streams.records import Json


class Hearing:
    """What became of what people said; turns are counted once a minute."""

    def __init__(self) -> None:
        self._reasons, self._unlinked = Counted(heard.reasons), Counted(heard.unlinked)

    def read(self, session: Session, view: View) -> Json:
        """Read what became of what people said to these lines."""
        return {
            "planners": heard.planners(session, view.lines),
            "reasons": self._reasons.read(session, view),
            "unlinked": self._unlinked.read(session, view),
            "example": heard.example(session, view.lines),
            "opted_out": heard.opted_out(session, view.lines),
        }
