"""A consumer's place in the log, kept in the transaction that used what it read.

So a crash repeats nothing and loses nothing: either the offset and the result are both there, or
neither. A group's offset only grows, and only by the reader that found it where it left it: a
reader whose partition was given to another one gets ConflictError and commits nothing.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from sqlmodel import Session, col, func, select, update

from streams.errors import ConflictError, SchemaError
from streams.log.contract import Entry, Log, Partition, Topic
from streams.log.mark import Mark, other_log
from streams.store.insert import insert_new
from streams.store.tables import OffsetRow, SeenRow


def positions(
    session: Session, group: str, partitions: Iterable[Partition]
) -> dict[Partition, int]:
    """Return the next offset to read of each partition that the group has read from."""
    rows = session.exec(select(OffsetRow).where(OffsetRow.group == group)).all()
    known = {(row.topic, row.partition): row.next_offset for row in rows}
    return {
        partition: known[partition.topic, partition.number]
        for partition in partitions
        if (partition.topic, partition.number) in known
    }


def marks(session: Session, group: str) -> dict[Partition, Mark]:
    """Return how far the group has read each partition, and what it read last."""
    rows = session.exec(select(OffsetRow).where(OffsetRow.group == group)).all()
    return {
        Partition(cast(Topic, row.topic), row.partition): Mark(row.next_offset, row.last_id)
        for row in rows
    }


def prove_held(read: Mapping[Partition, Mark], log: Log) -> None:
    """Prove that the log is the one that a group has read, and no other or older copy.

    What stands in another log before the group's place would never be read, and nobody would know.

    read: the group's `marks`
    raises: SchemaError, which says what to do; LogUnavailableError
    """
    difference = other_log(log, read)
    if difference is not None:
        raise SchemaError(
            f"{difference}: it is another log than the store was made from, or an older copy. Put"
            " the log back, or move the store away, too: it is made again from what the log holds"
        )


def advance(session: Session, group: str, entries: Iterable[Entry]) -> None:
    """Move the group past these entries, which were read in order from where it stood.

    raises: ConflictError when somebody else has moved the group past one of them already: what
        this transaction derived from it is derived, so roll back, and subscribe again
    """
    first: dict[Partition, int] = {}
    last: dict[Partition, Entry] = {}
    for entry in entries:
        first.setdefault(entry.partition, entry.offset)
        last[entry.partition] = entry
    # In one order everywhere, so that two transactions cannot wait for each other.
    for partition in sorted(first, key=lambda p: (p.topic, p.number)):
        if _moved(session, group, partition, first[partition], last[partition]):
            continue
        row = _locked(session, group, partition)
        if row.next_offset > first[partition]:
            raise ConflictError(
                f"{group} is at {row.next_offset} of {partition.topic}/{partition.number} already,"
                f" past {first[partition]}: another reader has this partition"
            )
        row.next_offset, row.last_id = last[partition].offset + 1, last[partition].id
        session.add(row)


def _moved(session: Session, group: str, partition: Partition, first: int, last: Entry) -> bool:
    """Move a group that stands before an offset past an entry; False when it stands elsewhere."""
    place = (
        update(OffsetRow)
        .where(
            col(OffsetRow.group) == group,
            col(OffsetRow.topic) == partition.topic,
            col(OffsetRow.partition) == partition.number,
            col(OffsetRow.next_offset) <= first,
        )
        .values(next_offset=last.offset + 1, last_id=last.id)
        .execution_options(synchronize_session=False)  # rows are read anew where they are needed
    )
    return bool(session.exec(place).rowcount)


def first_time(session: Session, group: str, entry: Entry) -> bool:
    """Note that the group uses an entry's record; False when it has used it before."""
    name = _name(entry.partition.topic, entry.id)
    return insert_new(session, SeenRow(group=group, id=name, time_ms=entry.time_ms))


def pass_over(session: Session, group: str, topic: Topic, record_id: str) -> None:
    """Let a group pass over a record that it sends itself: what that says is in the store already.

    The id is remembered for as long as that of the newest record that was used.
    """
    time_ms = session.exec(select(func.max(SeenRow.time_ms))).one() or 0
    insert_new(session, SeenRow(group=group, id=_name(topic, record_id), time_ms=time_ms))


def has_used(session: Session, group: str, topic: Topic, record_id: str) -> bool:
    """Tell whether the group has used a record, within the days that ids are remembered."""
    return session.get(SeenRow, (group, _name(topic, record_id))) is not None


def record_ids(topic: Topic, names: Iterable[str]) -> list[str]:
    """Return the ids of a topic's records among the names by which used ones are remembered.

    >>> record_ids("feedback", ["feedback/a", "turns/b"])
    ['a']
    """
    begin = _name(topic, "")
    return [name.removeprefix(begin) for name in names if name.startswith(begin)]


def _name(topic: Topic, record_id: str) -> str:
    return f"{topic}/{record_id}"


def _locked(session: Session, group: str, partition: Partition) -> OffsetRow:
    """Return the row of a partition, locked, made when it is missing."""
    query = (
        select(OffsetRow)
        .where(
            OffsetRow.group == group,
            OffsetRow.topic == partition.topic,
            col(OffsetRow.partition) == partition.number,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = session.exec(query).one_or_none()
    if row is None:
        topic, number = partition.topic, partition.number
        insert_new(session, OffsetRow(group=group, topic=topic, partition=number, next_offset=0))
        row = session.exec(query).one()
    return row
