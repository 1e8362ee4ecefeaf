"""The outbox: records that reach the log because the transaction that made them committed.

`put` writes a record beside what it tells of; `publish` appends what waits of a line, in order, and
takes it out afterwards. A crash between the two appends it again: readers drop the second one by
its id, and where the last record counts, whoever sent it reads it again and tells what holds.
No judgement and no dead letter that the log will never take holds up what comes behind it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import delete
from sqlmodel import Session, col, select

from streams.errors import RecordTooLargeError
from streams.log import dead_letters
from streams.log.contract import Log, Outgoing, Topic, outgoing
from streams.log.sqlite import MAX_RECORD_BYTES
from streams.records import Record
from streams.store.any_text import stored
from streams.store.store import Store
from streams.store.tables import OutboxRow

# Records that one publish reads at once; more are read in further rounds.
BATCH = 256
# What only tells; a recipe or a change of a line that went missing would part those who follow it.
_TELLING: Final[frozenset[Topic]] = frozenset({"judgements", dead_letters.TOPIC})

_Append = Callable[[Sequence[Outgoing]], None]


def put(session: Session, topic: Topic, key: str, record: Record, *, line: str) -> None:
    """Send a record to the log when, and only when, this transaction commits.

    line: whose learner sends it
    """
    sent = outgoing(topic, key, record)
    # Numbers follow the order of the calls: a flush inserts rows in the order they were added.
    row = OutboxRow(line=line, topic=sent.topic, key=sent.key, id=sent.id, value=sent.value)
    # Both may come from a record of somebody else's, and no log takes half of a surrogate pair.
    row.key, row.id = stored(row.key), stored(row.id)
    session.add(row)


def publish(
    store: Store,
    log: Log,
    line: str,
    *,
    prove: Callable[[Session], object] = lambda _: None,
    told: Callable[[Outgoing], None] = lambda _: None,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> int:
    """Append what waits in a line's outbox, oldest first, and take it out.

    Only the holder of the line's lease may publish: two at once would append everything twice.

    prove: raises, right before each append, when the line's lease is somebody else's by now: behind
        what the next holder has appended, an old announcement would be the last that counts
    told: takes each once it is in the log
    max_record_bytes: the log's limit by our settings; a judgement that the log refuses as too large
        goes to the dead letters
    returns: number of records appended
    raises: LogUnavailableError (what was not appended still waits), StoreUnavailableError,
        RecordTooLargeError when what others follow is too large (what stands before it may be in
        the log, and still waits), and what `prove` raises
    """

    def append(records: Sequence[Outgoing]) -> None:
        with store.transaction() as session:
            prove(session)
        log.append(records)

    published = 0
    while True:
        with store.reading() as session:
            waiting = select(OutboxRow).where(OutboxRow.line == line)
            rows = session.exec(waiting.order_by(col(OutboxRow.number)).limit(BATCH)).all()
        if not rows:
            return published
        sent = [
            Outgoing(topic=row.topic, key=row.key, id=row.id, value=row.value)  # type: ignore[arg-type]
            for row in rows
        ]
        _append(append, sent, max_record_bytes)
        for record in sent:
            told(record)
        with store.transaction() as session:
            numbers = [row.number for row in rows]
            session.execute(delete(OutboxRow).where(col(OutboxRow.number).in_(numbers)))
        published += len(rows)
        if len(rows) < BATCH:  # what came meanwhile is the next call's
            return published


def _append(append: _Append, records: Sequence[Outgoing], max_bytes: int) -> None:
    try:
        append(records)
    except RecordTooLargeError:
        if any(len(each.value) > max_bytes and each.topic not in _TELLING for each in records):
            raise
        for each in records:  # a broker does not say which it refuses, and took some, it may be
            _append_one(append, each, max_bytes)


def _append_one(append: _Append, record: Outgoing, max_bytes: int) -> None:
    """Append a record, or its dead letter; by its length it may be one that only brokers refuse."""
    try:
        append([record])
    except RecordTooLargeError as cause:
        if record.topic not in _TELLING:
            raise
        now_ms, why = int(time.time() * 1000), str(cause)
        dead_letters.append_fitting(append, record, why, max_bytes=max_bytes, now_ms=now_ms)
