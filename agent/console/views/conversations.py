"""Conversations: the turns of a line, searched by text, principal, version, session or verdict.

A search by text reads what was said of the last turns, some thousands at a time, and says how far
it has come; everything else is found by an index. What was said is the words of the messages, the
reply, its calls and what followed, in any letter case, and nothing else that their records hold.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Final

from sqlmodel import Session, String, and_, cast, col, exists, func, or_, select

from agent.console.read.turns import judgements_of, text_of, turn_of
from agent.console.views.view import Ask, View
from agent.errors import InvalidError
from streams.records import Json
from streams.store.states import FORGOTTEN
from streams.store.tables import IS_VERDICT, JudgementRow, TurnRow

SEARCHED: Final = 3000  # turns whose texts one page looks through: some tenths of a second
READ_AT_ONCE: Final = 100  # of those that may hold a text; a page is often full with the first
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
    if last is not None:
        query = query.where(TurnRow.sequence >= last)
    ordered = query.order_by(sequence.desc(), col(TurnRow.id).desc())
    if text:
        rows = list(islice(_holding(session, ordered, text), ask.rows + 1))
    else:
        rows = list(session.exec(ordered.limit(ask.rows + 1)))
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
        judged = exists().where(col(JudgementRow.turn_id) == col(TurnRow.id), IS_VERDICT)
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


def _holding(session: Session, ordered: Any, text: str) -> Iterator[TurnRow]:
    """Find the turns in which a text was said, in this order."""
    wanted = text.casefold()
    may = ordered.where(_may_hold(text)).execution_options(yield_per=READ_AT_ONCE)
    with closing(session.exec(may)) as found:
        for row in found:
            if any(wanted in said.casefold() for said in _said(row)):
                yield row


def _may_hold(text: str) -> Any:
    """A condition that all turns with a text meet, and some others: keys and numbers look alike.

    What stands in the store is JSON, in which a letter beyond ASCII is written in one way or
    another; so only the runs of plain letters between such are looked for, without an "ss", which
    may be a "ß" there.
    """
    columns = [cast(col(each), String) for each in (TurnRow.record, TurnRow.next_state)]
    runs = re.findall(r"[ !#-\[\]-~]+", re.sub("ss", "ß", text, flags=re.IGNORECASE))
    return and_(
        True, *(or_(*(each.icontains(run, autoescape=True) for each in columns)) for run in runs)
    )


def _said(row: TurnRow) -> Iterator[str]:
    """The words of a turn: what was asked, answered and said next, with the calls of tools."""
    messages = [*row.record.get("messages", []), row.record.get("reply", {})]
    return map(text_of, [*messages, *(row.next_state or [])])


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
