"""Requests that wait for a place: those that people wait for, in order, and the unseen ones.

Knows nothing of slots or models. Its caller holds the lock.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from agent.engine.contract import Request, Stream
from agent.errors import QueueFullError

# Unseen replies that may wait; what comes beyond isn't made, and costs nothing.
MAX_UNSEEN: Final = 4


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits for its place. passed: how often another that came later got one"""

    request: Request
    stream: Stream
    passed: int = 0


class Waiting:
    """Two queues."""

    def __init__(self, *, most: int) -> None:
        """Begin empty. most: requests of people that may wait."""
        self.seen: deque[Waiter] = deque()
        self.unseen: deque[Waiter] = deque()
        self._most = most

    def __bool__(self) -> bool:
        """Whether anybody or anything waits."""
        return bool(self.seen or self.unseen)

    def add(self, request: Request, stream: Stream) -> None:
        """Let a request wait. Raises: QueueFullError."""
        queue, most = (self.unseen, MAX_UNSEEN) if request.unseen else (self.seen, self._most)
        if len(queue) >= most and not request.follows:
            raise QueueFullError(f"{len(queue)} requests wait already")
        queue.append(Waiter(request, stream))

    def remove(self, waiter: Waiter) -> None:
        """Take out one that has got its place, or never will."""
        (self.unseen if waiter.request.unseen else self.seen).remove(waiter)

    def drop(self, *, unseen: bool) -> list[Stream]:
        """Take out those that nobody waits for, and with `unseen` all of these; return them."""
        gone = []
        for queue in (self.seen, self.unseen):
            for each in list(queue):
                if each.stream.cancelled or (unseen and each.request.unseen):
                    queue.remove(each)
                    gone.append(each.stream)
        return gone

    def drop_all(self) -> list[Stream]:
        """Take out all; return them."""
        gone = [each.stream for queue in (self.seen, self.unseen) for each in queue]
        self.seen.clear()
        self.unseen.clear()
        return gone
