"""Keeps learning within its share of the machine, so that it does not slow replies.

Called between pieces of work. It compares the process's CPU time with what the share allows for the
time that has passed, and sleeps off what is owed. Idle time is not saved up: after an hour of
waiting a generation starts no faster than after a second.

Work of idle moments ends in a pause, too, once something is due that people wait for.

Knows nothing of what is being computed. How many threads compute is the entry point's to choose.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Work may run ahead of its share by this much before it is slowed: shorter sleeps cost more
# switches than they give back.
BURST_S = 0.05


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where time comes from, seconds; and how to let it pass.

    sleep: returns true when there is no reason to let more of it pass, as the process is to end
    """

    monotonic: Callable[[], float] = time.monotonic
    process: Callable[[], float] = time.process_time
    sleep: Callable[[float], bool | None] = time.sleep


class Pace:
    """Holds this process to CPU time ≤ share · cores · time."""

    def __init__(self, cpu_share: float, *, cores: int, clocks: Clocks | None = None) -> None:
        """Start counting now.

        cpu_share: 0 to 1, of `cores`
        """
        self._rate = cpu_share * cores
        self._clocks = clocks or Clocks()
        self._owed_s = 0.0  # CPU time used beyond the share
        self._wall, self._cpu = self._clocks.monotonic(), self._clocks.process()

    def __call__(self) -> None:
        """Sleep until this process is within its share again, or is to end."""
        self._count()
        while self._owed_s > BURST_S * self._rate:
            if self._clocks.sleep(self._owed_s / self._rate):
                return
            self._count()

    def _count(self) -> None:
        wall, cpu = self._clocks.monotonic(), self._clocks.process()
        self._owed_s += (cpu - self._cpu) - self._rate * (wall - self._wall)
        self._owed_s = max(0.0, self._owed_s)
        self._wall, self._cpu = wall, cpu


class Interrupted(Exception):  # noqa: N818 - no error: what was done in an idle moment can wait
    """Something is due that comes before what an idle moment was used for."""


class IdlePause:
    """A pause that ends work of an idle moment when something is due. Not shared by threads."""

    def __init__(self, pause: Callable[[], None]) -> None:
        """Pause as `pause` does, until it is used in an idle moment."""
        self._pause = pause
        self._is_due: Callable[[], bool] | None = None

    def __call__(self) -> None:
        """Pause. raises: Interrupted, within `until` only, when something is due."""
        self._pause()
        # what looks may pause itself, and is not interrupted
        is_due, self._is_due = self._is_due, None
        if is_due is None:
            return
        try:
            if is_due():
                raise Interrupted
        finally:
            self._is_due = is_due

    @contextmanager
    def until(self, is_due: Callable[[], bool]) -> Iterator[None]:
        """Let pauses within raise Interrupted, which goes no further, when something is due."""
        self._is_due = is_due
        try:
            yield
        except Interrupted:
            pass
        finally:
            self._is_due = None
