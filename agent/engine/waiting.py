"""Requests that wait for a place: those that people wait for, in order, and the unseen ones.

Knows nothing of slots or models. Its caller holds the lock.
"""

from collections import deque
from typing import Final

from agent.engine.contract import Request, Stream
from agent.errors import QueueFullError

# Unseen replies that may wait; what comes beyond isn't made, and costs nothing.
MAX_UNSEEN: Final = 4

Queue = deque[tuple[Request, Stream]]


class Waiting:
    """Two queues."""

    def __init__(self, *, most: int) -> None:
        """Begin empty. most: requests of people that may wait."""
        self.seen: Queue = deque()
        self.unseen: Queue = deque()
        self._most = most

    def __bool__(self) -> bool:
        """Whether anybody or anything waits."""
        return bool(self.seen or self.unseen)

    def add(self, request: Request, stream: Stream) -> None:
        """Let a request wait. Raises: QueueFullError."""
        queue, most = (self.unseen, MAX_UNSEEN) if request.unseen else (self.seen, self._most)
        if len(queue) >= most:
            raise QueueFullError(f"{len(queue)} requests wait already")
        queue.append((request, stream))

    def drop(self, *, unseen: bool) -> list[Stream]:
        """Take out those that nobody waits for, and with `unseen` all of these; return them."""
        gone = []
        for queue in (self.seen, self.unseen):
            for each in list(queue):
                if each[1].cancelled or (unseen and each[0].unseen):
                    queue.remove(each)
                    gone.append(each[1])
        return gone

    def drop_all(self) -> list[Stream]:
        """Take out all; return them."""
        gone = [stream for queue in (self.seen, self.unseen) for _, stream in queue]
        self.seen.clear()
        self.unseen.clear()
        return gone
