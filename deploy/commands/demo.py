"""quickset demo: a scripted user teaches a running service; the result is printed and drawn."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Annotated

import aiohttp
import typer

from deploy.commands.options import with_settings
from deploy.demo.course import REQUEST_S, Course, Measure, Result
from deploy.demo.picture import draw
from deploy.demo.services import serve_both
from deploy.model import ensure
from deploy.settings import InForce

# The demo has the machine to itself, and its user repeats one wish: see EXPERIMENTS.
DEMO_SETTINGS = ("learner.cpu_share=1.0", "learner.linger_s=5")

HEAD = "minute  generations  released  version   reply tokens  frozen  pleased  frozen  lessons"


@with_settings("model")
def demo(
    in_force: InForce,
    minutes: Annotated[float, typer.Option(min=0, help="How long to teach.")] = 17.0,
    lessons: Annotated[int, typer.Option(min=1, help="Questions between measurements.")] = 6,
    picture: Annotated[Path, typer.Option(help="Where to draw the result (PNG).")] = Path(
        "docs/demo.png"
    ),
    folder: Annotated[
        Path | None, typer.Option(help="Keep logs and stores here; none: a temporary folder.")
    ] = None,
) -> None:
    """Teach a running service to answer briefly, beside one that does not learn.

    Prints, for unseen prompts, how long replies are and how many of them please, over versions.
    """
    ensure(in_force)
    arguments = [part for text in DEMO_SETTINGS for part in ("--set", text)]
    arguments += in_force.arguments  # what was asked for is stronger than the demo's own
    with tempfile.TemporaryDirectory(prefix="quickset-demo-") as temporary:
        home = folder or Path(temporary)
        result = asyncio.run(_teach(home, arguments, minutes=minutes, lessons=lessons))
        (home / "result.json").write_text(json.dumps(result.as_json(), indent=1))
    draw(result, picture)
    typer.echo(
        f"frozen, with the wish in every prompt: {result.hinted_tokens:.1f} tokens, "
        f"{result.hinted_pleased:.0%} please; picture: {picture}"
    )


async def _teach(folder: Path, arguments: list[str], *, minutes: float, lessons: int) -> Result:
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    typer.echo("starting a service that learns, and one that does not …")
    async with (
        serve_both(folder, arguments) as services,
        aiohttp.ClientSession(timeout=timeout) as client,
    ):
        typer.echo(HEAD)
        course = Course(client, services, lessons_a_round=lessons, told=_tell)
        return await course.run(minutes=minutes)


def _tell(measure: Measure) -> None:
    lessons = "–" if measure.taught_pleased is None else f"{measure.taught_pleased:.0%}"
    typer.echo(
        f"{measure.minutes:6.1f}  {measure.generations:11d}  {measure.released:8d}  "
        f"{measure.version[:8]}  {measure.tokens:12.1f}  {measure.frozen_tokens:6.1f}  "
        f"{measure.pleased:7.0%}  {measure.frozen_pleased:6.0%}  {lessons:>7}"
    )
