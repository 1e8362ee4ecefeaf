"""One reading at a time, on a thread of its own, so that no page waits for what does not answer.

Knows nothing of what is read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from streams.clock import passed

Found = TypeVar("Found")

# A page asks again within a second. What nobody has asked for since may be long untrue, or hold the
# words of somebody who is forgotten.
KEEP_S: Final = 2.0


class Reading(Generic[Found]):
    """What hangs holds up one reading, and no second one is begun before it has ended."""

    def __init__(
        self,
        name: str,
        *,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = passed,
    ) -> None:
        """Name its thread.

        keep_s: how long what came too late is still an answer, in seconds; clock: seconds
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._keep_s, self._clock = keep_s, clock
        self._running: asyncio.Future[Found] | None = None
        self._ended_s = 0.0

    async def ask(self, read: Callable[[], Found], *, wait_s: float) -> Found | None:
        """Begin a reading and return what it found; None when it takes longer than wait_s.

        One that is under way is not waited for again: what it found is the next answer, unless it
        ended more than `keep_s` ago.
        """
        running = self._running
        if running is not None and running.done() and self._clock() - self._ended_s > self._keep_s:
            running.exception()  # looked at: else asyncio tells of a failure that nobody asked for
            running = None
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._thread, self._read, read)
        else:
            wait_s = 0.0
        self._running = running
        done, _ = await asyncio.wait([running], timeout=wait_s)
        if not done:
            return None
        self._running = None
        return running.result()

    def _read(self, read: Callable[[], Found]) -> Found:
        try:
            return read()
        finally:
            self._ended_s = self._clock()

    def close(self) -> None:
        """Begin no further reading."""
        self._thread.shutdown(wait=False, cancel_futures=True)
