"""Turns that may be asked for again, and what else of interest stands in a log."""

from pathlib import Path
from typing import Final, Literal

from streams.log.contract import Entry, Outgoing, Partition, Topic, outgoing
from streams.records import Deletion, Feedback, Forgotten, Record, Turn, encode, record_id
from tests.learner.turns import said, turn

PAGE: Final = 4096  # bytes; SQLite's own
TOPICS: dict[str, Topic] = {
    "turn": "turns", "feedback": "feedback", "deletion": "feedback", "forgotten": "forgotten",
}  # fmt: skip


def stored(id: str, *, principal: str = "ann", at_ms: int = 1_000, kept: bool = True) -> Turn:
    """A turn; kept: it may be asked for again."""
    made = turn(said(f"What of {id}?"), f"This of {id}.", id=id, principal=principal,
                created_ms=at_ms)  # fmt: skip
    body = {"created_s": at_ms // 1000, "echo": {}, "instructed": False}
    return made.model_copy(update={"v": 3, "response": body if kept else None})


def deletion(of: str, *, principal: str = "ann", at_ms: int = 2_000) -> Deletion:
    return Deletion(
        id=f"del-{of}", turn_id=of, line="main", principal=principal, session="s", created_ms=at_ms
    )


def feedback(of: str, score: Literal[-1, 0, 1], *, at_ms: int = 2_000) -> Feedback:
    return Feedback(
        id=f"fb-{of}-{at_ms}", turn_id=of, line="main", principal="ann", session="s", score=score,
        created_ms=at_ms,
    )  # fmt: skip


def forgotten(principal: str = "ann", *, at_ms: int = 5_000) -> Forgotten:
    return Forgotten(
        id=f"f-{principal}-{at_ms}", principal=principal, reason="asked", who="op",
        created_ms=at_ms,
    )  # fmt: skip


def entry(record: Record, offset: int, *, taken_ms: int = 6_000) -> Entry:
    """A record as a log gives it."""
    place = Partition(TOPICS[record.KIND], 0)
    return Entry(place, offset, "k", record_id(record), encode(record), taken_ms)


def sent(record: Record) -> Outgoing:
    """A record on its way into a log."""
    return outgoing(TOPICS[record.KIND], "k", record)


def spoil(path: Path) -> None:
    """Overwrite pages in the midst of a file of replies, which opens as before."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // PAGE * PAGE
    assert middle > 8 * PAGE
    content[middle:] = b"\xff" * (len(content) - middle)
    path.write_bytes(content)
