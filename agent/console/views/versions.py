"""Versions: the chain, newest first, with what each came to, held candidates among them."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from agent.console.views.changes import not_stored
from agent.console.views.view import Ask, View
from streams.line.became import ends_of
from streams.records import Json
from streams.store.tables import GenerationRow, RecipeRow, RolloutRow

_NAMES = ("number", "parent", "child", "state", "reason", "reward", "gain", "kl", "planned_ms",
          "done_ms")  # fmt: skip


def read(session: Session, ask: Ask) -> Json:
    """Read a page of the versions that generations made."""
    query = select(*(getattr(GenerationRow, name) for name in _NAMES)).where(
        GenerationRow.line == ask.line, col(GenerationRow.child).is_not(None)
    )
    if before := ask.number("before", 0):
        query = query.where(GenerationRow.number < before)
    rows = session.execute(query.order_by(col(GenerationRow.number).desc()).limit(ask.rows + 1))
    found = [dict(row._mapping) for row in rows]
    shown = found[: ask.rows]
    _number(session, shown)
    names = [row["child"] for row in shown]
    ends = ends_of(session, ask.line, names, not_stored(session, ask))
    for row in shown:
        row["ended"] = ends[row["child"]]
    first = select(RolloutRow.previous).where(RolloutRow.line == ask.line, RolloutRow.seq == 1)
    return {
        "versions": shown,
        "base": session.exec(first).first(),
        "next": shown[-1]["number"] if len(found) > len(shown) else None,
    }


def of_agent(ask: Ask) -> Json:
    """What serves, and what served before."""
    return {"line": ask.line, "serving": ask.serving, "versions": [], "base": None, "next": None}


VIEW = View(
    "versions", "/versions", "Versions", of_agent, read, key="v",
    purpose="the chain of versions: where each comes from and what it changed",
)  # fmt: skip


def _number(session: Session, versions: Sequence[Json]) -> None:
    """Tell each its place in the chain; none: a candidate that is not in the ledger."""
    names = [row["child"] for row in versions]
    query = select(RecipeRow.version, RecipeRow.number).where(col(RecipeRow.version).in_(names))
    numbers = dict(session.execute(query).all())
    for row in versions:
        row["place"] = numbers.get(row["child"])
