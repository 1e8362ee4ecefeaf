"""Generations: what each population came to, as a table that is also drawn."""

import math
from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, col, select

from agent.console.views.view import Ask, View
from streams.records import Json
from streams.store.tables import GenerationRow, WatchedRow

ROWS: Final = 60  # on one page: as many points as a chart of this size can tell apart
AGREE: Final = 0.75  # of the turns: coins agree so far for one member in nine, of six turns
_NAMES = (
    "number", "parent", "child", "state", "reason", "turn_ids", "fitness", "coefficients", "step",
    "reward", "fitness_mean", "fitness_spread", "gain", "kl", "apart",
    "planned_ms", "done_ms",
)  # fmt: skip


def read(session: Session, ask: Ask) -> Json:
    """Read a page of generations, newest first."""
    wanted = ask.number("limit", ROWS, least=1, most=500)
    query = select(*(getattr(GenerationRow, name) for name in _NAMES)).where(
        GenerationRow.line == ask.line
    )
    if before := ask.number("before", 0):
        query = query.where(GenerationRow.number < before)
    rows = session.execute(query.order_by(col(GenerationRow.number).desc()).limit(wanted + 1)).all()
    shown = [shown_of(dict(row._mapping)) for row in rows[:wanted]]
    watch(session, ask.line, shown)
    return {"generations": shown, "next": shown[-1]["number"] if len(rows) > wanted else None}


def of_agent(_: Ask) -> Json:
    """What is shown while the store is away."""
    return {"generations": [], "next": None}


VIEW = View(
    "generations", "/generations", "Generations", of_agent, read, key="g",
    purpose="fitness, coefficients, good members, KL, gain, time, and what is watched",
)  # fmt: skip


def shown_of(row: Json) -> Json:
    """Show a generation: of its table of fitness only how many members were good."""
    fitness, turns = row.pop("fitness"), row.pop("turn_ids")
    row["num_turns"], row["scored"] = len(turns), len(fitness)
    row["density"], row["chance"] = density(fitness), chance(len(fitness))
    row["took_s"] = (row["done_ms"] - row["planned_ms"]) / 1000 if row["done_ms"] else None
    return row


def watch(session: Session, line: str, shown: Sequence[Json]) -> None:
    """Put beside each generation what is watched of its version, where that was measured."""
    children = [row["child"] for row in shown if row["child"]]
    query = select(WatchedRow).where(WatchedRow.line == line, col(WatchedRow.version).in_(children))
    measured = {row.version: row.measured for row in session.exec(query)}
    for row in shown:
        found = measured.get(row["child"] or "", {})
        tasks = {n.removeprefix("tasks."): v for n, v in found.items() if n.startswith("tasks.")}
        row["tasks"] = sum(tasks.values()) / len(tasks) if tasks else None
        row["lowest"] = min(tasks.values(), default=None)
        row["each"] = ", ".join(f"{name} {value:.0%}" for name, value in tasks.items())
        row["text"], row["refusal"] = found.get("text_nats"), found.get("refusal_nats")


def density(fitness: Sequence[Sequence[float]]) -> float | None:
    """Return the share of good members: those that most turns prefer to their opposite.

    Members 2p and 2p+1 are opposite moves of the same direction, so one of two is always the
    fitter; that says something only when the turns agree on which (AGREE of them). Compare with
    `chance`, which turns that say nothing come to.

    fitness: (turns, members)
    returns: 0 to 1/2; None where nothing was scored

    >>> density([[1.0, -1.0, 0.1, -0.1], [2.0, 0.0, -0.1, 0.1]])
    0.25
    """
    if not fitness or len(fitness[0]) < 2:
        return None
    least, num_members = needed(len(fitness)), len(fitness[0])
    good = 0
    for member in range(num_members - num_members % 2):
        other = member ^ 1
        good += sum(row[member] > row[other] for row in fitness) >= least
    return good / num_members


def chance(num_turns: int) -> float | None:
    """Return the density of good members that coins in the place of turns would give.

    >>> chance(6)
    0.109375
    """
    if not num_turns:
        return None
    ways = sum(math.comb(num_turns, agree) for agree in range(needed(num_turns), num_turns + 1))
    return float(ways / 2**num_turns)


def needed(num_turns: int) -> int:
    """Return how many of the turns must prefer a good member."""
    return math.ceil(AGREE * num_turns)
