"""Why the guard against collapse has stopped a line, as its rows say."""

from sqlmodel import Session, col, select

from streams.store.states import WITHDRAWN
from streams.store.tables import GenerationRow


def stopped(session: Session, line: str) -> str | None:
    """Return why the guard has stopped a line; None: it has not, or somebody went on since.

    Only a generation that somebody ordered goes on: lessons and versions may be taken back
    meanwhile, which learns nothing.
    """
    withdrawn = (
        select(GenerationRow.number, GenerationRow.withdraws, GenerationRow.reason)
        .where(GenerationRow.line == line, GenerationRow.state == WITHDRAWN)
        .order_by(col(GenerationRow.number).desc())
    )
    for number, withdraws, reason in session.exec(withdrawn):
        if withdraws.get("collapse"):
            return None if _ordered_since(session, line, number) else reason
    return None


def _ordered_since(session: Session, line: str, number: int) -> bool:
    order = col(GenerationRow.horizon)["order"].as_string()
    since = select(GenerationRow.id).where(
        GenerationRow.line == line, GenerationRow.number > number, order.is_not(None)
    )
    return session.exec(since.limit(1)).first() is not None
