"""A store, and a learner's intake that takes turns one by one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from learner.intake import take
from learner.judges.open import open_judges
from learner.settings import LearnerSettings
from learner.verdicts import Rules
from streams.log.contract import Entry, Partition, Topic
from streams.records import Record, encode, record_id
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import TurnRow

RULES = Rules(
    line="main",
    judges=open_judges(LearnerSettings(judges=("explicit", "lexical"))),
    idle_close_ms=10**12,
    max_record_bytes=2**22,
)


class Taken:
    """Turns go in, rows come out."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._offsets = dict[Topic, int]()

    def __call__(self, *records: Record, topic: Topic = "turns") -> None:
        """Take records, each in a transaction of its own."""
        for record in records:
            offset = self._offsets.get(topic, 0)
            self._offsets[topic] = offset + 1
            name, said_ms = record_id(record), getattr(record, "created_ms", 0)
            entry = Entry(Partition(topic, 0), offset, "k", name, encode(record), said_ms)
            with self.store.transaction() as session:
                take(session, [entry], RULES)

    def row(self, id: str) -> TurnRow:
        """Read a turn."""
        with self.store.reading() as session:
            return session.get_one(TurnRow, id)

    def link(self, id: str) -> tuple[str | None, str | None, str | None]:
        """What follows a turn: the request, the kind of link, and its layer."""
        row = self.row(id)
        return row.next_turn, row.next_kind, row.next_layer


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Taken]:
    """An empty store with an intake."""
    store = open_store(StreamsSettings(home=tmp_path))
    yield Taken(store)
    store.close()
