"""The lease: one writer for a line, and a fence against the one that does not know it was replaced.

Every new holder raises the epoch. A holder proves, inside the transaction that it is about to
commit, that the epoch is still its own, with the row locked until the commit; so a zombie (paused,
cut off, or with a clock that is wrong) can compute what it likes and commits nothing.

Safety rests on the epoch alone. Clocks decide only how soon a dead holder is replaced: the lease is
free when its time has passed by the wall clock, or when it did not change for its whole duration by
this process's own monotonic clock (so a wall clock set back cannot keep it for ever).
"""

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlmodel import Session, col, select

from streams.errors import LeaseLostError
from streams.store.store import Store
from streams.store.tables import LeaseRow

# A transaction of whoever holds a line's lease, which proves it inside.
Writing = Callable[[], AbstractContextManager[Session]]

# A dead holder is replaced after this; a living one renews three times in it.
DURATION_S = 15.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks of a lease: Unix time, and one that is never set. Seconds."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class Lease:
    """The right to write for a name. Not shared between threads."""

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        holder: str,
        duration_s: float = DURATION_S,
        clocks: Clocks | None = None,
    ) -> None:
        """Name a lease; nothing is taken yet.

        name: what is written for, such as "learner/main"
        holder: the process that asks, unique to its start (two starts of one program must differ),
            shown to operators
        """
        self.name = name
        self.holder = holder
        self.epoch: int | None = None
        self._store = store
        self._duration_s = duration_s
        self._clocks = clocks or Clocks()
        self._watched: tuple[int, int] | None = None
        self._watched_since = 0.0

    def acquire(self) -> bool:
        """Take the lease when it is free, and say whether this process holds it now.

        raises: StoreUnavailableError
        """
        with self._store.transaction() as session:
            row = _locked(session, self.name)
            if row is not None and self._is_ours(row):
                self._extend(session, row)
                return True
            if row is not None and not self._is_free(row):
                return False
            if row is None:
                row = LeaseRow(name=self.name, holder="", epoch=0, expires_ms=0)
            row.holder, row.epoch = self.holder, row.epoch + 1
            self._extend(session, row)
            try:
                session.flush()
            except Exception:  # another first holder inserted the row between the two statements
                session.rollback()
                return False
            epoch = row.epoch
        self.epoch = epoch
        return True

    def renew(self) -> None:
        """Keep the lease for another duration.

        raises: LeaseLostError, StoreUnavailableError (try again; the epoch still fences)
        """
        with self._store.transaction() as session:
            self._extend(session, self.check(session))

    def check(self, session: Session) -> LeaseRow:
        """Prove, in the transaction that is about to write, that this process holds the lease.

        Nobody can take it until that transaction ends.

        raises: LeaseLostError
        """
        row = _locked(session, self.name)
        if row is None or not self._is_ours(row):
            now = f"{row.holder} (epoch {row.epoch})" if row else "nobody"
            raise LeaseLostError(f"the lease {self.name} of {self.holder} is held by {now} now")
        return row

    def release(self) -> None:
        """Let the lease go, so that the next holder need not wait; harmless when it is lost."""
        if self.epoch is None:
            return
        with self._store.transaction() as session:
            row = _locked(session, self.name)
            if row is not None and self._is_ours(row):
                row.expires_ms = 0
                session.add(row)
        self.epoch = None

    def _is_ours(self, row: LeaseRow) -> bool:
        return self.epoch is not None and (row.holder, row.epoch) == (self.holder, self.epoch)

    def _is_free(self, row: LeaseRow) -> bool:
        if row.expires_ms <= self._clocks.wall() * 1000:
            return True
        seen = (row.epoch, row.expires_ms)
        if seen != self._watched:
            self._watched, self._watched_since = seen, self._clocks.monotonic()
        return self._clocks.monotonic() - self._watched_since > self._duration_s

    def _extend(self, session: Session, row: LeaseRow) -> None:
        row.expires_ms = int((self._clocks.wall() + self._duration_s) * 1000)
        session.add(row)


def keep_waiting(session: Session, names: Collection[str]) -> None:
    """Let no holder of these leases write until this transaction ends.

    For who holds none of them and adds what rests on what holders wrote, read after this.
    """
    query = select(LeaseRow).where(col(LeaseRow.name).in_(names)).order_by(LeaseRow.name)
    session.exec(query.with_for_update()).all()  # in order, so that two never wait for each other


def _locked(session: Session, name: str) -> LeaseRow | None:
    query = select(LeaseRow).where(LeaseRow.name == name).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one_or_none()
