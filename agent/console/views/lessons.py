"""Lessons: what a complaint wished, what was learned from it, by which versions, did it help."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlmodel import Session, and_, col, or_, select

from agent.console.read.turns import judgements_of, turn_of
from agent.console.views.view import Ask, View, cursor_of
from agent.watch.lessons import REFUSES, courses, learners, refusals
from streams.records import Json
from streams.store.tables import JudgementRow, TurnRow

_WISHES = or_(col(JudgementRow.hint).is_not(None), REFUSES)


def read(session: Session, ask: Ask) -> Json:
    """Read a page of turns whose judgement wishes something, granted or refused, newest first."""
    query = (
        select(TurnRow)
        .join(JudgementRow, col(JudgementRow.turn_id) == col(TurnRow.id))
        .where(TurnRow.line == ask.line, _WISHES)
        .distinct()
    )
    if after := ask.cursor:
        ms, id = after
        older = col(TurnRow.created_ms) < ms
        query = query.where(or_(older, and_(col(TurnRow.created_ms) == ms, col(TurnRow.id) < id)))
    newest = _ids(session, query, ask.rows + 1)
    shown = newest[: ask.rows]
    return {
        "lessons": list(_lessons(session, ask, shown)),
        "next": cursor_of({"created_ms": shown[-1].created_ms, "id": shown[-1].id})
        if len(newest) > len(shown)
        else None,
    }


def of_agent(_: Ask) -> Json:
    """What is shown while the store is away."""
    return {"lessons": [], "next": None}


VIEW = View(
    "lessons", "/lessons", "Lessons", of_agent, read, key="l",
    purpose="what complaints wished, what was learned from them, whether it helped",
)  # fmt: skip


def _ids(session: Session, query: Any, limit: int) -> list[TurnRow]:
    """Read turns by their ids: a database cannot tell whole JSON rows apart, nor sort them well."""
    heads = query.with_only_columns(TurnRow.id, TurnRow.created_ms)
    order = col(TurnRow.created_ms).desc(), col(TurnRow.id).desc()
    ids = [head.id for head in session.execute(heads.order_by(*order).limit(limit))]
    rows = {row.id: row for row in session.exec(select(TurnRow).where(col(TurnRow.id).in_(ids)))}
    return [rows[id] for id in ids]


def _lessons(session: Session, ask: Ask, turns: Sequence[TurnRow]) -> Iterable[Json]:
    ids = [turn.id for turn in turns]
    judged, learned = judgements_of(session, ids), learners(session, ask.line, ids)
    became = courses(session, [turn.lesson for turn in turns if turn.lesson])
    refused = refusals(session, ids)
    for turn in turns:
        verdicts, target = judged.get(turn.id, []), turn.target or {}
        yield {
            "turn": turn_of(turn) | {"judgements": verdicts},
            "hint": next((v["hint"] for v in reversed(verdicts) if v["hint"]), None),
            "refused": refused.get(turn.id),
            "instruction": target.get("instruction") or target.get("hint"),
            "rewrite": target.get("text"),
            "made": target.get("made"),
            "why_none": target.get("reason"),
            "proof": target.get("proof"),
            "learned_by": learned.get(turn.id, []),
            "course": became.get(turn.lesson or ""),
        }
