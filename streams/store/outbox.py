"""The outbox: records that reach the log because the transaction that made them committed.

`put` writes a record beside what it tells of; `publish` appends what waits of a line, in order, and
takes it out afterwards. A crash between the two appends it again: readers drop the second one by
its id, and where the last record counts, whoever sent it reads it again and tells what holds.
"""

from collections.abc import Callable

from sqlalchemy import delete
from sqlmodel import Session, col, select

from streams.log.contract import Log, Outgoing, Topic, outgoing
from streams.records import Record
from streams.store.store import Store
from streams.store.tables import OutboxRow

# Records that one publish reads at once; more are read in further rounds.
BATCH = 256


def put(session: Session, topic: Topic, key: str, record: Record, *, line: str) -> None:
    """Send a record to the log when, and only when, this transaction commits.

    line: whose learner sends it
    """
    sent = outgoing(topic, key, record)
    # Numbers follow the order of the calls: a flush inserts rows in the order they were added.
    row = OutboxRow(line=line, topic=sent.topic, key=sent.key, id=sent.id, value=sent.value)
    session.add(row)


def publish(
    store: Store,
    log: Log,
    line: str,
    *,
    prove: Callable[[Session], object] = lambda _: None,
    told: Callable[[Outgoing], None] = lambda _: None,
) -> int:
    """Append what waits in a line's outbox, oldest first, and take it out.

    Only the holder of the line's lease may publish: two at once would append everything twice.

    prove: raises, right before each append, when the line's lease is somebody else's by now: behind
        what the next holder has appended, an old announcement would be the last that counts
    told: takes each once it is in the log
    returns: number of records appended
    raises: LogUnavailableError (what was not appended still waits), StoreUnavailableError, and what
        `prove` raises
    """
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
        with store.transaction() as session:
            prove(session)
        log.append(sent)
        for record in sent:
            told(record)
        with store.transaction() as session:
            numbers = [row.number for row in rows]
            session.execute(delete(OutboxRow).where(col(OutboxRow.number).in_(numbers)))
        published += len(rows)
        if len(rows) < BATCH:  # what came meanwhile is the next call's
            return published
