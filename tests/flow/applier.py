"""A consumer as small as the promises allow: it reads turns, and uses each once."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence

from sqlmodel import col, func, select

from streams.errors import ConflictError, LogUnavailableError, StoreUnavailableError
from streams.log.contract import Entry, Log, Outgoing, Partition, Subscription
from streams.records import Judgement, decode
from streams.store import outbox
from streams.store.offsets import advance, first_time, positions
from streams.store.store import Store
from streams.store.tables import OutboxRow
from tests.flow.history import Applied

GROUP = "applier"
REST_S = 0.01  # after a refusal, so that trying again leaves the processor to others


def turn(number: int, key: str, size: int = 50) -> Outgoing:
    """Give a record to append; what is in it does not matter here."""
    value = hashlib.sha256(f"{key} {number}".encode()).digest() * (size // 32 + 1)
    return Outgoing(topic="turns", key=key, id=f"{key}-{number:06d}", value=value)


class Applier:
    """Uses each turn once: a judgement in the outbox stands for what a learner derives."""

    def __init__(
        self, log: Log, store: Store, *, boundary: Callable[[str], None] = lambda _: None
    ) -> None:
        """Name the log and the store.

        boundary: called at each point where a crash could hurt, so that tests can crash there
        """
        self._log, self._store, self._boundary = log, store, boundary
        self._subscription: Subscription | None = None
        self.revoked: list[frozenset[Partition]] = []
        self.refused = 0  # transactions that the store did not take

    def step(self, *, wait_s: float = 0.2, max_records: int = 64) -> int:
        """Read and use what there is; what is away now is tried again at the next step.

        returns: number of entries read
        """
        try:
            if self._subscription is None:
                self._subscription = self._log.subscribe(
                    ["turns"],
                    group=GROUP,
                    positions=self._positions,
                    on_revoked=self.revoked.append,
                )
            entries = self._subscription.poll(wait_s=wait_s, max_records=max_records)
            if entries:
                self._boundary("read")
                self._use(entries)
            return len(entries)
        except (ConflictError, StoreUnavailableError):
            self.refused += 1
            self.close()  # read again from what the store says
            time.sleep(REST_S)
        except LogUnavailableError:
            pass
        return 0

    def close(self) -> None:
        """Give the partitions back."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _positions(self, partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        with self._store.reading() as session:
            return positions(session, GROUP, partitions)

    def _use(self, entries: Sequence[Entry]) -> None:
        with self._store.transaction() as session:
            advance(session, GROUP, entries)
            for entry in entries:
                if first_time(session, GROUP, entry):
                    outbox.put(session, "judgements", entry.key, _judgement(entry), line="main")
            self._boundary("written")
        self._boundary("committed")


def _judgement(entry: Entry) -> Judgement:
    return Judgement(
        id=f"j-{entry.id}",
        turn_id=entry.id,
        line="main",
        version="base",
        principal=entry.key,
        source="verifier",
        score=1,
        confidence=1,
        evidence="",
        created_ms=0,
    )


def num_applied(store: Store) -> int:
    """Count what was used: cheap enough to be asked again and again."""
    with store.reading() as session:
        return session.exec(select(func.count()).select_from(OutboxRow)).one()


def applied(store: Store) -> list[Applied]:
    """Give what was used, in the order of the commits."""
    with store.reading() as session:
        rows = session.exec(select(OutboxRow).order_by(col(OutboxRow.number))).all()
    judgements = [decode(row.value) for row in rows]
    return [Applied(key=j.principal, id=j.turn_id) for j in judgements if isinstance(j, Judgement)]
