"""quickset versions: list them, show one, take one into service, or the serving one back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import SHORT_NAME, moment, plain, printed, signed
from deploy.commands.line.change import NAMES, change
from deploy.commands.line.diff import diff
from deploy.commands.line.generations import generations, safety
from deploy.commands.line.watch import Json, Limit, Watch, tell
from deploy.commands.options import with_settings
from deploy.commands.who import who
from deploy.errors import NotRunningError
from deploy.operate.history import (
    Version,
    existing_log,
    find_version,
    moved_by,
    serving,
    store_session,
)
from deploy.operate.history import versions as read_versions
from deploy.operate.operator_api import call
from deploy.operate.rollback import append_rollback
from deploy.settings.load import InForce
from learner.settings import LearnerSettings
from streams.line import ledger
from streams.records import Recipe, encode
from streams.settings import masked

versions = typer.Typer(
    no_args_is_help=True, help="The versions: list, show one, compare two, promote, roll back."
)

versions.command("change")(change)
versions.command("diff")(diff)
versions.command("generations")(generations)
versions.command("safety")(safety)

WIDTH = 80  # columns that the whole list takes
SHOWN = 6  # versions of a lineage, and principals that moved one, that are named
_MEASURED = ("reward", "fitness_mean", "fitness_spread", "gain", "kl")


@versions.command("list")
@with_settings("home")
def list_versions(
    in_force: InForce, limit: Limit = 20, as_json: Json = False, watch: Watch = False
) -> None:
    """Print the newest versions, which one serves, and what its generation measured."""
    settings = in_force.settings
    line = settings.agent.line

    def read() -> Listed:
        with store_session(settings.streams) as session:
            found = read_versions(session, line, limit)
        now = serving(settings.streams, line)
        rows = [_row(each, now.version if now else None) for each in found]
        return Listed(line, rows, now.version if now and now.previous is None else None)

    tell(read, _table, as_json=as_json, watch=watch, as_body=lambda found: found.rows)


@versions.command()
@with_settings("home")
def show(
    in_force: InForce,
    version: Annotated[str, typer.Argument(help=NAMES)],
    as_json: Json = False,
) -> None:
    """Print one version: recipe, lineage, effective settings, generation, the gate's findings."""
    settings = in_force.settings
    with store_session(settings.streams) as session:
        line = settings.agent.line
        now = partial(serving, settings.streams, line)
        found = find_version(session, version, line=line, now=now)
        way = [recipe.version for recipe in ledger.chain(session, found.recipe.version)]
        movers = moved_by(session, found.generation) if found.generation else []
    recipe = Recipe.model_validate(found.recipe.record)
    if as_json:
        whole = {
            "version": recipe.version,
            "recipe_bytes": len(encode(recipe)),
            "recipe": recipe.model_dump(mode="json"),
            "lineage": way,
            "generation": _generation(found),
            "moved_by": [{"principal": name, "share": share} for name, share in movers],
        }
        typer.echo(printed(whole))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    told = [*_told(found, recipe, way), *_moved(movers), *_effective(found), *_gate(found)]
    for name, value in told:
        table.add_row(name, Text(plain(value)))
    Console().print(table)


@versions.command()
@with_settings("home")
def promote(
    in_force: InForce,
    version: Annotated[str, typer.Argument(help=NAMES)],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the audit.")] = "operator's wish",
) -> None:
    """Serve a version that the gate has let through, such as one built without somebody.

    It is written to the log; running agents build it aside, prove it, and flip. With rollout.policy
    two-person it goes on trial, and another operator promotes it (quickset rollouts promote).
    """
    from deploy.operate.promote import append_promotion  # torch takes seconds to import

    streams, line = in_force.settings.streams, in_force.settings.agent.line
    with existing_log(streams) as log, store_session(streams) as session:
        promotion = append_promotion(
            session,
            log,
            line,
            version,
            who=who(),
            reason=reason,
            settings=in_force.settings.rollout,
        )
    if promotion.candidate is not None:
        typer.echo(
            f"{promotion.candidate} is on trial on the line {line}: another operator promotes it"
            " (quickset rollouts promote; rollout.policy is two-person)"
        )
        return
    typer.echo(f"{promotion.version} is to serve the line {line}, after {promotion.previous}")


@versions.command()
@with_settings("home", "console_port")
def rollback(
    in_force: InForce,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the audit.")] = "operator's wish",
) -> None:
    """Serve the previous version again, at once.

    The running agent does it between two tokens. Where none runs, the rollback is written to the
    log, and the next agent begins with it.
    """
    agent, streams = in_force.settings.agent, in_force.settings.streams
    try:
        path = f"/operator/lines/{quote(agent.line, safe='')}/rollback"
        version = call(agent, "POST", path, {"reason": reason})["rollout"]["version"]
    except NotRunningError:
        version = append_rollback(streams, agent.line, who=who(), reason=reason).version
        typer.echo("no agent is running: written to the log for the next one")
    typer.echo(f"{version} serves the line {agent.line} now")


@dataclass(frozen=True, slots=True)
class Listed:
    """The versions of a line, and its base where that serves."""

    line: str
    rows: list[dict[str, Any]]
    base: str | None


def _table(found: Listed) -> RenderableType:
    if not found.rows:
        return f"the line {found.line} is at its base; no version yet"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    slim = Console().width < WIDTH
    figures = ("reward",) if slim else ("reward", "gain", "kl")
    told = (each if each != "kl" else "KL" for each in figures)
    for title in ("", "no.", "version", "parent", "state", *told, "made"):
        table.add_column(title, no_wrap=True)
    for row in found.rows:
        measured = [signed(row[name]) for name in figures]
        version = row["version"][: SHORT_NAME if slim else None]
        cells = ["▶" if row["serving"] else "", str(row["number"]), version]
        cells += [row["parent"][:SHORT_NAME], row["state"]]
        table.add_row(*cells, *measured, moment(row["created_ms"]))
    return Group(table, f"▶ the base {found.base} serves") if found.base else table


def _row(each: Version, serving: str | None) -> dict[str, Any]:
    made = each.generation
    return {
        "version": each.recipe.version,
        "number": each.recipe.number,
        "parent": each.recipe.parent,
        "serving": each.recipe.version == serving,
        "state": each.state,
        "reason": each.reason,
        **{name: getattr(made, name) if made else None for name in _MEASURED},
        "created_ms": each.recipe.created_ms,
    }


def _told(found: Version, recipe: Recipe, way: Sequence[str]) -> list[tuple[str, str]]:
    """Return what a person wants to know of a version, name by name."""
    members = f"{len(recipe.coefficients)} {recipe.noise} pairs at σ = 2^{recipe.sigma_log2} RMS"
    rows = [
        ("version", f"{recipe.version}, number {recipe.number} of the line {recipe.line}"),
        ("parent", recipe.parent),
        ("lineage", _lineage(way)),
        ("made", moment(found.recipe.created_ms)),
        ("recipe", f"{len(encode(recipe))} bytes: {recipe.strategy}, {members}"),
        ("moves", f"{', '.join(recipe.modules)} of layers {_range(recipe.layers)}"),
        ("key", recipe.key),
        ("digest", recipe.digest),
        ("mask", recipe.mask),
    ]
    made = found.generation
    if made is None:
        return rows
    measured = (f"{name.replace('_', ' ')} {signed(getattr(made, name))}" for name in _MEASURED)
    return [
        *rows,
        ("generation", f"{made.number}, from {len(made.turn_ids)} turns: {found.state}"),
        ("measured", ", ".join(measured)),
        ("because", found.reason),
    ]


def _lineage(way: Sequence[str]) -> str:
    """The way from the base, its middle left out where it is long."""
    shown = list(way) if len(way) <= SHOWN else [*way[:2], "…", *way[-2:]]
    return f"{len(way)} from the base: " + " → ".join(shown)


def _moved(movers: Sequence[tuple[str, float]]) -> list[tuple[str, str]]:
    """Say whose turns moved it most, with their share of the weight."""
    shown = [f"{name} {share:.0%}" for name, share in movers[:SHOWN]]
    more = [f"{len(movers) - SHOWN} more"] if len(movers) > SHOWN else []
    return [("moved by", ", ".join([*shown, *more]))] if movers else []


def _generation(found: Version) -> dict[str, Any] | None:
    made = found.generation
    return made.model_dump() | {"settings": masked(made.settings)} if made is not None else None


def _effective(found: Version) -> list[tuple[str, str]]:
    """The settings that its generation was made with, where they are not the defaults."""
    if found.generation is None or not found.generation.settings:
        return []
    usual = LearnerSettings().model_dump(mode="json")
    other = {
        name: value for name, value in found.generation.settings.items() if usual.get(name) != value
    }
    told = ", ".join(f"{name} = {json.dumps(masked(other[name]))}" for name in sorted(other))
    return [("settings", told or "the defaults")]


def _gate(found: Version) -> list[tuple[str, str]]:
    """What each probe of the gate found of it."""
    rows = (found.generation.gate if found.generation else {}).get("rows", [])
    return [
        (
            f"gate: {row.get('title') or row.get('probe')}",
            f"{(row.get('candidate') or {}).get('text', '–')}; {row.get('outcome', '–')}",
        )
        for row in rows
    ]


def _range(layers: list[int]) -> str:
    if layers == list(range(layers[0], layers[-1] + 1)) and len(layers) > 1:
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers))
