"""quickset streams: prepare the log and the store, see how they are, settle dead letters."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import plain, printed
from deploy.commands.line.watch import Json, Watch, tell
from deploy.commands.options import with_settings
from deploy.commands.who import who
from deploy.errors import DeployError
from deploy.operate.history import existing_log, existing_store
from deploy.settings.load import InForce
from streams.log import dead_letters
from streams.log.contract import Log
from streams.log.dead_letters import LetterState
from streams.open import init_streams
from streams.settings import StreamsSettings
from streams.status import Holder, read_status
from streams.store.store import open_store

streams = typer.Typer(
    no_args_is_help=True, help="The log and the store: init, status, dead letters."
)
letters = typer.Typer(no_args_is_help=True, help="Records that nobody could use.")
streams.add_typer(letters, name="dead-letters")

Name = Annotated[str, typer.Argument(help="Id of the dead letter, or how it begins.")]


@streams.command()
@with_settings("home")
def init(in_force: InForce) -> None:
    """Make topics and tables that are missing; prove that those that are there fit.

    Harmless when repeated. `up` does it by itself for the embedded log and store.
    """
    settings = in_force.settings.streams
    done = init_streams(settings)
    open_store(settings).close()
    for line in [*done, "log and store are ready"]:
        typer.echo(line)


@streams.command()
@with_settings("home")
def status(in_force: InForce, as_json: Json = False) -> None:
    """Print lag, lease, spools, outbox, open dead letters, and why no more is pruned."""
    settings = in_force.settings.streams
    with existing_store(settings) as store, _log(settings) as log:
        found = read_status(
            store,
            log,
            spools=settings.home.expanduser() / "spool",
            keep_days=settings.retention_days,
            now_ms=int(time.time() * 1000),
        )
    if as_json:
        body = asdict(found)
        body["lags"] = [asdict(each) | {"lag": each.lag} for each in found.lags]
        typer.echo(printed(body))
        return
    table = Table("topic", "partition", "end", "group", "read", "lag", box=None, pad_edge=False)
    for row in found.lags:
        read = "–" if row.read is None else str(row.read)
        cells = row.topic, str(row.partition), str(row.end), row.group or "–", read, str(row.lag)
        table.add_row(*cells)
    Console().print(table)
    for lease in found.leases:
        typer.echo(f"lease {lease.name}: {plain(_held(lease))}")
    for each in found.spools:
        typer.echo(f"spool {each.folder}: {each.records} records wait, {each.dropped} were dropped")
    typer.echo(f"outbox: {found.outbox} records wait; dead letters: {found.dead_letters} open")
    if found.not_pruned:
        typer.echo(found.not_pruned)


@letters.command("list")
@with_settings("home")
def list_letters(in_force: InForce, as_json: Json = False, watch: Watch = False) -> None:
    """Print every dead letter with its cause, where it stood, and what became of it."""

    def read() -> list[LetterState]:
        with _log(in_force.settings.streams) as log:
            return dead_letters.read_all(log)

    tell(read, _letters, as_json=as_json, watch=watch, as_body=_bodies)


def _bodies(found: Sequence[LetterState]) -> list[dict[str, Any]]:
    """Return what is told of dead letters as JSON: all but the records themselves."""
    return [
        each.letter.model_dump(exclude={"payload_base64"})
        | {"closed": each.closed.verb if each.closed else None}
        for each in found
    ]


def _letters(found: Sequence[LetterState]) -> RenderableType:
    if not found:
        return "no dead letters"
    table = Table("id", "came from", "bytes", "cause", "state", box=None, pad_edge=False)
    for each in found:
        table.add_row(
            each.letter.id, _place(each), str(each.letter.payload_bytes),
            Text(plain(each.letter.cause)), each.closed.verb if each.closed else "open",
        )  # fmt: skip
    return table


@letters.command()
@with_settings("home")
def show(in_force: InForce, name: Name) -> None:
    """Print one dead letter and the record as it came."""
    with _log(in_force.settings.streams) as log:
        each = dead_letters.find(log, name)
    typer.echo(plain(f"{each.letter.id} from {_place(each)}: {each.letter.cause}"))
    typer.echo(plain(dead_letters.payload(each.letter).decode(errors="backslashreplace")))


@letters.command()
@with_settings("home")
def redrive(in_force: InForce, name: Name) -> None:
    """Append the record again where it came from."""
    with _log(in_force.settings.streams) as log:
        letter = dead_letters.redrive(log, name, who=who())
    typer.echo(f"{letter.id}: sent to {letter.topic} again")


@letters.command()
@with_settings("home")
def drop(in_force: InForce, name: Name) -> None:
    """Close the dead letter for good."""
    with _log(in_force.settings.streams) as log:
        letter = dead_letters.drop(log, name, who=who())
    typer.echo(f"{letter.id}: dropped")


@contextmanager
def _log(settings: StreamsSettings) -> Iterator[Log]:
    with existing_log(settings) as log:
        try:
            yield log
        except KeyError as cause:
            raise DeployError(str(cause.args[0])) from cause


def _held(lease: Holder) -> str:
    if lease.expires_ms <= time.time() * 1000:
        return f"free, last held by {lease.holder}, epoch {lease.epoch}"
    until = datetime.fromtimestamp(lease.expires_ms / 1000).strftime("%H:%M:%S")
    return f"{lease.holder}, epoch {lease.epoch}, until {until}"


def _place(each: LetterState) -> str:
    letter = each.letter
    if letter.offset < 0:
        return f"{letter.topic} (never in the log)"
    return f"{letter.topic}/{letter.partition}/{letter.offset}"
