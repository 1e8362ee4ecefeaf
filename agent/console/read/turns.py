"""The last turns, with what was said after them and how they were judged, newest first.

A turn's record is large and never changes, so what is shown of it is kept, and only new turns are
read in full. Texts are cut here and escaped nowhere: the page enters them as text.
"""

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.states import FORGOTTEN
from streams.store.tables import IS_VERDICT, JudgementRow, TurnRow

LIMIT = 40
TEXT_CHARS = 4000  # of a prompt, reply or next state; the whole is in the log
# What may change of a turn after it was read in full.
_CHANGING = ("id", "state", "next_ms", "uses", "target")


class Turns:
    """The last turns, with what was said after them and how they were judged."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def read(self, session: Session, view: View) -> list[Json]:
        """Read the last turns of these lines."""
        heads = _heads(session, view.lines)
        ids = [head.id for head in heads]
        self._read_new(session, heads)
        judged = judgements_of(session, ids)
        return [
            self._known[head.id]
            | {
                "state": head.state,
                "uses": head.uses,
                "judgements": judged.get(head.id, []),
                "lesson": lesson_of(head.target),
            }
            for head in heads
        ]

    def _read_new(self, session: Session, heads: Sequence[Any]) -> None:
        """Read in full what is new, or has been linked since; forget what is not shown."""
        known = {
            head.id: self._known[head.id]
            for head in heads
            if head.id in self._known and self._known[head.id]["next_ms"] == head.next_ms
            if head.state != FORGOTTEN  # what was shown of it must not be shown any more
        }
        missing = [head.id for head in heads if head.id not in known]
        for row in session.exec(select(TurnRow).where(col(TurnRow.id).in_(missing))).all():
            known[row.id] = turn_of(row)
        self._known = known


def _heads(session: Session, lines: Collection[str]) -> list[Any]:
    """Read what may change of the last turns, a line at a time: an index knows each one's order."""
    newest = col(TurnRow.sequence).desc()
    columns = [getattr(TurnRow, name) for name in (*_CHANGING, "sequence")]
    found: list[Any] = []
    for line in lines:
        of_line = select(*columns).where(TurnRow.line == line)
        found += session.execute(of_line.order_by(newest).limit(LIMIT))
    return sorted(found, key=attrgetter("sequence"), reverse=True)[:LIMIT]


def turn_of(row: TurnRow) -> Json:
    """Show a turn, its texts cut."""
    record = row.record
    messages = record.get("messages", [])
    asked: Json = next((m for m in reversed(messages) if m.get("role") in ("user", "tool")), {})
    return {
        "id": row.id,
        "line": row.line,
        "version": row.version,
        "principal": row.principal,
        "session": row.session,
        "created_ms": row.created_ms,
        "prompt": message_of(asked),
        "num_messages": len(messages),
        "reply": message_of(record.get("reply", {})),
        "num_tokens": len(record.get("token_ids", [])),
        "finish_reason": record.get("finish_reason"),
        "learn": record.get("learn", True),
        "purpose": record.get("purpose", "main"),
        "next_kind": row.next_kind,
        "next_ms": row.next_ms,
        "next": [message_of(message) for message in (row.next_state or [])[:3]],
        "num_next": len(row.next_state or []),
    }


def lesson_of(target: Json | None) -> Json | None:
    """Show what a hint made of a turn: the rewrite that is learned, or why there is none."""
    if target is None:
        return None
    return {
        "text": (target.get("text") or "")[:TEXT_CHARS],
        "made": target.get("made"),
        "reason": target.get("reason"),
        "proof": target.get("proof"),
    }


def message_of(message: Mapping[str, Any]) -> Json:
    """Show a message, its text cut."""
    whole = text_of(message)
    return {"role": message.get("role"), "text": whole[:TEXT_CHARS], "num_chars": len(whole)}


def text_of(message: Mapping[str, Any]) -> str:
    """Return what a message says: its text, and its tool calls as they were written."""
    text = message.get("content") or ""
    calls = [
        f"{call.get('function', {}).get('name')}({call.get('function', {}).get('arguments')})"
        for call in message.get("tool_calls") or []
    ]
    return "\n".join(part for part in [text, *calls] if part)


def judgements_of(session: Session, ids: Collection[str]) -> dict[str, list[Json]]:
    """Read the verdicts on some turns, oldest first, by turn; what waits for its judge is none."""
    found: dict[str, list[Json]] = {}
    query = (
        select(JudgementRow)
        .where(col(JudgementRow.turn_id).in_(ids), IS_VERDICT)
        .order_by(col(JudgementRow.created_ms))
    )
    for row in session.exec(query).all():
        found.setdefault(row.turn_id, []).append(
            {
                "source": row.source,
                "score": row.score,
                "confidence": row.confidence,
                "hint": row.hint and row.hint[:TEXT_CHARS],
                "votes": row.votes,
                "evidence": row.evidence[:TEXT_CHARS],
                "created_ms": row.created_ms,
            }
        )
    return found
