"""quickset versions change: what a version changed of its parent, layer by layer."""

from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.line.cells import printed
from deploy.commands.line.watch import Json
from deploy.commands.options import with_settings
from deploy.errors import BaseMeantError, DeployError
from deploy.operate.history import find_version, serving, store_session
from deploy.operate.operator_api import call
from deploy.settings.load import InForce, Settings
from streams.errors import StreamsError

NAMES = "Name of the version, how it begins, its number, or stable, previous or candidate."


@with_settings("home", "console_port")
def change(
    in_force: InForce,
    version: Annotated[str, typer.Argument(help=NAMES)],
    as_json: Json = False,
) -> None:
    """Print how far a version moved each tensor, and that its frozen units did not move at all.

    The running agent works it out, from the recipe: the root mean square of the step against the
    parent, in units of the tensor's own.
    """
    name = _whole(in_force.settings, version)
    path = f"/api/versions/{quote(name, safe='')}/change"
    told = call(in_force.settings.agent, "GET", path)
    if as_json:
        typer.echo(printed(told))
        return
    Console().print(_table(told) if told["tensors"] else "nothing: it has no parent")


def _whole(settings: Settings, version: str) -> str:
    """Complete a number, a word or how a name begins; what nothing here knows is for the agent."""
    line = settings.agent.line
    now = partial(serving, settings.streams, line)
    try:
        with store_session(settings.streams) as session:
            return find_version(session, version, line=line, now=now).recipe.version
    except BaseMeantError:
        raise
    except (DeployError, StreamsError):
        return version


def _table(told: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    names = (name.removesuffix("_proj") for name in told["modules"])
    for name in ("layer", *names, "frozen rows, columns", "moved of these"):
        table.add_column(name, no_wrap=True, justify="right")
    for layer in told["layers"]:
        own = {row["module"]: row for row in told["tensors"] if row["layer"] == layer}
        moved = [f"{own[name]['rms']:.4f}" if name in own else "–" for name in told["modules"]]
        most = max(row["frozen_most"] for row in own.values())
        frozen = str(sum(row["frozen"] for row in own.values()))
        table.add_row(str(layer), *moved, frozen, "exactly 0" if most == 0 else f"{most:g}")
    return table
