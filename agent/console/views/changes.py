"""The changes of a line that are in force and that the learner has not written to the store yet.

The log decides, and the agent follows it: an operator who changed something finds it in the audit
at once, also while the learner is busy or away.
"""

from sqlmodel import Session, func, select

from agent.console.views.view import Ask
from streams.records import Json
from streams.store.tables import RolloutRow


def not_stored(session: Session, ask: Ask) -> list[Json]:
    """Return the changes after the last one of the store, newest first."""
    last = select(func.max(RolloutRow.seq)).where(RolloutRow.line == ask.line)
    return ask.changes_after(session.exec(last).one() or 0)
