"""How long a thread waits between two tries: longer after each failure, up to a bound."""

from threading import Event


class Backoff:
    """The waits of one thread.

    >>> stopped = Event()
    >>> stopped.set()
    >>> backoff = Backoff(0.2, 5.0)
    >>> [(backoff.wait_s, backoff.wait(stopped))[0] for _ in range(6)]
    [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        """Begin with the shortest wait."""
        self._first_s, self._most_s = first_s, most_s
        self.wait_s = first_s  # the next

    def succeeded(self) -> None:
        """Begin anew: the next failure is the first."""
        self.wait_s = self._first_s

    def wait(self, stop: Event) -> None:
        """Wait after a failure, or until `stop` is set."""
        stop.wait(self.wait_s)
        self.wait_s = min(self.wait_s * 2, self._most_s)
