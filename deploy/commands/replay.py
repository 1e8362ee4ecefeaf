"""quickset replay: prove the served bits, from the base and the ledger alone."""

import json
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import Progress

from agent.settings import AgentSettings
from deploy.commands.options import with_settings
from deploy.errors import NotRunningError, ProofError, RefusedError
from deploy.history import find_version, serving, store_session
from deploy.operator_api import call
from deploy.settings import InForce
from streams import ledger
from streams.settings import StreamsSettings


@with_settings("home", "model", "console_port")
def replay(
    in_force: InForce,
    version: Annotated[
        str | None, typer.Argument(help="Which version; without it the serving one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild a version from the base, compare every digest, and the bits that an agent serves."""
    settings = in_force.settings
    name = _named(settings.streams, settings.agent.line, version)
    from deploy import replay as proofs  # torch takes seconds to import
    from kernels.backend import open_backend
    from streams.base_model import load_base

    with store_session(settings.streams) as session:
        chain = ledger.chain(session, name)
        if not chain:
            raise ProofError(f"the ledger does not hold version {name}: its learner's store does")
        mask = proofs.mask_of(session, chain)
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"{len(chain)} recipes to {name}", total=len(chain))
        base = load_base(settings.model)
        proof = proofs.replay(
            base,
            chain,
            mask,
            backend=open_backend("cpu"),
            progress=lambda done: bars.update(bar, completed=done),
        )
    served = _served(settings.agent, name)
    if served not in (None, proof.sha256):
        raise ProofError(f"the agent serves {served} as {name}, the ledger gives {proof.sha256}")
    if as_json:
        body = {"version": name, "recipes": proof.recipes, "digest": proof.digest}
        typer.echo(json.dumps(body | {"sha256": proof.sha256, "served": served}, indent=2))
        return
    typer.echo(f"{name}: {proof.recipes} recipes from {base.name}, every digest as promised")
    typer.echo(f"integers {proof.digest}")
    typer.echo(f"weights  {proof.sha256}")
    typer.echo(
        "the running agent serves exactly these bits" if served else "no running agent holds it"
    )


def _served(agent: AgentSettings, version: str) -> str | None:
    """Give the SHA-256 of a version's tensors in the running agent; None where it has none."""
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
            return find_version(session, version).recipe.version
    now = serving(streams, line)
    if now is None or now.previous is None:
        raise ProofError(f"the line {line} is at its base: there is nothing to rebuild")
    return now.version
