"""Uses what the log brings: a piece at a time linked, judged and committed with its offsets.

Before the first poll the log is proved to be the one that the store was made from, and all that is
forgotten is taken note of: nothing of it is read again.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlmodel import select

from learner.batch import standing
from learner.batch.when.mode import Orders
from learner.batch.when.quiet import Quiet
from learner.forget import store as forget
from learner.intake import TOPICS, take
from learner.judges.slow.later import Later
from learner.parts import Parts
from learner.settings import group_of
from learner.steps.writer import Writer
from learner.verdicts import use_answers
from streams.keeping import forgotten
from streams.log.contract import Entry, Partition, Subscription
from streams.store import offsets
from streams.store.tables import ForgottenRow

# So much of a poll is one transaction. An embedder takes a hundredth of a second a judgement, half
# a second on a loaded machine, and between two pieces a learner can be stopped.
PIECE: Final = 32


class Consumer:
    """Reads for one line, in its consumer group. Not shared between threads."""

    def __init__(self, parts: Parts, writer: Writer, orders: Orders, quiet: Quiet) -> None:
        """Read the parts' log; nothing is read yet.

        orders: is shown every entry; quiet: is told of every request
        """
        self._parts, self._writer, self._orders, self._quiet = parts, writer, orders, quiet
        self._line, self._group = parts.settings.line, group_of(parts.settings.line)
        self._reader: Subscription | None = None
        self._later = Later(parts.rules.slow, self._line) if parts.rules.slow else None
        self._polled_s = parts.clock()

    @property
    def idle_s(self) -> float:
        """How long the log has not been looked at."""
        return self._parts.clock() - self._polled_s

    def poll(self, *, wait_s: float) -> int:
        """Link and judge all that came, and publish it; how much it was.

        wait_s: how long to wait for the first entry
        raises: LogUnavailableError, StoreUnavailableError, ConflictError (try again: what was not
            used is read again); LeaseLostError; SchemaError when the log is not the one that the
            store was made from
        """
        self._polled_s = self._parts.clock()
        self._writer.renew()
        if self._reader is None:
            self._reader = self._subscribed()
        entries = self._reader.poll(wait_s=wait_s)
        if entries:
            self._use(entries)
        if self._later is not None:
            use_answers(self._later, self._parts.store, self._writer.writing, self._parts.rules)
        self._writer.publish()
        return len(entries)

    def close(self) -> None:
        """Leave the group; the next poll joins it again from the stored offsets."""
        if self._later is not None:
            self._later.close()
            self._later = Later(self._parts.rules.slow, self._line)
        self._leave()

    def _use(self, entries: Sequence[Entry]) -> None:
        try:
            for start in range(0, len(entries), PIECE):
                if start:
                    self._parts.pause()
                self._use_piece(entries[start : start + PIECE])
        except BaseException:
            self._leave()  # it stands behind entries that were not used: read from the stored place
            raise

    def _use_piece(self, entries: Sequence[Entry]) -> None:
        with self._writer.writing() as session:
            asked = take(session, entries, self._parts.rules)
        self._orders.see(entries)
        if asked:
            self._quiet.end()

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _subscribed(self) -> Subscription:
        self._forget()
        self._prove_log()
        self._orders.read_all(self._parts.log)
        return self._parts.log.subscribe(TOPICS, group=self._group, positions=self._positions)

    def _forget(self) -> None:
        """Take note of all that is forgotten, before anything that was said is read (again).

        And name the wishes of turns of older builds.
        """
        records = forgotten.read_all(self._parts.log)
        with self._parts.store.reading() as session:
            ours = select(ForgottenRow.id).where(ForgottenRow.line == self._line)
            known = set(session.exec(ours))
        missing = [record for record in records if record.id not in known]
        if missing:
            with self._writer.writing() as session:
                for record in missing:
                    forget.apply_if_held(session, record, self._line)
        with self._writer.writing() as session:  # before anything is planned, as a run again would
            while standing.name_wishes(session, self._line):
                pass

    def _prove_log(self) -> None:
        with self._parts.store.reading() as session:
            read = offsets.marks(session, self._group)
        offsets.prove_held(read, self._parts.log)

    def _positions(self, partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        with self._parts.store.reading() as session:
            return offsets.positions(session, self._group, partitions)
