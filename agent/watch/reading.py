"""One reading at a time, on a thread of its own, so that no page waits for what does not answer.

Knows nothing of what is read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Reading(Generic[Found]):
    """What hangs holds up one reading, and no second one is begun before it has ended."""

    def __init__(self, name: str) -> None:
        """Name its thread."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: asyncio.Future[Found] | None = None

    async def ask(self, read: Callable[[], Found], *, wait_s: float) -> Found | None:
        """Begin a reading and return what it found; None when it takes longer than wait_s.

        One that is under way is not waited for again: what it found is the next answer.
        """
        running = self._running
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._thread, read)
        else:
            wait_s = 0.0
        self._running = running
        done, _ = await asyncio.wait([running], timeout=wait_s)
        if not done:
            return None
        self._running = None
        return running.result()

    def close(self) -> None:
        """Begin no further reading."""
        self._thread.shutdown(wait=False, cancel_futures=True)
