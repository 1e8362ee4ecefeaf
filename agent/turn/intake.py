"""Whether requests are taken: at a start, while an agent serves, and at its stop.

Invariant: a request that was taken is let end within the grace of a stop.

Knows no engine, no log and no API; of these it is told what matters here.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from agent.errors import UnavailableError
from agent.watch.events import Events

BEGIN_S: Final = 2.0  # how long a request waits at a start for what is decided to serve
_POLL_S: Final = 0.01


class Intake:
    """Takes requests, counts them, and lets them end. Of one event loop."""

    def __init__(
        self,
        *,
        alive: Callable[[], bool],
        behind: Callable[[], bool],
        drain_s: float,
        events: Events,
    ) -> None:
        """Take requests from now on.

        alive: whether tokens can come
        behind: whether what is decided to serve is only just being read
        drain_s: what running requests have at a stop, seconds
        """
        self.draining = False
        self._alive, self._behind = alive, behind
        self._drain_s, self._events = drain_s, events
        self._noted_failure = False
        self._taken, self._none_taken = 0, asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether tokens can come; once started, only a restart of the process brings it back."""
        alive = self._alive()
        if not alive and not self._noted_failure and not self.draining:
            self._noted_failure = True
            self._events.add("engine-failed", "the engine has stopped: restart this process")
        return alive

    async def begun(self) -> None:
        """Wait until what is decided serves, if it is only just being read from the log.

        raises: UnavailableError where that takes longer; while the log is away nothing is waited
            for: what serves then serves on
        """
        ends_s = time.monotonic() + BEGIN_S
        while self._behind() and not self.draining:
            if time.monotonic() >= ends_s:
                raise UnavailableError(
                    "this server is starting: the ledger is still being read: ask again",
                    headers={"Retry-After": str(int(BEGIN_S))},
                )
            await asyncio.sleep(_POLL_S)

    def prove_open(self) -> None:
        """Prove that a request can be taken now. Raises: UnavailableError."""
        if self.draining:
            raise UnavailableError(
                "this server is stopping: ask another replica, or again in a while",
                headers={"Retry-After": str(max(1, int(self._drain_s)))},
            )
        if not self.alive:
            raise UnavailableError("the engine has stopped: this process needs a restart")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take a request. Raises: UnavailableError."""
        self.prove_open()
        self._taken += 1
        self._none_taken.clear()
        try:
            yield
        finally:
            self._taken -= 1
            if not self._taken:
                self._none_taken.set()

    async def end(self) -> float:
        """Take no more, and wait for those that were taken, not for longer than the grace.

        returns: what is left of the grace, seconds
        """
        if not self.draining:
            self.draining = True
            self._events.add("draining", f"running replies have {self._drain_s:g} s")
        if not self._taken:
            return self._drain_s
        began_s = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self._none_taken.wait()
        return max(0.0, self._drain_s - (time.monotonic() - began_s))
