"""Takes records out of the log, as far as it gives them back.

The embedded log is a file: what a principal said is deleted from it, and the bytes are overwritten.
Offsets keep their places and get holes, which the log's contract allows. Kafka deletes by age only:
there a dead letter is closed, so that compaction removes it, and everything else goes when its
topic's retention ends; until then the Forgotten record keeps it from being counted.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from streams.errors import RecordError
from streams.keeping import forgotten
from streams.log import dead_letters
from streams.log.contract import TOPICS, Log, Topic
from streams.log.file import OFFSET_BITS, begin, connect, translated
from streams.records import DeadLetter, Forgotten, Judgement, decode

# Rows that are looked at in one piece, so that a large log does not fill the memory.
_ROWS = 256


def count(path: Path, record: Forgotten, turn_ids: Collection[str]) -> Counter[Topic]:
    """Say how many records of each topic `erase` would take out of an embedded log."""
    connection = connect(path)
    try:
        with translated(path):
            return Counter(topic for topic, _ in _places(connection, record, turn_ids))
    finally:
        connection.close()


def erase(path: Path, record: Forgotten, turn_ids: Collection[str]) -> Counter[Topic]:
    """Delete from an embedded log what a Forgotten record concerns; return how many, by topic.

    turn_ids: the principal's turns; judgements on them are deleted, too
    raises: SchemaError, LogUnavailableError
    """
    connection = connect(path)
    try:
        with translated(path):
            # Looked for before the transaction: no append must wait for a long search, and a place
            # never gets another record.
            found = _places(connection, record, turn_ids)
            begin(connection)
            connection.executemany(
                "DELETE FROM entries WHERE place = ?", [(place,) for _, place in found]
            )
            connection.execute("COMMIT")
            # The write-ahead log still quotes what was deleted.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Counter(topic for topic, _ in found)
    finally:
        connection.close()


def close_letters(log: Log, record: Forgotten) -> int:
    """Close the open dead letters that a Forgotten record concerns: compaction lets go of them."""
    theirs = [
        each.letter.id
        for each in dead_letters.read_all(log)
        if each.closed is None and forgotten.covers_letter(record, each.letter)
    ]
    for name in theirs:
        dead_letters.drop(log, name, who=record.who)
    return len(theirs)


def _places(
    connection: sqlite3.Connection, record: Forgotten, turn_ids: Collection[str]
) -> list[tuple[Topic, int]]:
    """Find the rows that are concerned: (topic, place)."""
    numbers = dict(connection.execute("SELECT name, number FROM topics").fetchall())
    known = frozenset(turn_ids)
    found: list[tuple[Topic, int]] = []
    for topic in TOPICS:
        if topic not in (*forgotten.SAID, dead_letters.TOPIC):
            continue
        low = numbers[topic] << OFFSET_BITS
        high = low + (1 << OFFSET_BITS)
        query = (
            "SELECT place, value, time_ms FROM entries"
            " WHERE place >= ? AND place < ? ORDER BY place"
        )
        rows = connection.execute(query, (low, high))
        while piece := rows.fetchmany(_ROWS):
            found += [
                (topic, at)
                for at, value, taken_ms in piece
                if _concerns(record, value, taken_ms, known)
            ]
    return found


def _concerns(record: Forgotten, value: bytes, taken_ms: int, turn_ids: frozenset[str]) -> bool:
    said_ms = forgotten.said_by(value, record.principal)
    if said_ms is not None:
        moments = {record.principal: record.created_ms}
        return forgotten.covers(moments, record.principal, said_ms, taken_ms)
    try:
        decoded = decode(value)
    except RecordError:
        return False
    match decoded:
        case Judgement():
            return decoded.turn_id in turn_ids
        case DeadLetter():
            return forgotten.covers_letter(record, decoded, taken_ms)
    return False
