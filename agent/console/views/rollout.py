"""Rollout: the trial that is on, or an earlier one: its timeline, its metrics, the turns behind."""

from math import inf

from sqlmodel import Session, col, select

from agent.console.read.turns import judgements_of, turn_of
from agent.console.views.changes import not_stored
from agent.console.views.trial import trial_of
from agent.console.views.view import Ask, View
from streams.line.became import ENDS
from streams.records import Json
from streams.store.tables import RolloutRow, TurnRow

STEPS = 100  # changes of one trial that are shown
SAMPLES = 4  # turns behind one metric


def of_agent(ask: Ask) -> Json:
    """What is on trial now."""
    serving = ask.serving
    trial = None
    if serving["trial"]:
        trial = trial_of(ask, serving, ask.changes)
    known = ask.changes_after(0)
    timeline = _of(trial["version"], known)[::-1] if trial else []
    return {"line": ask.line, "seq": serving["seq"], "trial": trial, "timeline": timeline,
            "earlier": list(filter(_ends, known))[: ask.rows], "turns": {}, "next": None,
            "policy": ask.service.rollout.policy}  # fmt: skip


def of_store(session: Session, ask: Ask) -> Json:
    """Read the changes of the trial, earlier trials, and the turns behind each metric."""
    trial = of_agent(ask)["trial"]
    found: Json = _earlier(session, ask)
    if trial is None:
        return found
    timeline = _changes(session, ask.line, trial["version"])
    timeline += _of(trial["version"], not_stored(session, ask))[::-1]
    names = {id for metric in trial["metrics"] for id in metric["samples"][:SAMPLES]}
    return found | {
        "timeline": timeline,
        "turns": _turns(session, names),
    }


VIEW = View(
    "rollout", "/rollout", "Rollout", of_agent, of_store, key="r",
    purpose="the candidate on trial: each step, each metric with its limit, what you can do",
)  # fmt: skip


def _ends(row: Json) -> bool:
    return row["candidate"] is not None and row["state"] in ENDS


def _of(candidate: str, changes: list[Json]) -> list[Json]:
    return [row for row in changes if row["candidate"] == candidate]


def _changes(session: Session, line: str, candidate: str) -> list[Json]:
    query = (
        select(RolloutRow)
        .where(RolloutRow.line == line, RolloutRow.candidate == candidate)
        .order_by(col(RolloutRow.seq).desc())
        .limit(STEPS)
    )
    return [row.model_dump() for row in session.exec(query)][::-1]


def _earlier(session: Session, ask: Ask) -> Json:
    """Read how trials ended, newest first, a page at a time."""
    query = select(RolloutRow).where(
        RolloutRow.line == ask.line,
        col(RolloutRow.candidate).is_not(None),
        col(RolloutRow.state).in_(ENDS),
    )
    before = ask.number("before", 0)
    if before:
        query = query.where(RolloutRow.seq < before)
    newest = query.order_by(col(RolloutRow.seq).desc()).limit(ask.rows + 1)
    rows: list[Json] = [
        *(row for row in not_stored(session, ask) if _ends(row) and row["seq"] < (before or inf)),
        *(row.model_dump() for row in session.exec(newest)),
    ]
    shown = rows[: ask.rows]
    return {"earlier": shown, "next": shown[-1]["seq"] if len(rows) > ask.rows else None}


def _turns(session: Session, ids: set[str]) -> Json:
    rows = session.exec(select(TurnRow).where(col(TurnRow.id).in_(ids))).all()
    judged = judgements_of(session, [row.id for row in rows])
    return {row.id: turn_of(row) | {"judgements": judged.get(row.id, [])} for row in rows}
