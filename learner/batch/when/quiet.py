"""Knows for how long nobody has asked: since this learner last read a request.

By its own steady clock alone. The time that stands at a request is another machine's, or was
stamped before that one's clock was set. A start begins to count anew.
"""

from collections.abc import Callable


class Quiet:
    """How long nobody has asked a line. Not shared between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin now. clock: seconds since any moment."""
        self._clock = clock
        self._since_s = clock()

    @property
    def lasts_s(self) -> float:
        """Seconds without a request."""
        return self._clock() - self._since_s

    def end(self) -> None:
        """Take note of a request that was read now."""
        self._since_s = self._clock()
