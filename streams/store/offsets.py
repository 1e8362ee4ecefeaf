"""A consumer's place in the log, kept in the transaction that used what it read.

So a crash repeats nothing and loses nothing: either the offset and the result are both there, or
neither. A group's offset only grows, and only by the reader that found it where it left it: a
reader whose partition was given to another one gets ConflictError and commits nothing.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from streams.errors import ConflictError
from streams.log.contract import Entry, Partition
from streams.store.tables import OffsetRow, SeenRow

# Rows of one statement; SQLite takes 32,766 values in one.
_ROWS = 1000


def positions(
    session: Session, group: str, partitions: Iterable[Partition]
) -> dict[Partition, int]:
    """Give the next offset to read of each partition that the group has read from."""
    rows = session.exec(select(OffsetRow).where(OffsetRow.group == group)).all()
    known = {(row.topic, row.partition): row.next_offset for row in rows}
    return {
        partition: known[partition.topic, partition.number]
        for partition in partitions
        if (partition.topic, partition.number) in known
    }


def advance(session: Session, group: str, entries: Iterable[Entry]) -> None:
    """Move the group past these entries, which were read in order from where it stood.

    raises: ConflictError when somebody else has moved the group past one of them already: what
        this transaction derived from it is derived, so roll back, and subscribe again
    """
    first: dict[Partition, int] = {}
    last: dict[Partition, int] = {}
    for entry in entries:
        first.setdefault(entry.partition, entry.offset)
        last[entry.partition] = entry.offset
    # In one order everywhere, so that two transactions cannot wait for each other.
    for partition in sorted(first, key=lambda p: (p.topic, p.number)):
        row = _locked(session, group, partition)
        if row.next_offset > first[partition]:
            raise ConflictError(
                f"{group} is at {row.next_offset} of {partition.topic}/{partition.number} already,"
                f" past {first[partition]}: another reader has this partition"
            )
        row.next_offset = last[partition] + 1
        session.add(row)


def first_time(session: Session, group: str, entry: Entry) -> bool:
    """Note that the group uses an entry's record; False when it has used it before."""
    return _insert(session, SeenRow, _seen(group, entry))


def first_times(session: Session, group: str, entries: Iterable[Entry]) -> list[Entry]:
    """Give the entries whose records the group has not used before, and note that it uses them.

    As `first_time` for each, in one statement; of two of one id the first is given.
    """
    wanted: dict[str, Entry] = {}
    for entry in entries:
        wanted.setdefault(_name(entry), entry)
    ids = list(wanted)
    fresh: set[str] = set()
    for start in range(0, len(ids), _ROWS):
        rows = [_seen(group, wanted[id]) for id in ids[start : start + _ROWS]]
        statement = _dialect(session).insert(SeenRow).values(rows).on_conflict_do_nothing()
        fresh.update(session.execute(statement.returning(col(SeenRow.id))).scalars())
    return [entry for id, entry in wanted.items() if id in fresh]


def _name(entry: Entry) -> str:
    return f"{entry.partition.topic}/{entry.id}"


def _seen(group: str, entry: Entry) -> dict[str, Any]:
    return {"group": group, "id": _name(entry), "time_ms": entry.time_ms}


def _locked(session: Session, group: str, partition: Partition) -> OffsetRow:
    """Give the row of a partition, locked, made when it is missing."""
    key = {"group": group, "topic": partition.topic, "partition": partition.number}
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
        _insert(session, OffsetRow, key | {"next_offset": 0})
        row = session.exec(query).one()
    return row


def _insert(session: Session, table: type[OffsetRow | SeenRow], values: dict[str, Any]) -> bool:
    """Insert a row unless its primary key is there; two writers cannot both succeed."""
    statement = _dialect(session).insert(table).values(values).on_conflict_do_nothing()
    return session.execute(statement.returning(col(table.group))).first() is not None


def _dialect(session: Session) -> Any:
    """Give the module whose insert knows ON CONFLICT for this database."""
    return postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
