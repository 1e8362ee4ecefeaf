"""The command `quickset`: which commands there are, and how their failures are told.

A failure that we foresee is one clear sentence on stderr and exit code 2. A failure that we did not
foresee is a sentence too, with exit code 1, and so is an agent whose engine died: another start may
mend it. `quickset --trace COMMAND` shows the trace of any.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from agent.errors import AgentError, EngineStoppedError
from deploy.commands.agent import agent
from deploy.commands.config import config
from deploy.commands.demo import demo
from deploy.commands.forget import forget
from deploy.commands.keys import keys
from deploy.commands.learn import learn
from deploy.commands.learner import learner
from deploy.commands.line.lessons import lessons
from deploy.commands.line.reset import reset
from deploy.commands.line.rollouts import rollouts
from deploy.commands.line.safety import safety
from deploy.commands.line.versions import versions
from deploy.commands.mcp import mcp
from deploy.commands.prepare import prepare
from deploy.commands.replay import replay
from deploy.commands.streams import streams
from deploy.commands.turns import turns
from deploy.commands.up import up
from deploy.errors import DeployError
from deploy.up import process
from kernels.errors import KernelError
from learner.errors import LearnerError
from streams.errors import StreamsError

app = typer.Typer(
    name="quickset",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    trace: Annotated[bool, typer.Option("--trace", help="Show the trace of a failure.")] = False,
) -> None:
    """Serve an LLM agent, and keep training it on its own conversations while it serves."""


app.command()(up)
app.command()(agent)
app.command()(learner)
app.command()(learn)
app.add_typer(versions, name="versions")
app.add_typer(rollouts, name="rollouts")
app.add_typer(lessons, name="lessons")
app.add_typer(safety, name="safety")
app.command()(turns)
app.command()(replay)
app.command()(forget)
app.command()(mcp)
app.command()(reset)
app.command()(demo)
app.add_typer(streams, name="streams")
app.add_typer(keys, name="keys")
app.command()(config)
app.command()(prepare)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a failure becomes a sentence and an exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    process.prepare()
    try:
        app(arguments)
    except Exception as failure:
        if "--trace" in arguments:
            raise
        sentence, code = told(failure)
        print(sentence, file=sys.stderr)
        raise SystemExit(code) from None


def told(failure: Exception) -> tuple[str, int]:
    """Return a failure in a sentence, and the exit code: 2 when it was foreseen, else 1.

    A supervisor takes 2 for a word that no other start helps; what died while it served says 1.
    """
    if isinstance(failure, EngineStoppedError):
        return f"quickset: {failure}", 1
    if isinstance(failure, DeployError | AgentError | KernelError | LearnerError | StreamsError):
        return f"quickset: {failure}", 2
    if isinstance(failure, OSError) and failure.strerror:
        where = f"{failure.filename}: " if failure.filename else ""
        return f"quickset: {where}{failure.strerror}", 2
    name = type(failure).__name__
    return f"quickset failed unexpectedly ({name}: {failure}); --trace shows where", 1
