"""Streams: how far behind readers are, what waits on disk, and records that nobody could use."""

from functools import partial
from typing import Any, Final

from sqlmodel import Session, col, select

from agent.console.views.view import Ask, View
from streams.errors import StreamsError
from streams.log import dead_letters
from streams.log.contract import Log
from streams.log.dead_letters import LetterState
from streams.records import Json
from streams.store.tables import LeaseRow, OffsetRow, OutboxRow

PAYLOAD_CHARS: Final = 2000  # of a dead letter that are shown


def of_agent(ask: Ask) -> Json:
    """What this agent knows of log and spool."""
    learner = ask.section("learner") or {}
    return {
        "spool": ask.section("spool"),
        "lag": learner.get("lag", {}),
        "num_letters": learner.get("dead_letters"),
        "offsets": [],
        "leases": [],
        "outbox": None,
        "closed": ask.text("closed") == "yes",
    }


def read(session: Session, _: Ask) -> Json:
    """Read the places of every reader, the leases, and what waits to be published."""
    offsets = select(OffsetRow).order_by(
        col(OffsetRow.group), col(OffsetRow.topic), col(OffsetRow.partition)
    )
    waiting = session.exec(select(OutboxRow.number)).all()
    return {
        "offsets": [row.model_dump() for row in session.exec(offsets)],
        "leases": [row.model_dump() for row in session.exec(select(LeaseRow))],
        "outbox": len(waiting),
    }


async def finish(ask: Ask, data: Json) -> Json:
    """Read the dead letters, in a thread: a broker may take its time."""
    rows, after = ask.rows, ask.text("after")
    read_letters = partial(letters, rows=rows, after=after, closed=data["closed"])
    found = await ask.of_log(read_letters)
    return data | (found or {"letters": None, "next": None, "log": "the log does not answer"})


VIEW = View(
    "streams", "/streams", "Streams", of_agent, read, finish, key="t",
    purpose="how far behind readers are, the spool, records that nobody could use",
)  # fmt: skip


def letters(log: Log | None, *, rows: int, after: str = "", closed: bool = False) -> Json:
    """Read a page of the dead letters, newest first; blocks, so it wants a thread.

    after: the letter that the page before ended with; closed: those that are settled, too
    """
    if log is None:
        return {"letters": None, "next": None, "log": "this console was started without the log"}
    try:
        found = dead_letters.read_all(log)[::-1]
    except StreamsError as cause:
        return {"letters": None, "next": None, "log": str(cause)}
    wanted = [each for each in found if closed or each.closed is None]
    begin = next((at + 1 for at, each in enumerate(wanted) if each.letter.id == after), 0)
    shown = wanted[begin : begin + rows]
    more = len(wanted) > begin + len(shown)
    return {
        "letters": [_letter(each) for each in shown],
        "next": shown[-1].letter.id if shown and more else None,
        "log": None,
    }


def _letter(state: LetterState) -> Json:
    letter: Any = state.letter
    kept = dead_letters.payload(letter)
    payload = kept.decode("utf-8", "replace")
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "record_id": letter.record_id,
        "cause": letter.cause,
        "payload": payload[:PAYLOAD_CHARS],
        "payload_bytes": letter.payload_bytes,
        "whole": len(kept) == letter.payload_bytes,  # a part of a record cannot be sent again
        "created_ms": letter.created_ms,
        "closed": state.closed.model_dump(mode="json") if state.closed else None,
    }
