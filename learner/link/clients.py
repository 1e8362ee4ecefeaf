"""Counts, for each kind of client, how many of its turns must not be learned from.

Several coding agents say `store: false` with everything: such a client teaches nothing, and that is
to be seen, with how much it is.
"""

from typing import Final

from sqlmodel import Session, func, select

from streams.records import Turn
from streams.store.tables import ClientRow

# Names are the clients' own words: more than these are counted together.
MOST: Final = 200
OTHERS: Final = "(others)"


def count(session: Session, turn: Turn) -> None:
    """Count a turn that is new to the store."""
    row = session.get(ClientRow, (turn.line, turn.client or ""))
    if row is None:
        row = _new(session, turn)
    row.num_turns += 1
    row.num_opted_out += not turn.learn
    row.newest_ms = max(row.newest_ms, turn.created_ms)
    session.add(row)


def _new(session: Session, turn: Turn) -> ClientRow:
    known = session.exec(select(func.count()).where(ClientRow.line == turn.line)).one()
    name = turn.client or ""
    if known >= MOST:
        name = OTHERS
    others = session.get(ClientRow, (turn.line, name))
    return others or ClientRow(line=turn.line, client=name)
