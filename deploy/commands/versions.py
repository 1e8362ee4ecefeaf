"""quickset versions: list them, show one, take the serving one back."""

import getpass
import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.options import with_settings
from deploy.errors import NotRunningError
from deploy.history import find_version, serving, store_session
from deploy.history import versions as read_versions
from deploy.operator_api import call
from deploy.rollback import append_rollback
from deploy.settings import InForce
from streams.records import Recipe, encode

versions = typer.Typer(no_args_is_help=True, help="The versions: list, show one, roll back.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@versions.command("list")
@with_settings("home")
def list_versions(
    in_force: InForce,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """Print the newest versions, which one serves, and what its generation measured."""
    settings = in_force.settings
    line = settings.agent.line
    with store_session(settings.streams) as session:
        found = read_versions(session, line, limit)
    rollout = serving(settings.streams, line)
    rows = [
        {
            "version": each.recipe.version,
            "number": each.recipe.number,
            "parent": each.recipe.parent,
            "serving": rollout is not None and rollout.version == each.recipe.version,
            "state": each.generation.state if each.generation else "",
            "reason": each.generation.reason if each.generation else "",
            "reward": each.generation.reward if each.generation else None,
            "fitness_mean": each.generation.fitness_mean if each.generation else None,
            "kl": each.generation.kl if each.generation else None,
            "created_ms": each.recipe.created_ms,
        }
        for each in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "no.", "version", "parent", "state", "reward", "fitness", "KL", "made"):
        table.add_column(name, no_wrap=name in ("version", "parent", "made"))
    for row in rows:
        table.add_row(
            "▶" if row["serving"] else "",
            str(row["number"]),
            str(row["version"]),
            str(row["parent"])[:8],
            str(row["state"]),
            *(_figure(row[name]) for name in ("reward", "fitness_mean", "kl")),
            _time(each_ms) if isinstance(each_ms := row["created_ms"], int) else "",
        )
    Console().print(table if rows else f"the line {line} is at its base; no version yet")


@versions.command()
@with_settings("home")
def show(
    in_force: InForce,
    version: Annotated[str, typer.Argument(help="Name of the version, or how it begins.")],
    as_json: Json = False,
) -> None:
    """Print one version: its recipe, its generation and the gate's report."""
    with store_session(in_force.settings.streams) as session:
        found = find_version(session, version)
        recipe = Recipe.model_validate(found.recipe.record)
        generation = found.generation.model_dump(exclude={"fitness"}) if found.generation else None
    whole = {
        "version": recipe.version,
        "recipe_bytes": len(encode(recipe)),
        "recipe": recipe.model_dump(mode="json"),
        "generation": generation,
    }
    if as_json:
        typer.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _flat(whole):
        table.add_row(name, value if isinstance(value, str) else json.dumps(value))
    Console().print(table)


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
    agent = in_force.settings.agent
    who = getpass.getuser()
    try:
        path = f"/operator/lines/{quote(agent.line, safe='')}/rollback"
        version = call(agent, "POST", path, {"reason": reason})["rollout"]["version"]
    except NotRunningError:
        version = append_rollback(
            in_force.settings.streams, agent.line, who=who, reason=reason
        ).version
        typer.echo("no agent is running: written to the log for the next one")
    typer.echo(f"{version} serves the line {agent.line} now")


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def _figure(value: object) -> str:
    return f"{value:+.4f}" if isinstance(value, float) else "–"


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).strftime("%m-%d %H:%M:%S")
