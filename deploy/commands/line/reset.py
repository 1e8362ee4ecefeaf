"""quickset reset: the off switch; back to the base model, bit for bit, and proved to be."""

import sys
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer

from deploy.commands.line.cells import printed
from deploy.commands.options import with_settings
from deploy.commands.who import who
from deploy.errors import NotRunningError
from deploy.operate.history import existing_log
from deploy.operate.reset import append_reset, read_files, reset_agent
from deploy.settings.load import InForce
from streams.errors import ProofError

_NO_MORE = "nothing is learned until `quickset rollouts learn`; what people say is still kept"
_GOES_ON = "learning goes on, from the base"


@with_settings("home", "model", "console_port")
def reset(
    in_force: InForce,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the audit.")] = "operator's wish",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_learning: Annotated[
        bool, typer.Option("--keep-learning", help="Learn on, from the base.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take everything that was learned out of service: the base model serves, bit for bit.

    The running agent does it between two tokens, as the role admin may; where none runs, it is
    written to the log, and the next agent begins with it. Then the base is read anew from its
    files, and compared with what the agent has in memory. Versions stay in the ledger: `quickset
    versions promote` takes one back into service.
    """
    line = in_force.settings.agent.line
    if not yes:
        with redirect_stdout(sys.stderr):  # whole: `err=True` leaves a space in the JSON
            typer.confirm(f"Take all that the line {line} has learned out of service?", abort=True)
    told = _reset(in_force, reason, keep_learning=keep_learning)
    if as_json:
        typer.echo(printed(told))
    else:
        _tell(line, told)
    if told["served"] is not None and not told["equal"]:
        raise ProofError(
            f"the agent serves {told['served']}, the model's files are {told['files']}: was it "
            "started with another model? Name its model with --model, or start it again"
        )


def _reset(in_force: InForce, reason: str, *, keep_learning: bool) -> dict[str, Any]:
    settings = in_force.settings
    try:
        now, changed = reset_agent(settings.agent, reason=reason, keep_learning=keep_learning)
    except NotRunningError:
        with existing_log(settings.streams):
            pass  # refuses where no service has run, before the model is read
        files = read_files(settings.model)
        made = append_reset(
            settings.streams, settings.agent.line, files.version,
            who=who(), reason=reason, keep_learning=keep_learning,
        )  # fmt: skip
        changed, now = bool(made), {"version": files.version, "learning": keep_learning}
    else:
        files = read_files(settings.model)
    served = now.get("sha256")
    return {
        "version": now["version"],
        "changed": changed,
        "learning": now["learning"],
        "served": served,
        "files": files.sha256,
        "equal": served == files.sha256 and now["version"] == files.version,
    }


def _tell(line: str, told: dict[str, Any]) -> None:
    did = "serves" if told["changed"] else "served already, and serves"
    typer.echo(f"the base {told['version']} {did} the line {line}")
    typer.echo(
        f"in memory {told['served'] or '– no agent is running: it is in the log for the next'}"
    )
    typer.echo(f"in files  {told['files']}")
    if told["equal"]:
        typer.echo("every tensor is the same, bit for bit")
    typer.echo(_GOES_ON if told["learning"] else _NO_MORE)
