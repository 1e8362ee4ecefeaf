"""Child processes kept running together: their lines prefixed, their ends told, one signal for all.

- A child that ends is started again, waiting longer each time; one with a limit on restarts that
  will not stay up ends everything. A child that ends with 2 said itself that it cannot start; one
  that was ready before could, and has its restarts.
- Stopping goes in the order of the list: SIGTERM, the child's own grace, then SIGKILL. A second
  signal kills at once. A supervisor that is itself killed takes its children along: each watches
  its standard input (deploy.up.parent), which the kernel closes.

Knows nothing of what the children do.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.errors import ChildFailedError

HEALTHY_S = 60.0  # a child that ran this long begins anew with its count of restarts
LONGEST_WAIT_S = 60.0
LINE_BYTES = 2**20  # a longer line of a child is cut up, never a reason to stop reading
CANNOT_START = 2  # the exit code of every foreseen failure (deploy.cli)


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    grace_s: float  # between SIGTERM and SIGKILL
    restarts: int | None = None  # in a row before it counts as failed; None: for ever
    killed: str = "did not stop in time and was killed"  # what is said of it then


def backoff(failures: int) -> float:
    """Return the seconds to wait before the next start: 1, 2, 4 … 60.

    >>> [backoff(failures) for failures in (1, 2, 3, 10, 10_000)]
    [1.0, 2.0, 4.0, 60.0, 60.0]
    """
    return min(LONGEST_WAIT_S, 2.0 ** min(failures - 1, 6))  # 2**6 is over the longest already


class Supervisor:
    """Runs children until a signal, or until one of them has failed for good."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Callable[[str, str], None],
        wait_s: Callable[[int], float] = backoff,
    ) -> None:
        """children: in the order in which they are stopped; say: writes (child's name, line)."""
        self._children = children
        self._write = say
        self._wait_s = wait_s
        self._running: dict[str, Process] = {}
        self._ready: set[str] = set()  # names of children that were ready once
        self._unheard: list[asyncio.Task[None]] = []  # read what children write whom nobody keeps
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, meanwhile: Awaitable[None]) -> None:
        """Keep the children running until `stop`.

        meanwhile: runs beside them, and is cancelled at the end

        raises: ChildFailedError when a child will not stay up; the others are then stopped
        """
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        side = asyncio.ensure_future(meanwhile)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*keepers, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await _cancelled(side, stopping)
            for child in self._children:
                await self._stop(child)
            ends = await asyncio.gather(*keepers, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def stop(self) -> None:
        """Ask for the end; a second time: at once."""
        (self._hurry if self._stopping.is_set() else self._stopping).set()

    def note_ready(self, name: str) -> None:
        """Note that a child does its work: whatever ends it from now on, it is started again."""
        self._ready.add(name)

    def say(self, name: str, line: str) -> None:
        """Tell a line; one that cannot be written is lost.

        A full disk under the output, or a reader that went, is no reason to serve nobody.
        """
        with contextlib.suppress(OSError, ValueError):  # ValueError: the output is closed
            self._write(name, line)

    async def _keep(self, child: Child) -> None:
        now = asyncio.get_running_loop().time
        failures = 0
        while not self._stopping.is_set():
            started = now()
            code = await self._once(child)
            if self._stopping.is_set():
                return
            failures = failures + 1 if now() - started < HEALTHY_S else 1
            if child.restarts is not None:
                if code == CANNOT_START and child.name not in self._ready:
                    raise ChildFailedError(f"the {child.name} cannot start: it {_ended(code)}")
                if failures > child.restarts:
                    raise ChildFailedError(f"the {child.name} {_ended(code)} and does not stay up")
            wait_s = self._wait_s(failures)
            self.say(child.name, f"{_ended(code)}; it starts again in {wait_s:.0f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _once(self, child: Child) -> int:
        process = await asyncio.create_subprocess_exec(
            *child.argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            limit=LINE_BYTES,
            start_new_session=True,  # so that the terminal's Ctrl-C reaches the supervisor only
        )
        self._running[child.name] = process
        if self._stopping.is_set():  # it began while the others were being stopped
            _signal(process, signal.SIGKILL)
        try:
            await self._tell_lines(child, process)
        except BaseException:  # it still runs: `_stop` gives it its grace, in which it may write
            self._unheard.append(asyncio.create_task(_pass_over(process)))
            raise
        code = await process.wait()
        del self._running[child.name]
        return code

    async def _tell_lines(self, child: Child, process: Process) -> None:
        assert process.stdout is not None  # asked for above
        rest = b""
        while block := await process.stdout.read(2**16):
            *lines, rest = (rest + block).split(b"\n")
            if len(rest) > LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self.say(child.name, line.decode(errors="replace").rstrip())
        if rest:
            self.say(child.name, rest.decode(errors="replace").rstrip())

    async def _stop(self, child: Child) -> None:
        process = self._running.get(child.name)
        if process is None:
            return
        _signal(process, signal.SIGTERM)
        ended = asyncio.create_task(process.wait())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait(
            [ended, hurry], timeout=child.grace_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not ended.done():
            self.say(child.name, child.killed)
            _signal(process, signal.SIGKILL)
            await ended
        await _cancelled(hurry)


def _signal(process: Process, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
        os.killpg(process.pid, which)


async def _pass_over(process: Process) -> None:
    """Read what a child writes, and tell nobody: it could not end with its pipe full."""
    assert process.stdout is not None  # asked for where it began
    while await process.stdout.read(2**16):
        pass


async def _cancelled(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
