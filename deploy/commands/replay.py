"""quickset replay: prove the served bits, or build a version that somebody never moved."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import Progress

from agent.settings import AgentSettings
from deploy.commands.line.cells import plain, printed
from deploy.commands.options import with_settings
from deploy.errors import NotRunningError, RefusedError
from deploy.operate.forget import principal_named, remove_left
from deploy.operate.history import (
    existing_log,
    existing_store,
    find_version,
    serving,
    store_session,
)
from deploy.operate.operator_api import call
from deploy.settings.load import InForce, Settings
from streams.errors import ProofError
from streams.line import ledger
from streams.line.masks import mask_of
from streams.settings import StreamsSettings

if TYPE_CHECKING:  # torch takes seconds to import
    from learner.rerun.branch import Rebuilt


@with_settings("home", "model", "console_port")
def replay(
    in_force: InForce,
    version: Annotated[
        str | None,
        typer.Argument(
            help="Its number, name, or how that begins; without it the one that serves."
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="PRINCIPAL", help="Leave out what they taught."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="With --without: score again, as if never there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild a version from the base, compare every digest, and the bits that an agent serves.

    With --without, build a version that somebody never moved: from the fitness that each generation
    kept, or with --exact by running the line again without them. It is held against the gate and
    kept beside the line, which does not change: `quickset versions promote` takes it into service.
    """
    settings = in_force.settings
    if exact and (version or not without):
        raise ProofError("--exact runs a whole line again: give --without, and no version")
    if without:
        principals = [principal_named(each) for each in without]
        _leave_out(settings, principals, version, exact=exact, as_json=as_json)
    else:
        _prove(settings, _named(settings.streams, settings.agent.line, version), as_json=as_json)


def _prove(settings: Settings, name: str, *, as_json: bool) -> None:
    from deploy.operate import replay as proofs  # torch takes seconds to import
    from kernels.open import open_backend
    from streams.model.open import load_base

    with store_session(settings.streams) as session:
        chain = ledger.chain(session, name)
        if not chain:
            raise ProofError(f"the ledger does not hold version {name}: its learner's store does")
        mask = mask_of(session, chain)
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"{len(chain)} recipes to {name}", total=len(chain))
        base = load_base(settings.model)
        proof = proofs.replay(
            base,
            chain,
            mask,
            backend=open_backend(settings.model.backend, base.decoder.device),
            progress=lambda done: bars.update(bar, completed=done),
        )
    served = _served(settings.agent, name)
    if served not in (None, proof.sha256):
        raise ProofError(f"the agent serves {served} as {name}, the ledger gives {proof.sha256}")
    if as_json:
        body = {"version": name, "recipes": proof.recipes, "digest": proof.digest}
        typer.echo(printed(body | {"sha256": proof.sha256, "served": served}))
        return
    typer.echo(f"{name}: {proof.recipes} recipes from {base.name}, every digest as promised")
    typer.echo(f"integers {proof.digest}")
    typer.echo(f"weights  {proof.sha256}")
    typer.echo(
        "the running agent serves exactly these bits" if served else "no running agent holds it"
    )


def _leave_out(
    settings: Settings,
    principals: list[str],
    version: str | None,
    *,
    exact: bool,
    as_json: bool,
) -> None:
    name = _named(settings.streams, settings.learner.line, version)
    from kernels.open import open_backend
    from learner.rerun import rebuild  # torch takes seconds to import
    from learner.rerun.branch import Builder
    from learner.run import take_threads
    from learner.safety.kept import kept_of
    from streams.model.open import load_base

    take_threads(settings.learner)
    home = settings.streams.home.expanduser()
    left = remove_left(home)
    if left is not None:
        typer.echo(plain(f"{left}: what killed exact runs left there stays"), err=True)
    with ended_by_sigterm(), Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("loading the model", total=None)
        base = load_base(settings.model)
        builder = Builder(
            base,
            open_backend(settings.model.backend, base.decoder.device),
            settings.learner,
            lambda told: bars.update(bar, description=told),
            kept_of(settings.model, base.name),
        )
        with existing_store(settings.streams) as store, existing_log(settings.streams) as log:
            built = (
                rebuild.build_exact(store, log, builder, name, principals, home=home)
                if exact
                else rebuild.build_quick(store, builder, name, principals)
            )
    if as_json:
        typer.echo(printed(asdict(built)))
    else:
        _tell_built(built)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process by an exception, so that what it made for itself goes with it."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_built(built: "Rebuilt") -> None:
    for change in built.changes:
        typer.echo(
            f"generation {change.generation}: {change.turns} of {change.of_turns} turns left out of"
            f" {change.version}, now {change.instead or 'nothing'}"
        )
    for note in built.notes:
        typer.echo(plain(note))
    typer.echo(f"{built.version} instead of {built.instead_of}: {plain(built.reason)}")
    typer.echo(f"integers {built.digest}")
    typer.echo(
        f"to serve it: quickset versions promote {built.version}"
        if built.passed
        else "the gate holds it: it cannot be promoted"
    )


def _served(agent: AgentSettings, version: str) -> str | None:
    """Return the SHA-256 of a version's tensors in the running agent; None where it has none."""
    try:
        path = f"/operator/versions/{quote(version)}/digest"
        return str(call(agent, "GET", path)["sha256"])
    except NotRunningError:
        return None
    except RefusedError as refused:
        if refused.status == 404:
            return None
        raise


def _named(streams: StreamsSettings, line: str, version: str | None) -> str:
    if version is not None:
        with store_session(streams) as session:
            read = partial(serving, streams, line)
            return find_version(session, version, line=line, now=read).recipe.version
    now = serving(streams, line)
    if now is None or now.previous is None:
        raise ProofError(f"the line {line} is at its base: there is nothing to rebuild")
    return now.version
