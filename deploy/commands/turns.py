"""quickset turns: the last turns, with what was judged of them and why."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.commands.options import with_settings
from deploy.history import store_session
from deploy.history import turns as read_turns
from deploy.settings import InForce
from streams.tables import JudgementRow, TurnRow

SHOWN_CHARACTERS = 160  # of a request or reply in the table; --json has all


@with_settings("home")
def turns(
    in_force: InForce,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, whole texts.")] = False,
) -> None:
    """Print the last turns, newest first: what was asked, answered, judged, and any hint."""
    settings = in_force.settings
    with store_session(settings.streams) as session:
        found = [_row(*each) for each in read_turns(session, settings.learner.line, limit)]
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    table = Table("when", "version", "asked", "answered", "state", "judged", "hint", box=None)
    for row in found:
        judged = " ".join(f"{each['score']:+d} {each['source']}" for each in row["judgements"])
        hints = [each["hint"] for each in row["judgements"] if each["hint"]]
        cells = [_time(row["created_ms"]), row["version"][:8], row["asked"], row["answered"]]
        cells += [row["state"], judged or "–", hints[-1] if hints else "–"]
        # Text, not markup: what people and models write is shown as it is.
        table.add_row(*(Text(cell[:SHOWN_CHARACTERS]) for cell in cells))
    Console().print(table if found else "no turns yet")


def _row(turn: TurnRow, verdicts: list[JudgementRow]) -> dict[str, Any]:
    said = [each.get("content") for each in turn.record["messages"] if each["role"] == "user"]
    return {
        "id": turn.id,
        "version": turn.version,
        "session": turn.session,
        "principal": turn.principal,
        "state": turn.state,
        "uses": turn.uses,
        "asked": (said[-1] if said else None) or "",
        "answered": turn.record["reply"].get("content") or "",
        "created_ms": turn.created_ms,
        "judgements": [
            verdict.model_dump(include={"source", "score", "confidence", "hint", "evidence"})
            for verdict in verdicts
        ],
    }


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).strftime("%m-%d %H:%M:%S")
