"""Runs the demo: lets the user teach, measures now and then, tells and draws what came of it.

What is shown is what was measured, whatever it is. Test prompts are asked greedily and with
learning off, of both services; the one that does not learn is asked once, since it cannot change.
"""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console
from rich.table import Table

from deploy.demo.services import Services, services
from deploy.demo.user import Prompts, Reply, User, load_prompts
from deploy.history import store_session
from deploy.history import versions as read_versions
from deploy.model import ensure
from deploy.settings import InForce
from streams.settings import StreamsSettings

# What the demo sets differently from an ordinary service, and why (EXPERIMENTS, "Demo"):
LEARNER: Final = {
    "cpu_share": "0.9",  # nobody else wants this machine meanwhile
    "max_reply_tokens": "64",  # as long as the replies are
    "linger_s": "2",
}
# Conversations held at once: they are decoded in one batch.
_AT_ONCE: Final = 4
# Versions between two measurements; each takes a quarter of a minute.
_MEASURE_EVERY: Final = 4
_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Point:
    """How a version answers the test prompts."""

    number: int  # versions since the base
    version: str
    minutes: float  # since the service came up
    pleased: float  # share of replies that the user likes
    words: float  # mean length


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo measured."""

    learning: list[Point]
    frozen: Point
    conversations: int
    corrections: int
    versions: int
    held: list[str]  # reasons of generations that were not released


def run(
    in_force: InForce,
    *,
    minutes: float,
    picture: Path | None = None,
    figures: Path | None = None,
) -> Result:
    """Run the demo for some minutes; print the result, and draw or write it where asked.

    picture: a PNG; figures: the same as JSON
    raises: DemoError
    """
    if picture is not None:
        from deploy.demo.picture import draw  # before the minutes, for it may be missing
    ensure(in_force)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="quickset-demo-") as folder:
        result = asyncio.run(_hold(Path(folder), in_force, minutes, console))
    _tell(result, console)
    if figures is not None:
        figures.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        draw(result, picture)
        console.print(f"drawn in {picture}")
    return result


async def _hold(home: Path, in_force: InForce, minutes: float, console: Console) -> Result:
    prompts = load_prompts()
    with _stage(console, "starting a service that learns, and one that does not"):
        running = services(home, arguments=in_force.arguments, learner=LEARNER)
        found = await running.__aenter__()
    try:
        async with aiohttp.ClientSession() as client:
            lesson = Lessons(found, prompts, client, console)
            return await lesson.hold(minutes)
    finally:
        await running.__aexit__(None, None, None)
