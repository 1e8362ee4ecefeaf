"""Counts, for each kind of client, how many of its turns must not be learned from.

Several coding agents say `store: false` with everything: such a client teaches nothing, and that is
to be seen, with how much it is.
"""

from typing import Final

from sqlmodel import Session, case, col, func, select, update

from streams.records import Turn
from streams.store.tables import ClientRow

# Names are the clients' own words: more than these are counted together.
MOST: Final = 200
OTHERS: Final = "(others)"


def count(session: Session, turn: Turn) -> None:
    """Count a turn that is new to the store."""
    name = turn.client or ""
    if _add(session, turn, name):
        return
    known = session.exec(select(func.count()).where(ClientRow.line == turn.line)).one()
    if known >= MOST:
        name = OTHERS
        if _add(session, turn, name):
            return
    session.add(
        ClientRow(
            line=turn.line,
            client=name,
            num_turns=1,
            num_opted_out=int(not turn.learn),
            newest_ms=turn.created_ms,
        )
    )
    session.flush()


def _add(session: Session, turn: Turn, name: str) -> bool:
    """Count a turn to a name that is known; False when it is not."""
    newest = col(ClientRow.newest_ms)
    counted = (
        update(ClientRow)
        .where(col(ClientRow.line) == turn.line, col(ClientRow.client) == name)
        .values(
            num_turns=ClientRow.num_turns + 1,
            num_opted_out=ClientRow.num_opted_out + int(not turn.learn),
            newest_ms=case((newest < turn.created_ms, turn.created_ms), else_=newest),
        )
        .execution_options(synchronize_session=False)  # nothing of them is read after this
    )
    return bool(session.exec(counted).rowcount)
