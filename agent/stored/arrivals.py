"""Lets a question wait for a reply that is on its way here.

A replica records a reply after its last byte, and a client in a tool loop goes on within
milliseconds, perhaps at another replica. So whoever asks for what the log does not hold yet waits a
little, without a thread. One that was not to be stored, or is older than what is kept, never comes:
a reply is waited for in vain once, and not by many at a time.

Knows nothing of the log.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_WAITING: Final = 256  # whoever comes then is told at once what is known
REMEMBERED: Final = 1000  # replies that nobody waits for


class Arrivals:
    """Who waits for which reply. `come` and `never_comes` may be called by any thread."""

    def __init__(self, wait_s: float) -> None:
        """Begin with nobody waiting. wait_s: how long one waits."""
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._expected: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._never: OrderedDict[str, None] = OrderedDict()
        self._num_waiting = 0

    @property
    def waiting(self) -> bool:
        """Whether anybody waits."""
        return self._num_waiting > 0

    @contextmanager
    def expected(self, turn_id: str) -> Iterator[asyncio.Event]:
        """Note whether a reply comes from now on. Gives: what is set then."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._expected.setdefault(turn_id, []).append(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._expected[turn_id].remove(waiter)
                if not self._expected[turn_id]:
                    del self._expected[turn_id]

    async def wait(self, turn_id: str, came: asyncio.Event) -> bool:
        """Wait for a reply that is expected. Returns: whether to look for it again."""
        if came.is_set():
            return True
        if turn_id in self._never or self._num_waiting >= MOST_WAITING:
            return False
        self._num_waiting += 1
        try:
            await asyncio.wait_for(came.wait(), self._wait_s)
        except TimeoutError:
            self.never_comes(turn_id)
        finally:
            self._num_waiting -= 1
        return True

    def come(self, turn_id: str) -> None:
        """Let go on who waits for a reply that can be found now."""
        with self._lock:
            for loop, came in self._expected.get(turn_id, ()):
                loop.call_soon_threadsafe(came.set)

    def never_comes(self, turn_id: str) -> None:
        """Let nobody wait for a reply any more: it is not stored."""
        with self._lock:
            self._never[turn_id] = None
            self._never.move_to_end(turn_id)
            while len(self._never) > REMEMBERED:
                self._never.popitem(last=False)
        self.come(turn_id)
