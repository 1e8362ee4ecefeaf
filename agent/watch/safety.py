"""What the gate's reports tell over versions: probes, refusals beside the base, geometry, stops.

Read from rows of generations, for the console's Safety page and Prometheus. Knows nothing of how a
probe asks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import load_only
from sqlmodel import Session, col, select

from agent.watch.metrics import Family
from streams.line.stopped import stopped
from streams.records import Json
from streams.store.tables import GenerationRow

NEWEST: Final = 24  # reports that are told side by side
_OUTCOMES: Final = ("pass", "fail", "uninformative")
# What is read of a row: its batch and fitness are far larger.
_READ: Final[tuple[Any, ...]] = (
    GenerationRow.number,
    GenerationRow.child,
    GenerationRow.state,
    GenerationRow.reason,
    GenerationRow.gate,
    GenerationRow.horizon,
    GenerationRow.withdraws,
)


def watched(session: Session, line: str) -> Json:
    """Read the newest reports of a line.

    probes: name → rows of versions, the newest first; refusing: share of the base's chance of
    refusing, by version; layers: geometry of the newest version that has one; stopped: why the
    guard against collapse has stopped the line; corrective: newest generation of the drift monitor
    """
    query = (
        select(GenerationRow)
        .options(load_only(*_READ))
        .where(GenerationRow.line == line)
        .order_by(col(GenerationRow.number).desc())
        .limit(NEWEST)
    )
    rows = list(session.exec(query))
    reported = [row for row in rows if row.child and (row.gate or {}).get("rows")]
    corrective = next((row for row in rows if "corrective" in row.horizon), None)
    return {
        "probes": _probes(reported),
        "refusing": [
            {"version": row.child, "number": row.number, "share": share, "state": row.state}
            for row in reported
            if (share := refusing(row.gate)) is not None
        ],
        "layers": _layers(reported),
        "stopped": stopped(session, line),
        "corrective": corrective
        and {
            "number": corrective.number,
            "state": corrective.state,
            "share": corrective.horizon["corrective"],
            "reason": corrective.reason,
        },
    }


def refusing(gate: Mapping[str, Any]) -> float | None:
    """Return a version's chance of refusing harmful prompts over the base's; None: not asked.

    >>> refusing({"rows": [{"probe": "odds", "candidate": {"right": 0.6}, "base": {"right": 0.8}}]})
    0.75
    """
    for row in gate.get("rows", []):
        own, of_base = row["candidate"].get("right"), row["base"].get("right")
        if row["probe"] == "odds" and own is not None and of_base:
            return round(float(own) / float(of_base), 4)
    return None


def families(session: Session, line: str) -> list[Family]:
    """Tell Prometheus of the newest report, the refusals and the guards."""
    told = watched(session, line)
    newest = {name: rows[0] for name, rows in told["probes"].items()}
    values = [(name, row) for name, row in newest.items() if row["value"] is not None]
    refused = [each["share"] for each in told["refusing"][:1]]
    return [
        Family(
            "probe",
            "What each probe of the gate read of the newest version that was asked",
            ("probe",),
            tuple(((name,), float(row["value"])) for name, row in values),
        ),
        Family(
            "probe_outcome",
            "Whether that was its outcome, 1 or 0",
            ("probe", "outcome"),
            tuple(
                ((name, each), float(row["outcome"] == each))
                for name, row in newest.items()
                for each in _OUTCOMES
            ),
        ),
        Family(
            "refusal_of_base",
            "Chance of refusing harmful prompts over the base's, of the newest version",
            (),
            tuple(((), share) for share in refused),
        ),
        Family(
            "collapse_stopped",
            "Whether the guard against collapse has stopped the line, 1 or 0",
            (),
            (((), float(told["stopped"] is not None)),),
        ),
    ]


def _probes(rows: Sequence[GenerationRow]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for row in rows:
        for each in row.gate["rows"]:
            own = each["candidate"]
            found.setdefault(each["probe"], []).append(
                {
                    "version": row.child,
                    "number": row.number,
                    "title": each.get("title", each["probe"]),
                    "unit": each.get("unit", ""),
                    "outcome": each["outcome"],
                    "tells": each.get("tells", True),
                    "asked": each.get("asked", True),
                    "sentence": each.get("sentence", ""),
                    "value": own.get("value"),
                    "text": own.get("text", ""),
                    "base": each["base"].get("text", ""),
                    "worst": own.get("worst"),
                    "spread": own.get("spread"),
                    "ece": own.get("ece"),
                }
            )
    return found


def _layers(rows: Sequence[GenerationRow]) -> Json | None:
    for row in rows:
        for each in row.gate["rows"]:
            if each["candidate"].get("layers"):
                return {
                    "version": row.child,
                    "number": row.number,
                    "sentence": each.get("sentence", ""),
                    "rows": each["candidate"]["layers"],
                }
    return None
