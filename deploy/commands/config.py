"""quickset config: what is in force, and where each value came from."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import printed
from deploy.commands.options import with_settings
from deploy.errors import DeployError
from deploy.settings.load import InForce
from deploy.settings.reference import markdown, shown


@with_settings("home", "model", "port", "console_port")
def config(
    in_force: InForce,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/SETTINGS.md: all settings explained.")
    ] = False,
) -> None:
    """Print every setting in force and where its value came from."""
    if as_json and as_markdown:
        raise DeployError(
            "--json prints what is in force, --markdown explains it: give one of them"
        )
    if as_markdown:
        typer.echo(markdown(), nl=False)
        return
    rows = [(name, shown(value), origin) for name, value, origin in in_force.rows()]
    if as_json:
        body = {name: {"value": value, "from": origin} for name, value, origin in rows}
        typer.echo(printed(body))
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name, value, origin in rows:
        style = "dim" if origin == "default" else "bold"
        # Text, not markup: a path and an address may hold brackets
        cells = (name, json.dumps(value, ensure_ascii=False), origin)
        table.add_row(*map(Text, cells), style=style)
    Console().print(table)
