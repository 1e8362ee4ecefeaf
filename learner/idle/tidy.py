"""What a learner does with old rows while there is nothing to learn."""

from collections.abc import Callable
from typing import Final

from learner.link import rows
from streams.keeping.retention import Retention
from streams.store.lease import Writing

# Retention is a matter of days: once all that is old is gone, an hour may pass.
TIDY_S: Final = 3600.0


class Tidy:
    """Completes turns of older builds, and lets go of what the retention does not keep."""

    def __init__(
        self,
        line: str,
        retention: Retention | None,
        *,
        clock: Callable[[], float],
        writing: Writing,
    ) -> None:
        """Tidy what is kept of a line.

        retention: what lets go; None: everything is kept
        clock: Unix seconds; writing: a transaction of the line's learner
        """
        self._line, self._retention = line, retention
        self._clock, self._writing = clock, writing
        self._incomplete = True  # turns of older builds may lack what links them
        self._tidied_s = -TIDY_S

    def step(self) -> None:
        """Do a little, so that what comes next need not wait."""
        if self._incomplete:
            with self._writing() as session:
                self._incomplete = rows.complete(session, self._line) > 0
        retention, now_s = self._retention, self._clock()
        if retention is None or 0 <= now_s - self._tidied_s < TIDY_S:
            return
        with self._writing() as session:
            gone = retention.prune(session, now_ms=int(now_s * 1000))
        if not gone:
            self._tidied_s = now_s
