"""Audit: who changed what of the line, when and why, and what was forgotten."""

from sqlmodel import Session, and_, col, or_, select

from agent.console.views.changes import not_stored
from agent.console.views.view import Ask, View, cursor_of
from streams.records import Json
from streams.store.tables import ForgottenRow, RolloutRow


def read(session: Session, ask: Ask) -> Json:
    """Read a page of changes, newest first, those of one person if ?who= names them."""
    found = [
        *_known(ask, not_stored(session, ask)),
        *_newest(session, ask, RolloutRow, "rollout"),
        *_newest(session, ask, ForgottenRow, "forgotten"),
    ]
    found.sort(key=lambda entry: (entry["created_ms"], entry["id"]), reverse=True)
    shown = found[: ask.rows]
    return {
        "entries": shown,
        "who": ask.text("who"),
        "next": cursor_of(shown[-1]) if len(found) > len(shown) else None,
    }


def of_agent(ask: Ask) -> Json:
    """The last changes and what this agent saw happen, from memory."""
    return {"entries": _known(ask, ask.changes_after(0))[: ask.rows], "who": ask.text("who"),
            "next": None, "events": ask.section("events") or []}  # fmt: skip


VIEW = View(
    "audit", "/audit", "Audit", of_agent, read, key="a",
    purpose="every change: who, what, when, why",
)  # fmt: skip


def _known(ask: Ask, changes: list[Json]) -> list[Json]:
    """Choose of the changes that this agent knows those that the page is about."""
    who, after = ask.text("who"), ask.cursor
    return [
        row | {"kind": "rollout"}
        for row in changes
        if (not who or row["who"] == who)
        and (after is None or (row["created_ms"], row["id"]) < after)
    ]


def _newest(
    session: Session, ask: Ask, table: type[RolloutRow] | type[ForgottenRow], kind: str
) -> list[Json]:
    """Read one more than a page of one table, from the cursor on."""
    query = select(table).where(table.line == ask.line)
    if after := ask.cursor:
        ms, id = after
        older = col(table.created_ms) < ms
        query = query.where(or_(older, and_(col(table.created_ms) == ms, col(table.id) < id)))
    if who := ask.text("who"):
        query = query.where(table.who == who)
    newest = query.order_by(col(table.created_ms).desc(), col(table.id).desc())
    rows = session.exec(newest.limit(ask.rows + 1)).all()
    return [row.model_dump() | {"kind": kind} for row in rows]
