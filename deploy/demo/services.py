"""The demo's two services: one that learns, and the same model that does not. Both end with it.

They run as an operator would run them, as processes of the command line, on free loopback ports,
each in a folder of its own that is thrown away. Of what the caller's settings name, nothing but the
model is touched: no log, store, snapshots or secret of theirs, and no tool, webhook or collector is
told anything; their keys, limits and rollout policy need more people than the demo has, and do not
hold.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from agent.settings import AgentSettings
from deploy.errors import DemoError
from deploy.up.ports import claim, url
from deploy.up.ready import until_ready
from deploy.up.supervisor import Child, Supervisor
from learner.settings import LearnerSettings

# Loading the model takes seconds; on a machine that is busy otherwise, a minute.
_READY_S: Final = 180.0
_GRACE_S: Final = 10.0
_RESTARTS: Final = 2
# Of what the services said, as much as helps when they fail.
_LAST_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two services answer (up to /v1), and the folder of the one that learns."""

    learning: str
    frozen: str
    home: Path


@asynccontextmanager
async def services(
    home: Path, *, arguments: Sequence[str], learner: Mapping[str, str]
) -> AsyncIterator[Services]:
    """Run both services meanwhile.

    home: an empty folder; arguments: the caller's flags; learner: settings of the one that learns,
        weaker than those flags
    raises: DemoError, with the last that they said, when they do not come up or do not stay up
    """
    learning, frozen = home / "learning", home / "frozen"
    settings = [claim(AgentSettings(port=0, console_port=0)) for _ in range(2)]
    lines: list[str] = []
    children = (
        _child("learner", learning, [*_flags(learner), *arguments], _places(settings[0])),
        _child("agent", learning, [*_flags(learner), *arguments], _places(settings[0])),
        _child("agent", frozen, arguments, _places(settings[1]), name="frozen agent"),
    )
    supervisor = Supervisor(children, say=lambda name, line: lines.append(f"{name}: {line}"))
    running = asyncio.create_task(supervisor.run(_for_ever()))
    addresses = [url(each.host, each.port) for each in settings]
    try:
        await _first(running, asyncio.gather(*map(until_ready, addresses)), lines)
        yield Services(f"{addresses[0]}/v1", f"{addresses[1]}/v1", learning)
    finally:
        supervisor.stop()
        with contextlib.suppress(Exception):  # what went wrong was told by _first
            await running
        (home / "services.log").write_text("\n".join(lines), encoding="utf-8")


async def _first(
    running: "asyncio.Task[None]", ready: "asyncio.Future[list[None]]", lines: Sequence[str]
) -> None:
    await asyncio.wait((running, ready), timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        said = "\n".join(lines[-_LAST_LINES:])
        raise DemoError(f"the demo's services do not come up; the last that they said:\n{said}")


def _child(
    command: str,
    home: Path,
    arguments: Sequence[str],
    settings: Mapping[str, str],
    *,
    name: str | None = None,
) -> Child:
    own = {
        "streams.home": str(home),
        "streams.log": "sqlite",
        "streams.store": f"sqlite:///{quote(str(home / 'store.db'))}",
        "streams.snapshots": "null",  # in home
        "agent.keys": "{}",
        "agent.operator_keys": "{}",
        "agent.requests_per_minute": "0",  # of a key, and there is none
        "agent.response_secret": "null",
        "agent.tools": "{}",
        "agent.line": "main",
        "learner.line": "main",
        "learner.judge_key_file": "null",
        "learner.judge_model": LearnerSettings().judge_model,
        "rollout.policy": "direct",  # nobody is there to approve
        "rollout.webhook": "null",
        "otel.endpoint": "null",
        **settings,
    }
    argv = (sys.executable, "-m", "deploy", command, "--with-parent", *arguments, *_flags(own))
    return Child(name or command, argv, _GRACE_S, _RESTARTS)


def _flags(settings: Mapping[str, str]) -> list[str]:
    return [flag for name, value in settings.items() for flag in ("--set", f"{name}={value}")]


def _places(settings: AgentSettings) -> dict[str, str]:
    """Where an agent and its console answer, which a model that judges asks, too."""
    return {
        "agent.host": settings.host,
        "agent.console_host": settings.console_host,
        "agent.port": str(settings.port),
        "agent.console_port": str(settings.console_port),
        "learner.judge_url": f"{url(settings.host, settings.port)}/v1",
    }


async def _for_ever() -> None:
    await asyncio.Event().wait()
