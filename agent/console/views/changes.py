"""The changes of a line: those that are not in the store yet, and what became of a version by them.

The log decides, and the agent follows it: an operator who changed something finds it in the audit
at once, also while the learner is busy or away.
"""

from collections.abc import Sequence

from sqlmodel import Session, func, select

from agent.console.views.view import Ask
from streams.line.became import changes_of, concerns
from streams.records import Json
from streams.store.tables import RolloutRow


def not_stored(session: Session, ask: Ask) -> list[Json]:
    """Return the changes after the last one of the store, newest first."""
    last = select(func.max(RolloutRow.seq)).where(RolloutRow.line == ask.line)
    return ask.changes_after(session.exec(last).one() or 0)


def of_versions(session: Session, ask: Ask, names: Sequence[str], limit: int) -> list[Json]:
    """Return the changes by which versions were tried, came to serve or ceased to, newest first."""
    ahead = (row for row in not_stored(session, ask) if concerns(row, names))
    return [*ahead, *changes_of(session, ask.line, names, limit)]
