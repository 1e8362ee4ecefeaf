"""How much a server may say, over whatever transport, and the words for one that says more.

Messages without end would take the processor of the agent, a message of any length its memory.
"""

import time
from collections.abc import Callable
from typing import Final

MESSAGES_A_SECOND: Final = 500  # more than a server has to say to one client
TOO_MANY: Final = f"it wrote more than {MESSAGES_A_SECOND} messages a second"
TOO_LONG: Final = "it wrote a message that is too long"


class Rate:
    """Counts the messages of a connection, second by second."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with none."""
        self._clock, self._began_s, self._count = clock, clock(), 0

    def take(self) -> bool:
        """Count a message. Returns: whether it is not one too many."""
        self._count += 1
        if (now_s := self._clock()) - self._began_s >= 1:
            self._began_s, self._count = now_s, 0
        return self._count <= MESSAGES_A_SECOND
