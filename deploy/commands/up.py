"""quickset up: agent, learner and pages together on this machine."""

import asyncio
import signal
import sys
from datetime import timedelta

import typer

from deploy.commands.line.cells import plain
from deploy.commands.options import with_settings
from deploy.errors import SettingsError
from deploy.settings.load import InForce
from deploy.up.home import require_home, require_named_files, require_secret
from deploy.up.model import ensure
from deploy.up.ports import claim, url
from deploy.up.ready import until_ready
from deploy.up.supervisor import Child, Supervisor

LEARNER_GRACE_S = 10.0  # it gives up a step between two pieces, which a loaded machine makes long
LEARNER_KILLED = "was ended in the middle of a step, which is repeated at the next start"
AGENT_MARGIN_S = 10.0  # beyond its own drain: connections, then the spool, then files
AGENT_RESTARTS = 3


@with_settings("home", "model", "port", "console_port")
def up(in_force: InForce) -> None:
    """Start agent, learner and pages; Ctrl-C stops them all.

    The first start converts the bundled model and compiles: a minute or two; later ones: seconds.
    """
    settings = in_force.settings
    if settings.agent.line != settings.learner.line:
        raise SettingsError(
            f"agent.line is {settings.agent.line!r} but learner.line is {settings.learner.line!r}: "
            "together they need the same line"
        )
    agent = claim(settings.agent)
    require_home(settings.streams)
    require_secret(settings)
    require_named_files(settings, learns=True)
    ensure(in_force)
    ports = ("--port", str(agent.port), "--console-port", str(agent.console_port))
    children = (
        _child("learner", in_force, grace_s=LEARNER_GRACE_S),
        _child("agent", in_force, *ports, grace_s=agent.drain_s + AGENT_MARGIN_S),
    )
    asyncio.run(
        _run(children, url(agent.host, agent.port), url(agent.console_host, agent.console_port))
    )


def _child(name: str, in_force: InForce, *extra: str, grace_s: float) -> Child:
    command = (sys.executable, "-m", "deploy", name, "--with-parent")
    argv = (*command, *in_force.arguments, *extra)
    if name == "agent":
        return Child(name, argv, grace_s, restarts=AGENT_RESTARTS)
    return Child(name, argv, grace_s, killed=LEARNER_KILLED)


async def _run(children: tuple[Child, ...], agent: str, console: str) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    supervisor = Supervisor(children, say=_say)
    supervisor.say("quickset", "starting; the first time on a machine this takes a minute or two")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)

    async def announce() -> None:
        await until_ready(agent)
        supervisor.note_ready("agent")
        took = timedelta(seconds=round(loop.time() - started))
        supervisor.say("quickset", f"ready after {took.seconds} s; Ctrl-C stops all")
        supervisor.say("quickset", f"chat     {agent}/")
        supervisor.say("quickset", f"API      {agent}/v1")
        supervisor.say("quickset", f"console  {console}/")

    await supervisor.run(announce())
    supervisor.say("quickset", "stopped")


def _say(name: str, line: str) -> None:
    colour = {"agent": typer.colors.CYAN, "learner": typer.colors.GREEN}.get(name)
    prefix = typer.style(f"{name:>8} │", fg=colour, bold=colour is None)
    typer.echo(f"{prefix} {plain(line)}", color=sys.stdout.isatty())
