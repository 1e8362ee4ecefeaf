"""Conversations: the turns of a line, searched by text, principal, version, session or verdict.

A search by text reads what was said of the last turns, some thousands at a time, and says how far
it has come; everything else is found by an index.
"""

import json
from typing import Any, Final

from sqlmodel import Session, String, cast, col, exists, func, select

from agent.console.read.turns import judgements_of, turn_of
from agent.console.views.view import Ask, View
from agent.errors import InvalidError
from streams.records import Json
from streams.store.states import FORGOTTEN
from streams.store.tables import JudgementRow, TurnRow

SEARCHED: Final = 3000  # turns whose texts one page looks through: some tenths of a second
FEW: Final = 1000  # turns that are sorted at once
VERDICTS: Final = {"bad": -1, "neither": 0, "good": 1, "any": None, "none": None}


def read(session: Session, ask: Ask) -> Json:
    """Read a page of turns, newest first. Raises: InvalidError for a verdict that is none."""
    text, verdict = ask.text("text"), ask.text("verdict")
    if verdict and verdict not in VERDICTS:
        raise InvalidError(f"verdict must be one of {', '.join(VERDICTS)}", param="verdict")
    query = _chosen(ask, verdict)
    last = _last_searched(session, query) if text else None
    if text:
        # The texts stand in the record as JSON, so what is looked for is written likewise.
        pattern = json.dumps(text)[1:-1]
        record = cast(col(TurnRow.record), String)
        after = cast(col(TurnRow.next_state), String)
        said = record.icontains(pattern, autoescape=True)
        query = query.where(said | after.icontains(pattern, autoescape=True))
        if last is not None:
            query = query.where(TurnRow.sequence >= last)
    ordered = _newest(session, ask, query)
    rows: list[TurnRow] = list(session.exec(ordered.limit(ask.rows + 1)))
    shown = rows[: ask.rows]
    judged = judgements_of(session, [row.id for row in shown])
    more = len(rows) > len(shown)
    return {
        "turns": [
            turn_of(row) | {"state": row.state, "judgements": judged.get(row.id, [])}
            for row in shown
        ],
        "next": f"{shown[-1].sequence}~{shown[-1].id}" if more else _further(session, last),
        "searched": not more and last is not None,
    }


def of_agent(ask: Ask) -> Json:
    """What was asked for."""
    fields = ("text", "principal", "version", "session", "verdict")
    return {"wanted": {name: ask.text(name) for name in fields}, "turns": [], "next": None,
            "searched": False, "verdicts": list(VERDICTS)}  # fmt: skip


VIEW = View(
    "conversations", "/conversations", "Conversations", of_agent, read, key="c",
    purpose="what was asked, answered, said next, and how it was judged",
)  # fmt: skip


def _chosen(ask: Ask, verdict: str) -> Any:
    """The turns that are asked for, texts aside."""
    query = select(TurnRow).where(TurnRow.line == ask.line, TurnRow.state != FORGOTTEN)
    for name in ("principal", "session"):
        if wanted := ask.text(name):
            query = query.where(col(getattr(TurnRow, name)).startswith(wanted, autoescape=True))
    if version := ask.text("version"):
        query = query.where(col(TurnRow.version).startswith(version, autoescape=True))
    if verdict:
        judged = exists().where(col(JudgementRow.turn_id) == col(TurnRow.id))
        if verdict == "none":
            query = query.where(~judged)
        elif (score := VERDICTS[verdict]) is not None:
            query = query.where(judged.where(col(JudgementRow.score) == score))
        else:
            query = query.where(judged)
    if after := ask.cursor:
        sequence, id = after
        # The first says nothing more; by it the index begins here and not at the newest.
        before = (col(TurnRow.sequence) < sequence) | (col(TurnRow.id) < id)
        query = query.where(TurnRow.sequence <= sequence, before)
    return query


def _newest(session: Session, ask: Ask, query: Any) -> Any:
    """Put turns in order, the newest first, so that no others are read.

    By the order of their line; of few the newest may be far back there, so those are found by the
    version that answered, and sorted.
    """
    sequence: Any = col(TurnRow.sequence)
    if version := ask.text("version"):
        named = col(TurnRow.version).startswith(version, autoescape=True)
        theirs = select(TurnRow.version).where(TurnRow.line == ask.line, named).limit(FEW + 1)
        versions = session.exec(theirs).all()
        if len(versions) <= FEW:
            query = query.where(col(TurnRow.version).in_(set(versions)))
            sequence = sequence + 0  # keeps SQLite from the order of the line
    return query.order_by(sequence.desc(), col(TurnRow.id).desc())


def _last_searched(session: Session, query: Any) -> int | None:
    """The oldest of the turns that one search looks through; None: it sees them all."""
    heads = query.with_only_columns(TurnRow.sequence).order_by(col(TurnRow.sequence).desc())
    found: int | None = session.execute(heads.offset(SEARCHED).limit(1)).scalar()
    return found


def _further(session: Session, last: int | None) -> str | None:
    """Where a search goes on that has looked through its part and found no full page."""
    if last is None:
        return None
    below = select(func.max(TurnRow.sequence)).where(TurnRow.sequence < last)
    return None if session.execute(below).scalar() is None else f"{last}~ "
