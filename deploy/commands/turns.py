"""quickset turns: the last turns, with what was judged of them and why."""

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import moment, plain
from deploy.commands.line.watch import Json, Limit, Watch, tell
from deploy.commands.options import with_settings
from deploy.operate.history import store_session
from deploy.operate.history import turns as read_turns
from deploy.settings.load import InForce
from streams.store.tables import JudgementRow, TurnRow


@with_settings("home")
def turns(
    in_force: InForce, limit: Limit = 20, as_json: Json = False, watch: Watch = False
) -> None:
    """Print the last turns, newest first: what was asked, answered, judged, and any hint."""
    settings = in_force.settings

    def read() -> list[dict[str, Any]]:
        with store_session(settings.streams) as session:
            return [_row(*each) for each in read_turns(session, settings.learner.line, limit)]

    tell(read, _table, as_json=as_json, watch=watch)


def _table(found: Sequence[dict[str, Any]]) -> RenderableType:
    if not found:
        return "no turns yet"
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, min_width=len("01-31 23:59:59"))
    table.add_column(no_wrap=True, overflow="ellipsis")
    for row in found:
        for name, words in _told(row):
            # Text, not markup: what people and models write is shown as it is, each on one line.
            table.add_row(name, Text(plain(" ".join(words.split()))))
    return table


def _told(row: dict[str, Any]) -> list[tuple[str, str]]:
    judged = ", ".join(f"{each['score']:+d} {each['source']}" for each in row["judgements"])
    hints = [each["hint"] for each in row["judgements"] if each["hint"]]
    lines = [
        (moment(row["created_ms"]), f"{row['version'][:8]} {judged or row['state']}"),
        ("  asked", row["asked"]),
        ("  answered", row["answered"]),
    ]
    return [*lines, ("  hint", hints[-1])] if hints else lines


def _row(turn: TurnRow, verdicts: list[JudgementRow]) -> dict[str, Any]:
    messages = turn.record.get("messages", [])  # a forgotten turn has none
    said = [each.get("content") for each in messages if each["role"] == "user"]
    return {
        "id": turn.id,
        "version": turn.version,
        "session": turn.session,
        "principal": turn.principal,
        "state": turn.state,
        "uses": turn.uses,
        "asked": (said[-1] if said else None) or "",
        "answered": turn.record.get("reply", {}).get("content") or "",
        "created_ms": turn.created_ms,
        "judgements": [
            verdict.model_dump(include={"source", "score", "confidence", "hint", "evidence"})
            for verdict in verdicts
        ],
    }
