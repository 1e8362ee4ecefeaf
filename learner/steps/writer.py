"""What only a line's learner may do, under its lease: write the line's rows, publish what they owe.

What a transaction puts into the outbox is owed to the log from then on, whatever crashes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlmodel import Session

from learner.parts import Parts
from streams.log.contract import Outgoing
from streams.store import outbox

# The lease lasts 15 seconds: three renewals may fail before somebody else takes over.
RENEW_S: Final = 4.0


class Writer:
    """Writes for one line. Not shared between threads."""

    def __init__(self, parts: Parts, told: Callable[[Outgoing], None]) -> None:
        """Write to the parts' store. told: is told each record that has reached the log."""
        self._parts, self._told = parts, told
        self._owes_log = True  # a crash may have left something in the outbox
        self._renewed_s = parts.clock()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction in which this process is proved to be the line's learner.

        raises: LeaseLostError when it is not any more
        """
        with self._parts.store.transaction() as session:
            self._parts.lease.check(session)
            self._owes_log = True
            yield session

    def publish(self) -> None:
        """Append what committed transactions owe the log; what fails is owed on.

        raises: LeaseLostError when this process is not the line's learner any more
        """
        if self._owes_log:
            parts = self._parts
            outbox.publish(
                parts.store,
                parts.log,
                parts.settings.line,
                prove=parts.lease.check,
                told=self._told,
                max_record_bytes=parts.rules.max_record_bytes,
            )
            self._owes_log = False

    def renew(self) -> None:
        """Renew the lease, when it is time to. Raises: LeaseLostError."""
        if not 0 <= self._parts.clock() - self._renewed_s < RENEW_S:
            self._parts.lease.renew()
            self._renewed_s = self._parts.clock()
