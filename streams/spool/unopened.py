"""Reads what waits in a spool's folder whose file cannot be opened now: on a full disk, say.

What cannot be opened must not be taken for empty: what comes later would overtake what waits there,
and a start would know nothing of what an operator had decided. Only whoever holds the folder reads.
"""

from collections.abc import Iterator
from pathlib import Path

from streams.log.contract import Outgoing, Topic
from streams.spool import segments, table


def read(folder: Path, name: str, *, topic: Topic | None = None) -> Iterator[Outgoing | None]:
    """Yield what waits, oldest first, with what an older build left; a damaged record as None.

    name: of the file in the folder
    topic: the only one; None: all
    raises: sqlite3.Error, UnicodeDecodeError, OSError when it cannot be read either
    """
    with table.opened_alone(folder / name) as connection:
        if connection is not None:
            yield from (record for _, record in table.read(connection, behind=0, topic=topic))
    for records in segments.read(folder):
        yield from (record for record in records if topic in (None, record.topic))
