"""Lessons: what a complaint wished, what was learned from it, by which versions, did it help."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlmodel import Session, and_, col, or_, select

from agent.console.read.turns import judgements_of, turn_of
from agent.console.views.view import Ask, View, cursor_of
from streams.records import Json
from streams.store.tables import GenerationRow, JudgementRow, RecipeRow, TurnRow

CHOSEN = 400  # generations that are searched for who learned a lesson: some days of a busy line
VERDICTS = 200  # of one principal, the newest, to tell whether a lesson helped


def read(session: Session, ask: Ask) -> Json:
    """Read a page of turns whose judgement wishes something, newest first."""
    query = (
        select(TurnRow)
        .join(JudgementRow, col(JudgementRow.turn_id) == col(TurnRow.id))
        .where(TurnRow.line == ask.line, col(JudgementRow.hint).is_not(None))
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
    judged, learned = judgements_of(session, ids), _learned(session, ask.line, set(ids))
    for turn in turns:
        verdicts, target = judged.get(turn.id, []), turn.target or {}
        versions = learned.get(turn.id, [])
        yield {
            "turn": turn_of(turn) | {"judgements": verdicts},
            "hint": next((v["hint"] for v in reversed(verdicts) if v["hint"]), None),
            "instruction": target.get("instruction") or target.get("hint"),
            "rewrite": target.get("text"),
            "made": target.get("made"),
            "why_none": target.get("reason"),
            "proof": target.get("proof"),
            "learned_by": versions,
            "helped": _helped(session, turn, versions),
        }


def _learned(session: Session, line: str, ids: set[str]) -> dict[str, list[Json]]:
    """Read which versions have turns in their batch, the oldest first."""
    columns: list[Any] = [
        GenerationRow.number, GenerationRow.child, GenerationRow.state, GenerationRow.turn_ids,
        RecipeRow.number, GenerationRow.done_ms,
    ]  # fmt: skip
    query = (
        select(*columns)
        .outerjoin(RecipeRow, col(RecipeRow.version) == col(GenerationRow.child))
        .where(GenerationRow.line == line, col(GenerationRow.child).is_not(None))
        .order_by(col(GenerationRow.number).desc())
        .limit(CHOSEN)
    )
    found: dict[str, list[Json]] = defaultdict(list)
    for number, child, state, turn_ids, place, done_ms in session.execute(query):
        for id in ids.intersection(turn_ids):
            found[id].insert(0, {"generation": number, "version": child, "state": state,
                                 "number": place, "done_ms": done_ms})  # fmt: skip
    return found


def _helped(session: Session, turn: TurnRow, versions: Sequence[Json]) -> Json | None:
    """Compare what the person who asked for it said before the first version learned it, and since.

    Verdicts of one person on replies of that version or later ones, against those before; None:
    nothing has learned it yet. It tells what followed, and not why.
    """
    first = next((each["done_ms"] for each in versions if each["state"] == "released"), None)
    if first is None:
        return None
    query = (
        select(JudgementRow.score, TurnRow.created_ms)
        .join(TurnRow, col(TurnRow.id) == col(JudgementRow.turn_id))
        .where(TurnRow.principal == turn.principal, TurnRow.line == turn.line)
        .order_by(col(TurnRow.created_ms).desc())
        .limit(VERDICTS)
    )
    rows = session.execute(query).all()
    before = [score for score, ms in rows if ms < first]
    since = [score for score, ms in rows if ms >= first]
    return {"before": _mean(before), "num_before": len(before),
            "since": _mean(since), "num_since": len(since)}  # fmt: skip


def _mean(scores: Sequence[int]) -> float | None:
    return sum(scores) / len(scores) if scores else None
