"""Prunes what is old: the embedded log's records, remembered ids, and what turns said.

- Out of the log go records that are older than the days of the settings and that every line's group
  has passed. Kafka prunes by age alone, by its own retention (streams.log.kafka.topics).
- Out of the store go a line's old turns and the ids by which its group tells duplicates: of an
  expired turn its id, times and counts are left, and its judgements without what was wished, so
  that it is known when it comes again, and what it moved can be named. Feedback whose turn never
  came (dropped, or a dead letter) goes with its id. With a line's first expired turn no run of it
  can be exact any more, so its old rests go, too, but for the newest. Other lines' rows are left to
  their own learners.
- Recipes, masks and rollouts are never pruned: every version can be rebuilt for ever.

Little goes at a time, so that nobody waits for it. What is old is told by when the log took it,
not by the clock of the agent that said it, and against the newest record, not a clock alone: one
that is set wrong, the agent's or the learner's, prunes nothing. Nor does one that was wrong when
its process started: what came after something young is young, however it is dated, and records
that lie further ahead than anything is kept are not believed at once: what is old beside the last
one before them goes meanwhile (streams.keeping.leap).
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from streams.keeping.leap import DAY_MS, Leap, leap_of, newest
from streams.keeping.pack import pack
from streams.log.contract import Partition, Topic
from streams.store.offsets import record_ids
from streams.store.rest_tables import RestRow
from streams.store.states import EARLY, EXPIRED, PLANNED, SPEAKING, WITHOUT_LINKS
from streams.store.tables import GenerationRow, JudgementRow, OffsetRow, SeenRow, TurnRow

_LOG = logging.getLogger(__name__)

# Topics whose records lose their worth with time; all others decide what serves.
AGEING: tuple[Topic, ...] = ("turns", "feedback", "judgements", "dead-letters")
# Read by groups, from the offsets that they keep: what one has not passed stays.
READ_BY_GROUPS: tuple[Topic, ...] = ("turns", "feedback")
# Rows or records in one go: some ten milliseconds of a transaction.
BATCH = 500


class Prunable(Protocol):
    """A log that does not prune by itself (streams.log.sqlite.SqliteLog)."""

    def prune(
        self, partition: Partition, *, before_ms: int, below: int, most: int, newest_ms: int
    ) -> int:
        """Remove the oldest records of a partition that are old enough; return how many went."""
        ...

    def end_offsets(self, topic: Topic) -> Mapping[Partition, int]: ...


class Retention:
    """What is kept of a line in the store, and of all lines in the log, and for how long."""

    def __init__(
        self, days: int, *, line: str, group: str, log: Prunable | None, batch: int = BATCH
    ) -> None:
        """Name the limit.

        group: the consumer group of the line
        log: None where the log prunes by itself
        """
        self._days = days
        self._line, self._group = line, group
        self._log = log
        self._batch = batch
        self._leaps = False

    def prune(self, session: Session, *, now_ms: int) -> int:
        """Prune a little, in the caller's transaction, which holds the line's lease.

        returns: how much went, 0 when all is young
        raises: LogUnavailableError
        """
        newest_ms = newest(session, now_ms=now_ms)
        if newest_ms is None:
            return 0
        leap = self._leap(session, newest_ms)
        before_ms = (leap.before_ms if leap else newest_ms) - self._days * DAY_MS
        gone = _expire_turns(session, self._line, (before_ms, newest_ms), self._batch)
        gone += _forget_rests(session, self._line, before_ms, self._batch)
        gone += _forget_ids(session, self._group, before_ms, self._batch)
        if self._log is not None:
            gone += _prune_log(session, self._log, (before_ms, newest_ms), self._batch)
        return gone

    def _leap(self, session: Session, newest_ms: int) -> Leap | None:
        """Find the newest records that are not believed; said once, however many leaps follow."""
        found = leap_of(session, self._days, newest_ms)
        if found is not None and not self._leaps:
            _LOG.warning("%s", found)
        self._leaps = found is not None
        return found


def _prune_log(session: Session, log: Prunable, young: tuple[int, int], most: int) -> int:
    before_ms, newest_ms = young
    gone = 0
    for topic in AGEING:
        for partition, end in log.end_offsets(topic).items():
            below = end if topic not in READ_BY_GROUPS else _passed(session, partition)
            gone += log.prune(
                partition, before_ms=before_ms, below=below, most=most, newest_ms=newest_ms
            )
    return gone


def _passed(session: Session, partition: Partition) -> int:
    """Return the offset that every group has read up to; 0 where one has not read at all."""
    groups = session.exec(select(OffsetRow.group).distinct()).all()
    place = select(OffsetRow.group, OffsetRow.next_offset).where(
        OffsetRow.topic == partition.topic, OffsetRow.partition == partition.number
    )
    read = dict(session.exec(place).all())
    return min((read.get(group, 0) for group in groups), default=0)


def _expire_turns(session: Session, line: str, young: tuple[int, int], most: int) -> int:
    """Empty the line's oldest turns; a plan that is under way keeps its own until it is done.

    young: from when to when the log took what stays
    """
    plans = select(GenerationRow.turn_ids).where(
        GenerationRow.line == line, GenerationRow.state == PLANNED
    )
    planned = {id for ids in session.exec(plans) for id in ids}
    ids = _old_turns(session, line, young, planned, most)
    if ids:
        emptied: dict[str, Any] = {
            "state": EXPIRED, "record": {}, "next_state": None, "target": None,
            "session": "", "key": "", "prefix_key": "", "reason": None, **WITHOUT_LINKS,
        }  # fmt: skip
        session.execute(update(TurnRow).where(col(TurnRow.id).in_(ids)).values(emptied))
        pack(session, TurnRow, ids)
        # hints are somebody's words; scores stay, which guards ask of versions that serve still
        wished = col(JudgementRow.turn_id).in_(ids), col(JudgementRow.hint).is_not(None)
        session.execute(update(JudgementRow).where(*wished).values(hint=None))
    return len(ids)


def _old_turns(
    session: Session, line: str, young: tuple[int, int], planned: Collection[str], most: int
) -> list[str]:
    """Return the turns that go, oldest first: none that came behind a young one.

    Whatever came there was dated by a clock that was behind.
    """
    before_ms, newest_ms = young
    first = _first_turns(session, line, newest_ms, 1)
    if not first or first[0][1] >= before_ms:
        return []  # nearly always: that much is cheap to know
    ids: list[str] = []
    for _, taken_ms, id in _first_turns(session, line, newest_ms, most + len(planned)):
        if taken_ms >= before_ms:
            break
        if id not in planned:
            ids.append(id)
    return ids[:most]


def _first_turns(
    session: Session, line: str, newest_ms: int, most: int
) -> list[tuple[int, int, str]]:
    """Return the turns that came first of those that speak: sequence, when taken, id.

    newest_ms: what is dated later is of a clock that ran ahead, and is passed over
    """
    found: list[tuple[int, int, str]] = []
    for state in SPEAKING:  # one after the other: each is found in its order by an index
        query = select(TurnRow.sequence, TurnRow.taken_ms, TurnRow.id).where(
            TurnRow.line == line, TurnRow.state == state, TurnRow.taken_ms <= newest_ms
        )
        order = col(TurnRow.sequence), col(TurnRow.taken_ms)
        found += session.exec(query.order_by(*order).limit(most))
    return sorted(found)[:most]


def _forget_rests(session: Session, line: str, before_ms: int, most: int) -> int:
    """Let the oldest rests go that no run without somebody can ask for; the next is counted on."""
    expired = select(TurnRow.id).where(TurnRow.line == line, TurnRow.state == EXPIRED)
    if session.exec(expired.limit(1)).first() is None:
        return 0
    ours = select(RestRow).where(RestRow.line == line)
    order = col(RestRow.number), col(RestRow.place)
    newest = session.exec(ours.order_by(*(each.desc() for each in order)).limit(1)).first()
    old = ours.where(RestRow.until_ms < before_ms).order_by(*order).limit(most)
    rows = [row for row in session.exec(old) if row is not newest]
    for row in rows:
        session.delete(row)
    return len(rows)


def _forget_ids(session: Session, group: str, before_ms: int, most: int) -> int:
    ours = col(SeenRow.group) == group
    old = select(SeenRow.id).where(ours, SeenRow.time_ms < before_ms).limit(most)
    ids = session.exec(old).all()
    if ids:
        session.execute(delete(SeenRow).where(ours, col(SeenRow.id).in_(ids)))
        _drop_early(session, ids)
    return len(ids)


def _drop_early(session: Session, names: Sequence[str]) -> None:
    """Let feedback go whose turn has not come, and never will.

    names: of used records, which tell how old it is by the log's clock, not by the agent's
    """
    ids = record_ids("feedback", names)
    if not ids:
        return
    early = col(JudgementRow.id).in_(ids), col(JudgementRow.evidence) == EARLY
    num = session.exec(delete(JudgementRow).where(*early)).rowcount
    if num:
        _LOG.info("too old to wait for turns that never came: ratings, %d", num)
