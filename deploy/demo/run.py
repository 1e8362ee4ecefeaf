"""Runs the demo: starts both services, lets the user teach, tells and draws what came of it.

What is shown is what was measured, whatever it is.
"""

import asyncio
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console
from rich.table import Table

from deploy.demo.beside import watched
from deploy.demo.lessons import Lessons, Teacher
from deploy.demo.past import Past
from deploy.demo.picture import draw, prove_drawable, refusals, tasks, text
from deploy.demo.services import Services, prove_fresh, with_services
from deploy.demo.user import MOST_WORDS, load_prompts
from deploy.settings.load import InForce
from deploy.up.model import ensure

# What the service that learns is told, whatever the caller's file says (EXPERIMENTS, "Demo"). Flags
# of the command line are stronger.
LEARNER: Final = {
    "agent.notes": "off",  # what the weights learn is shown, not what a prompt says
    "learner.cpu_share": "0.9",  # nobody else wants this machine meanwhile
    "learner.max_reply_tokens": "64",  # as long as the replies are
    "learner.linger_s": "2",
    # One user is all there is, and nobody gives an order.
    "learner.mode": "auto",
    "learner.quorum": "0",
    "learner.principal_cap": "0",
}


def run(
    in_force: InForce,
    *,
    minutes: float,
    picture: Path | None = None,
    figures: Path | None = None,
    folder: Path | None = None,
) -> Lessons:
    """Teach for some minutes, print what was measured, and draw or write it where asked.

    picture: a PNG to draw; figures: a JSON file to write; folder: where logs and stores are kept,
        by default nowhere; of no run before
    raises: DemoError when a service does not run, or the picture cannot be drawn; OutputError when
        the folder has been used, or cannot be written
    """
    if picture is not None:
        prove_drawable()
    if folder is not None:
        prove_fresh(folder)
    ensure(in_force)
    console = Console(markup=False, emoji=False)  # paths and reasons stay what they are
    with tempfile.TemporaryDirectory(prefix="quickset-demo-") as temporary:
        home = (folder or Path(temporary)).resolve()
        lessons = asyncio.run(_teach(home, in_force, minutes, console))
        console.print("measuring what else the versions have become")
        taught = [point.version for point in lessons.learning]
        lessons.watched = watched(home / "learning", in_force.settings.model, taught)
    console.print(_table(lessons))
    console.print(
        f"{lessons.conversations} conversations, {lessons.corrections} of them corrected; "
        f"{len(lessons.held)} generations held by the gate"
    )
    for reason in sorted(set(lessons.held)):
        console.print(f"  held: {reason}")
    if figures is not None:
        figures.write_text(json.dumps(asdict(lessons), indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        draw(lessons, picture)
        console.print(f"drawn: {picture}")
    return lessons


async def _teach(home: Path, in_force: InForce, minutes: float, console: Console) -> Lessons:
    async def use(both: Services) -> Lessons:
        console.print(
            f"the user likes finished answers of at most {MOST_WORDS} words, and teaches for "
            f"{minutes:g} minutes"
        )
        async with aiohttp.ClientSession() as client:
            teacher = Teacher(client, both, load_prompts(), Past(both.home), say=console.print)
            return await teacher.teach(minutes)

    console.print("starting a service that learns, and one that does not")
    return await with_services(home, use, arguments=in_force.arguments, learner=LEARNER)


def _table(lessons: Lessons) -> Table:
    table = Table(
        "minute", "version", "please", "mean words", "text, nats", "tasks", "refusals, nats",
        box=None,
    )  # fmt: skip
    for point in lessons.learning:
        also = lessons.watched.get(point.version)
        rest = (f"{text(also):.3f}", f"{tasks(also):.0%}", f"{refusals(also):+.2f}") if also else ()
        table.add_row(
            f"{point.minutes:.1f}", str(point.number), f"{point.pleased:.0%}",
            f"{point.words:.1f}", *rest,
        )  # fmt: skip
    for kind, points in (("does not learn", lessons.frozen), ("… told each time", lessons.told)):
        point = points[-1]
        table.add_row("", kind, f"{point.pleased:.0%}", f"{point.words:.1f}", style="dim")
    return table
