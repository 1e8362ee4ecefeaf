"""quickset versions diff: the same prompts answered by two versions, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import plain, printed
from deploy.commands.options import with_settings
from deploy.errors import DeployError
from deploy.operate.operator_api import call
from deploy.settings.load import InForce
from streams.line.line import is_number

# Short ones of a few kinds: a fact, a how-to, a wish, a task; what is learned is mostly manner.
PROMPTS = (
    "Why is the sky blue?",
    "How do I boil an egg?",
    "Write two sentences about the sea.",
    "Name three rivers in Europe.",
)
AT_ONCE = 8  # prompts of one request


@with_settings("console_port")
def diff(
    in_force: InForce,
    a: Annotated[str, typer.Argument(help="A number (0: the base), a name, stable, candidate …")],
    b: Annotated[str, typer.Argument(help="The other one, likewise.")] = "stable",
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", "-p", help="What to ask; may be given again.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A file with a prompt a line.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, max=256, help="Length of a reply, tokens.")
    ] = 96,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer prompts on two versions, without a word to anybody else; nothing is recorded.

    The running agent answers, greedily, while its other requests go before; a version that it does
    not hold is built beside what serves, and let go afterwards. Without prompts a few of our own
    are asked.
    """
    asked = [*(prompt or ()), *(_lines(file) if file else ())] or list(PROMPTS)
    told = _compared(in_force, _version(a), _version(b), asked, max_tokens)
    if as_json:
        typer.echo(printed(told))
        return
    console, same = Console(), 0
    for pair in told["answers"]:
        same += pair["a"]["text"] == pair["b"]["text"]
        table = Table(
            title=Text(plain(pair["prompt"]), style="bold"), title_justify="left", expand=True
        )
        for side in ("a", "b"):
            reply = pair[side]
            table.add_column(
                Text(plain(f"{told[side]}, {reply['tokens']} tokens, {reply['finish']}")), ratio=1
            )
        # Text, not markup: what models write is shown as it is
        table.add_row(*(Text(plain(pair[side]["text"].strip())) for side in ("a", "b")))
        console.print(table)
    console.print(f"{same} of {len(told['answers'])} answers are the same")


def _compared(
    in_force: InForce, a: int | str, b: int | str, prompts: Sequence[str], max_tokens: int
) -> dict[str, Any]:
    """Ask a piece at a time, every piece of the versions that answered the first.

    What is stable, a candidate or of a number may be another version a release later.
    """
    told: dict[str, Any] = {}
    for first in range(0, len(prompts), AT_ONCE):
        body = {"a": a, "b": b, "prompts": prompts[first : first + AT_ONCE]}
        part = call(
            in_force.settings.agent,
            "POST",
            "/api/versions/compare",
            body | {"max_tokens": max_tokens},
        )
        a, b = part["a"], part["b"]
        told = part | {"answers": [*told.get("answers", ()), *part["answers"]]}
    return told


def _version(text: str) -> int | str:
    return int(text) if is_number(text) else text


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except ValueError as cause:
        raise DeployError(f"{file} is no text in UTF-8: {cause}") from cause
    return [line.strip() for line in lines if line.strip()]
