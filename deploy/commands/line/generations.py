"""quickset versions generations | safety: how versions were made, and which units never move."""

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import is_narrow, moment, name, plain, signed
from deploy.commands.line.watch import Json, Limit, Watch, tell
from deploy.commands.options import with_settings
from deploy.operate.history import frozen_units, store_session
from deploy.operate.history import generations as read_generations
from deploy.settings.load import InForce


@with_settings("home")
def generations(
    in_force: InForce, limit: Limit = 20, as_json: Json = False, watch: Watch = False
) -> None:
    """Print the last generations: what each learned from, measured and came to, and why."""
    settings = in_force.settings

    def read() -> list[dict[str, Any]]:
        with store_session(settings.streams) as session:
            return read_generations(session, settings.learner.line, limit)

    tell(read, _generations, as_json=as_json, watch=watch)


@with_settings("home")
def safety(in_force: InForce, as_json: Json = False, watch: Watch = False) -> None:
    """Print the units that never move: how many of which layer, and what measured them."""
    settings = in_force.settings

    def read() -> list[dict[str, Any]]:
        with store_session(settings.streams) as session:
            return frozen_units(session)

    tell(read, _units, as_json=as_json, watch=watch)


def _generations(rows: Sequence[dict[str, Any]]) -> RenderableType:
    if not rows:
        return "no generation yet"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    figures = ("reward",) if is_narrow() else ("reward", "gain", "kl")
    told = (each if each != "kl" else "KL" for each in figures)
    for title in ("no.", "state", "version", "turns", *told, "took", "why"):
        table.add_column(title, no_wrap=title != "why")
    for row in rows:
        took_s = (row["done_ms"] - row["planned_ms"]) / 1000 if row["done_ms"] else None
        took = f"{took_s:.0f} s" if took_s is not None else moment(row["planned_ms"])
        cells = [str(row["number"]), row["state"], name(row["child"]), str(row["turns"])]
        measured = (signed(row[each]) for each in figures)
        table.add_row(*cells, *measured, took, Text(plain(row["reason"] or "")))
    return table


def _units(rows: Sequence[dict[str, Any]]) -> RenderableType:
    if not rows:
        return "nothing measured yet: the learner does it before its first generation"
    table = Table("artefact", "kind", "layer", "neurons", "groups", box=None, pad_edge=False)
    for row in rows:
        digest, kind = f"{row['digest'][:12]}…", row["kind"]
        for layer in row["layers"]:
            table.add_row(
                digest, kind, str(layer["layer"]), str(layer["neurons"]), str(layer["groups"])
            )
            digest = kind = ""
        told = "all together", str(row["neurons"]), str(row["groups"])
        table.add_row(digest, kind, *told, style="bold")
    return table
