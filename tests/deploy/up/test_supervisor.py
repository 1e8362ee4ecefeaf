"""The supervisor, with small real processes as children."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import EngineStoppedError
from deploy.cli import told
from deploy.commands.up import LEARNER_KILLED
from deploy.errors import ChildFailedError
from deploy.up.supervisor import Child, Supervisor, backoff

POLITE = """
import signal, sys, threading
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: asked.set())
print("up", flush=True)
asked.wait()
print("down", flush=True)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


class Ear:
    """Hears what the supervisor says, and lets a test wait for a line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._changed.set()

    async def until(self, wanted: Callable[[list[tuple[str, str]]], bool]) -> None:
        """Wait until what was heard satisfies a test."""
        while not wanted(self.lines):
            self._changed.clear()
            await self._changed.wait()


def child(name: str, code: str, *, grace_s: float = 20.0, restarts: int | None = None) -> Child:
    """Make a child that runs a piece of Python."""
    return Child(name, (sys.executable, "-c", code), grace_s, restarts)


async def forever() -> None:
    """Do nothing beside the children."""
    await asyncio.Event().wait()


def at_once(_: int) -> float:
    """Wait for nothing before a restart."""
    return 0.0


async def test_stops_children_in_order() -> None:
    """Each child has ended before the next one is asked to stop."""
    ear = Ear()
    supervisor = Supervisor([child("first", POLITE), child("second", POLITE)], say=ear)
    running = asyncio.create_task(supervisor.run(forever()))
    await ear.until(lambda lines: {("first", "up"), ("second", "up")} <= set(lines))
    supervisor.stop()
    await running
    assert ear.lines[2:] == [("first", "down"), ("second", "down")]


async def test_restarts_a_child_that_ends_and_says_so() -> None:
    """A child that dies is started again, and its end is told with the exit code."""
    ear = Ear()
    supervisor = Supervisor(
        [child("learner", "print('up', flush=True); exit(7)")], say=ear, wait_s=at_once
    )
    running = asyncio.create_task(supervisor.run(forever()))
    await ear.until(lambda lines: lines.count(("learner", "up")) >= 3)
    supervisor.stop()
    await running
    assert ("learner", "ended with exit code 7; it starts again in 0 s") in ear.lines


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), ValueError("closed")])
async def test_lines_that_cannot_be_written_stop_nothing(fault: Exception) -> None:
    """A full disk under the output, a reader that went: the lines are lost, children run on."""
    ear, broken = Ear(), 2

    def say(name: str, line: str) -> None:
        nonlocal broken
        broken -= 1
        if broken >= 0:
            raise fault
        ear(name, line)

    code = "print('up', flush=True); exit(7)"
    supervisor = Supervisor([child("learner", code)], say=say, wait_s=at_once)
    running = asyncio.create_task(supervisor.run(forever()))
    heard = asyncio.create_task(ear.until(lambda lines: ("learner", "up") in lines))
    await asyncio.wait([running, heard], return_when=asyncio.FIRST_COMPLETED)
    assert not running.done()
    supervisor.stop()
    await running


async def test_gives_up_a_child_that_does_not_stay_up() -> None:
    """A child over its limit of restarts ends everything, and the others are stopped."""
    ear = Ear()
    children = [child("learner", POLITE), child("agent", "exit(1)", restarts=2)]
    with pytest.raises(ChildFailedError, match="the agent ended with exit code 1"):
        await Supervisor(children, say=ear, wait_s=at_once).run(forever())
    told = [line for name, line in ear.lines if name == "agent"]
    assert len(told) == 2


async def test_child_that_says_it_cannot_start_is_not_tried_again() -> None:
    """Exit code 2 of a child with a limit means a foreseen failure: no restart mends it."""
    ear = Ear()
    with pytest.raises(ChildFailedError, match="cannot start: it ended with exit code 2"):
        await Supervisor([child("agent", "exit(2)", restarts=3)], say=ear).run(forever())
    assert ear.lines == []


async def test_an_agent_whose_engine_died_has_its_restarts() -> None:
    """What it says at its end is no word that it cannot start, so it is started again."""
    _, code = told(EngineStoppedError("the engine has stopped: the log has the reason"))
    ear = Ear()
    agent = child("agent", f"exit({code})", restarts=3)
    with pytest.raises(ChildFailedError, match="does not stay up"):
        await Supervisor([agent], say=ear, wait_s=at_once).run(forever())
    assert len(ear.lines) == 3


async def test_a_child_that_was_ready_has_its_restarts_whatever_it_says() -> None:
    """A foreseen failure while it served, such as a full disk, may be over at the next start."""
    ear = Ear()
    supervisor = Supervisor([child("agent", "exit(2)", restarts=3)], say=ear, wait_s=at_once)
    supervisor.note_ready("agent")
    with pytest.raises(ChildFailedError, match="does not stay up"):
        await supervisor.run(forever())
    assert len(ear.lines) == 3


async def test_kills_a_child_that_outlasts_its_grace() -> None:
    """A child deaf to SIGTERM is killed when its grace is over."""
    ear = Ear()
    supervisor = Supervisor([child("agent", DEAF, grace_s=0.1)], say=ear)
    running = asyncio.create_task(supervisor.run(forever()))
    await ear.until(lambda lines: ("agent", "up") in lines)
    supervisor.stop()
    await running
    assert ear.lines[-1] == ("agent", "did not stop in time and was killed")


async def test_whoever_loses_nothing_by_being_killed_says_so() -> None:
    """A learner is somewhere in a step, and repeats it."""
    ear = Ear()
    learner = Child("learner", (sys.executable, "-c", DEAF), 0.1, killed=LEARNER_KILLED)
    supervisor = Supervisor([learner], say=ear)
    running = asyncio.create_task(supervisor.run(forever()))
    await ear.until(lambda lines: ("learner", "up") in lines)
    supervisor.stop()
    await running
    assert ear.lines[-1] == ("learner", LEARNER_KILLED)
    assert "repeated at the next start" in LEARNER_KILLED


async def test_second_stop_does_not_wait() -> None:
    """Asked twice, the supervisor kills what still runs at once."""
    ear = Ear()
    supervisor = Supervisor([child("agent", DEAF, grace_s=3600.0)], say=ear)
    running = asyncio.create_task(supervisor.run(forever()))
    await ear.until(lambda lines: ("agent", "up") in lines)
    supervisor.stop()
    supervisor.stop()
    await running
    assert ear.lines[-1] == ("agent", "did not stop in time and was killed")


async def test_children_notice_the_death_of_the_supervisor() -> None:
    """A child whose standard input closes stops itself, as after kill -9 of its supervisor."""
    code = (
        "from deploy.up.parent import stop_with_parent; stop_with_parent()\n"
        "import signal, time; print('up', flush=True); signal.pause()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.stdin.close()
    assert await process.wait() == -15


async def test_long_and_unfinished_lines_pass_whole() -> None:
    """A line longer than a pipe's buffer and a last line without its end are both told."""
    ear = Ear()
    code = "import sys; sys.stdout.write('x' * 300000 + '\\n' + 'end'); sys.stdout.flush(); exit(2)"
    with pytest.raises(ChildFailedError):
        await Supervisor([child("agent", code, restarts=0)], say=ear).run(forever())
    assert [len(line) for _, line in ear.lines] == [300000, 3]


async def test_a_child_whose_lines_cannot_be_told_has_its_grace(tmp_path: Path) -> None:
    """Whatever ended its keeper, a child is asked to end, and may write more than a pipe holds."""
    mark = tmp_path / "ended"
    told = f"print('x' * 2**23, flush=True); open({str(mark)!r}, 'w').close()"

    def say(_: str, line: str) -> None:
        raise RuntimeError(f"nobody takes {line!r}")

    supervisor = Supervisor([child("agent", POLITE + told)], say=say)
    with pytest.raises(RuntimeError, match="nobody takes 'up'"):
        await supervisor.run(forever())
    assert mark.exists()


def test_a_child_that_fails_for_a_day_waits_as_long_as_ever() -> None:
    """The wait grows no more, however many failures there were."""
    assert {backoff(failures) for failures in range(7, 5000)} == {60.0}
