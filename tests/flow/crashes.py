"""A process that ends at a boundary: round any commit of its store and any append to its log."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from streams.log.contract import Log, Outgoing, Subscription, Topic
from streams.store.store import Store


class KilledError(BaseException):
    """The process ends here; nothing after this runs in it. No handler catches it."""


def _raise(name: str) -> None:
    raise KilledError(name)


@dataclass
class Boundaries:
    """Counts the boundaries that a process passes, and ends it at a chosen one."""

    dies_at: int | None = None
    end: Callable[[str], None] = _raise
    passed: int = 0
    names: list[str] = field(default_factory=list)

    def boundary(self, name: str) -> None:
        """Pass a boundary, or end at it."""
        self.passed += 1
        self.names.append(name)
        if self.passed == self.dies_at:
            self.end(name)


class CrashingStore(Store):
    """A store whose process may end just before or just after any commit."""

    def __init__(self, url: str, boundaries: Boundaries) -> None:
        super().__init__(url)
        self._boundaries = boundaries

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction with a boundary on either side of its commit."""
        with super().transaction() as session:
            yield session
            self._boundaries.boundary("before a commit")
        self._boundaries.boundary("after a commit")


class CrashingLog:
    """A log whose process may end just before or just after any append."""

    def __init__(self, log: Log, boundaries: Boundaries) -> None:
        self._log = log
        self._boundaries = boundaries

    def append(self, records: Iterable[Outgoing]) -> None:
        """Append with a boundary on either side."""
        self._boundaries.boundary("before an append")
        self._log.append(records)
        self._boundaries.boundary("after an append")

    def subscribe(self, topics: Iterable[Topic], **rest: Any) -> Subscription:
        """Read as the log does."""
        return self._log.subscribe(topics, **rest)

    def end_offsets(self, topic: Topic) -> dict[Any, int]:
        """Count as the log does."""
        return self._log.end_offsets(topic)

    def close(self) -> None:
        """Close the log."""
        self._log.close()
