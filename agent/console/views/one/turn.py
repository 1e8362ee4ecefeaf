"""One turn: every token with its log-probability, what followed, the verdicts, the raw calls."""

import asyncio
import math

from sqlmodel import Session, col, select

from agent.console.read.turns import TEXT_CHARS, judgements_of, lesson_of, message_of, turn_of
from agent.console.views.view import Ask, View
from agent.errors import NotFoundError
from streams.records import Json
from streams.store.states import FORGOTTEN
from streams.store.tables import GenerationRow, TurnRow

TOKENS = 2000  # of a reply that are shown one by one
MESSAGES = 40  # of the request, the last ones
OTHERS = 20  # turns of the same session
USED = 400  # generations that are searched for this turn


def read(session: Session, ask: Ask) -> Json:
    """Read a turn. Raises: NotFoundError."""
    row = session.get(TurnRow, ask.path["turn"])
    if row is None or row.line != ask.line:
        raise NotFoundError("no such turn is known: it may not have come yet, or is not kept")
    record = row.record
    messages = record.get("messages", [])
    return {
        "turn": turn_of(row) | {"state": row.state, "reason": row.reason, "uses": row.uses,
                                "member": row.member},
        "judgements": judgements_of(session, [row.id]).get(row.id, []),
        "lesson": lesson_of(row.target),
        "messages": [message_of(message) for message in messages[-MESSAGES:]],
        "tokens": {
            "ids": record.get("token_ids", [])[:TOKENS],
            "logprobs": record.get("logprobs", [])[:TOKENS],
            "forced": record.get("forced", []),
        },
        "next": [message_of(message) for message in row.next_state or []],
        "link": {"layer": row.next_layer, "confidence": row.next_confidence,
                 "turn": row.next_turn, "unlinked": row.unlinked},
        "tool_calls": record.get("reply", {}).get("tool_calls") or [],
        "broken_calls": [text[:TEXT_CHARS] for text in record.get("broken_calls", [])],
        "sampling": record.get("sampling", {}),
        "trace": record.get("trace"),
        "client": record.get("client"),
        "notes": record.get("notes", []),
        "session": _session(session, row),
        "used_by": _used_by(session, row),
    }  # fmt: skip


def of_agent(ask: Ask) -> Json:
    """What is shown while the store is away."""
    return {"turn": None, "id": ask.path["turn"], "tokens": {"ids": [], "logprobs": []}}


async def finish(ask: Ask, data: Json) -> Json:
    """Tell the text of each token, and of the reply as it was sampled, calls and all."""
    found = data["tokens"]
    texts, raw = await asyncio.to_thread(ask.insight.words, found["ids"])
    forced = set(found.get("forced", ()))
    tokens = [
        {"id": id, "text": text, "logprob": logprob, "probability": math.exp(min(logprob, 0.0)),
         "forced": place in forced}
        for place, (id, text, logprob) in enumerate(
            zip(found["ids"], texts, found["logprobs"], strict=False)
        )
    ]  # fmt: skip
    return data | {"tokens": tokens, "raw": raw}


VIEW = View("turn", "/conversations/{turn}", "Turn", of_agent, read, finish)


def _session(session: Session, row: TurnRow) -> list[Json]:
    """Read the turns of the same session, the oldest first."""
    if row.state == FORGOTTEN or not row.session:
        return []
    query = (
        select(TurnRow)
        .where(TurnRow.principal == row.principal, TurnRow.line == row.line,
               TurnRow.session == row.session)
        .order_by(col(TurnRow.created_ms).desc())
        .limit(OTHERS)
    )  # fmt: skip
    return [turn_of(other) for other in session.exec(query)][::-1]


def _used_by(session: Session, row: TurnRow) -> list[Json]:
    """Read the generations that this turn has scored."""
    if not row.uses:
        return []
    query = (
        select(GenerationRow.number, GenerationRow.child, GenerationRow.state,
               GenerationRow.turn_ids)
        .where(GenerationRow.line == row.line)
        .order_by(col(GenerationRow.number).desc())
        .limit(USED)
    )  # fmt: skip
    return [
        {"generation": number, "version": child, "state": state}
        for number, child, state, turn_ids in session.execute(query)
        if row.id in turn_ids
    ]
