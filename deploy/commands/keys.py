"""quickset keys: draw a key for an operator or a client, and print the setting that knows it."""

import hashlib
import re
import secrets
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.settings import UNSTATED_ROLE, Role
from deploy.commands.line.cells import printed
from deploy.commands.options import with_settings
from deploy.errors import SettingsError
from deploy.settings.load import InForce

keys = typer.Typer(
    no_args_is_help=True, help="Keys of operators and clients: draw one, list who has which role."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

KEY_BYTES = 32  # 256 random bits: no dictionary has them, so a plain hash keeps them safe
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a bare key of TOML


@keys.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Whose key it is; stands in the audit.")],
    role: Annotated[
        Role | None,
        typer.Option(
            "--role", help="viewer looks, operator (the default) steers, admin also resets."
        ),
    ] = None,
    client: Annotated[
        bool, typer.Option("--client", help="A key of the API (agent.keys), for chatting.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw a key and print it, once, with the lines of the settings file that know it.

    The settings hold its hash only, and nothing is written anywhere: keep the key where it is used.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{name!r} is no name: give up to 64 letters, digits, _ and -")
    if client and role is not None:
        raise SettingsError("--client draws a key of the API, which has no role: leave out --role")
    role = role or UNSTATED_ROLE
    key = f"qs-{'client' if client else role}-{secrets.token_urlsafe(KEY_BYTES)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    if as_json:
        told = {"name": name, "key": key, "hash": digest, "role": None if client else role}
        typer.echo(printed(told))
        return
    typer.echo(f"key      {key}")
    typer.echo("         it is shown this once; only its hash stands in the settings:\n")
    if client:
        typer.echo(f'[agent.keys]\n{name} = "{digest}"')
    else:
        typer.echo(f'[agent.operator_keys]\n{name} = {{ hash = "{digest}", role = "{role}" }}')


@keys.command("list")
@with_settings()
def list_keys(in_force: InForce, as_json: Json = False) -> None:
    """Print who has a key, with which role; the hashes' first digits tell keys apart."""
    agent = in_force.settings.agent
    rows = [
        {"name": name, "role": str(key.role), "hash": key.hash}
        for name, key in agent.operator_keys.items()
    ]
    rows += [{"name": name, "role": "client", "hash": hash} for name, hash in agent.keys.items()]
    if as_json:
        typer.echo(printed(rows))
        return
    table = Table("name", "role", "hash", box=None, pad_edge=False)
    for row in rows:
        table.add_row(Text(row["name"]), row["role"], f"{row['hash'][:12]}…")
    Console().print(
        table if rows else "no keys: everybody may chat, and the console is this machine's alone"
    )
