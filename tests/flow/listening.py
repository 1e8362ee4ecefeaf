"""A learner that only listens: the real intake and its judges, without generations.

It uses what it reads as learner.loop does, each poll in one transaction with the offsets, but needs
no lease; and it publishes nothing, so that the outbox shows how often each judgement was made.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sqlmodel import col, func, select

from learner.intake import TOPICS, take
from learner.judges.open import open_judges
from learner.settings import LearnerSettings, group_of
from learner.verdicts import Rules
from streams.errors import ConflictError, LogUnavailableError, StoreUnavailableError
from streams.log.contract import Entry, Log, Outgoing, Partition, Subscription, outgoing
from streams.records import Message
from streams.store.offsets import positions
from streams.store.store import Store
from streams.store.tables import OutboxRow, TurnRow
from tests.flow.history import Appended, Applied, violations
from tests.learner.turns import said, turn

RULES = Rules(
    line="main",
    judges=open_judges(LearnerSettings(judges=("explicit", "lexical"))),
    idle_close_ms=10**9,
    max_record_bytes=2**20,
)
GROUP = group_of(RULES.line)
REST_S = 0.01  # after a refusal, so that trying again leaves the processor to others


def spoken(number: int, *, name: str = "session", keys: int = 5, size: int = 0) -> Outgoing:
    """Return the turn of a number: an even one opens a conversation, the next corrects its reply.

    name, keys: conversations share so many keys of this name
    size: characters that the reply has more
    """
    key = f"{name}-{number // 2 % keys}"
    asked = said(f"question {number // 2} of {name}")
    opening = turn(asked, "A reply." + "x" * size, id=_id(key, number // 2 * 2), principal=key)
    if number % 2 == 0:
        return outgoing("turns", key, opening)
    goes_on = [*asked, opening.reply, Message(role="user", content="That was too long.")]
    after = turn(goes_on, "ok", id=_id(key, number), principal=key, created_ms=2_000)
    return outgoing("turns", key, after)


def _id(key: str, number: int) -> str:
    return f"{key}-{number:06d}"


def _next(id: str) -> str:
    """Name the turn that corrects a reply; of a correction, none."""
    key, number = id[:-7], int(id[-6:])
    return _id(key, number + 1) if number % 2 == 0 else ""


class Listener:
    """Reads for the line's group and uses each record once. Not shared between threads."""

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
                    TOPICS, group=GROUP, positions=self._positions, on_revoked=self.revoked.append
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
        """Let the partitions go."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def has_all(self) -> bool:
        """Tell whether all that the log holds has been used."""
        ends = {p: end for topic in TOPICS for p, end in self._log.end_offsets(topic).items()}
        read = self._positions(frozenset(ends))
        return all(read.get(partition, 0) >= end for partition, end in ends.items())

    def _positions(self, partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        with self._store.reading() as session:
            return positions(session, GROUP, partitions)

    def _use(self, entries: Sequence[Entry]) -> None:
        with self._store.transaction() as session:
            take(session, entries, RULES)
            self._boundary("written")
        self._boundary("committed")


def num_used(store: Store) -> int:
    """Count the turns that were used: cheap enough to be asked again and again."""
    with store.reading() as session:
        return session.exec(select(func.count()).select_from(TurnRow)).one()


def used(store: Store) -> list[Applied]:
    """Return the turns that were used, in the order of their arrival."""
    with store.reading() as session:
        order = select(TurnRow.principal, TurnRow.id).order_by(col(TurnRow.sequence))
        return [Applied(key, id) for key, id in session.exec(order)]


def wrong(store: Store, history: Sequence[Appended]) -> list[str]:
    """Say what must not have come of turns of `spoken`; empty when every promise was kept."""
    applied = used(store)
    ids = {use.id for use in applied}
    corrected = {id for id in ids if _next(id) in ids}
    with store.reading() as session:
        outbox = session.exec(select(OutboxRow.id).where(OutboxRow.topic == "judgements")).all()
        judged = session.exec(select(TurnRow.id).where(TurnRow.state == "judged")).all()
    return [
        *violations(history, applied),
        *(f"judged {n} times: {id}" for id, n in Counter(outbox).items() if n > 1),
        *(f"not judged: {id}" for id in corrected.difference(judged)),
        *(f"judged out of nothing: {id}" for id in set(judged).difference(corrected)),
        *([f"{len(outbox)} judgements on {len(judged)} turns"] * (len(outbox) != len(judged))),
    ]
