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
    few = _of_few(session, ask)
    # Adding nothing keeps SQLite from the order of the line, in which it would read all others.
    sequence: Any = col(TurnRow.sequence) if few is None else col(TurnRow.sequence) + 0
    query = _chosen(ask, verdict, sequence)
    if few is not None:
        query = query.where(col(TurnRow.version).in_(few))
    last = _last_searched(session, query) if text and few is None else None
    if text:
        # The texts stand in the record as JSON, so what is looked for is written likewise.
        pattern = json.dumps(text)[1:-1]
        record = cast(col(TurnRow.record), String)
        after = cast(col(TurnRow.next_state), String)
        said = record.icontains(pattern, autoescape=True)
        query = query.where(said | after.icontains(pattern, autoescape=True))
        if last is not None:
            query = query.where(TurnRow.sequence >= last)
    ordered = query.order_by(sequence.desc(), col(TurnRow.id).desc())
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


def _chosen(ask: Ask, verdict: str, ordered: Any) -> Any:
    """The turns that are asked for, texts aside. ordered: what puts them in order."""
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
        query = query.where(ordered <= sequence, before)
    return query


def _of_few(session: Session, ask: Ask) -> set[str] | None:
    """Name the versions that are asked for, where few turns are theirs; None: it may be many.

    The newest of few may be far back in the order of the line, so they are found by the version
    that answered, and sorted.
    """
    version = ask.text("version")
    if not version:
        return None
    named = col(TurnRow.version).startswith(version, autoescape=True)
    theirs = select(TurnRow.version).where(TurnRow.line == ask.line, named).limit(FEW + 1)
    versions = session.exec(theirs).all()
    return set(versions) if len(versions) <= FEW else None


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
