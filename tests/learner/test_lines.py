"""Several lines in one store: each learner writes its own rows, and shares what all stand on."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlmodel import select

from learner.forget import store as forget
from learner.intake import take
from learner.judges.open import open_judges
from learner.settings import LearnerSettings, group_of
from learner.verdicts import Rules
from streams.log.contract import Entry, Partition, Topic
from streams.records import Forgotten, Mask, Recipe, Record, encode, record_id
from streams.settings import StreamsSettings
from streams.store import offsets
from streams.store.store import Store, open_store
from streams.store.tables import ArtefactRow, ForgottenRow, RecipeRow, TurnRow
from tests.learner.turns import said, turn

LINES = ("main", "other")
RECIPES = Partition("recipes", 0)
MASK = Mask(base="base", neurons={1: [2]}, groups={})


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store, of each kind."""
    opened = open_store(StreamsSettings(home=tmp_path, store=database))
    yield opened
    opened.close()


def read(store: Store, line: str, topic: Topic, records: Sequence[Record], start: int = 0) -> None:
    """Let a line's learner take records in one transaction."""
    entries = [
        Entry(Partition(topic, 0), start + n, "k", record_id(each), encode(each), 60_000)
        for n, each in enumerate(records)
    ]
    rules = Rules(
        line,
        open_judges(LearnerSettings(judges=("explicit", "lexical"))),
        idle_close_ms=10**9,
        max_record_bytes=2**20,
    )
    with store.transaction() as session:
        take(session, entries, rules)


def recipes(count: int, line: str) -> list[Recipe]:
    """Return a chain of recipes from the base up, as an operator's command appends it."""
    made: list[Recipe] = []
    for number in range(1, count + 1):
        made.append(
            Recipe(
                line=line, number=number, parent=made[-1].version if made else "base",
                strategy="es", noise="rank1", key=f"{number:016x}", coefficients=[1], step=1,
                sigma_log2=-4, layers=[3], modules=["q_proj"], scales=[-3], mask=MASK.digest,
                digest="0" * 64,
            )
        )  # fmt: skip
    return made


def test_learners_at_once_project_the_same_recipes(store: Store) -> None:
    """Both read every line's recipes and masks; none fails, and each row is there once."""
    chains = [recipes(15, line) for line in LINES]
    topic: list[Record] = [MASK, *chains[0], *chains[1]]
    began, failed = threading.Barrier(2), list[BaseException]()

    def learn(line: str) -> None:
        try:
            began.wait()
            for place, record in enumerate(topic):
                read(store, line, "recipes", [record], start=place)
        except BaseException as cause:
            failed.append(cause)

    threads = [threading.Thread(target=learn, args=(line,)) for line in LINES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with store.reading() as session:
        kept = session.exec(select(RecipeRow.version)).all()
        assert sorted(kept) == sorted(each.version for chain in chains for each in chain)
        assert session.exec(select(ArtefactRow.digest)).all() == [MASK.digest]
        for line in LINES:
            assert offsets.positions(session, group_of(line), [RECIPES]) == {RECIPES: len(topic)}


def test_each_line_forgets_under_its_own_lease(store: Store) -> None:
    """What the first to read the record leaves, the other line's learner takes out itself."""
    for line in LINES:
        read(store, line, "turns", [turn(said("hi"), "a secret", id=line, line=line)])
    record = Forgotten(id="f", principal="alice", reason="asked", who="op", created_ms=90_000)
    for done in (1, 2):
        read(store, LINES[done - 1], "forgotten", [record])
        with store.reading() as session:
            turns = session.exec(select(TurnRow.line).where(TurnRow.state == "forgotten")).all()
            rows = session.exec(select(ForgottenRow.line, ForgottenRow.num_turns)).all()
        assert sorted(turns) == list(LINES[:done])
        assert sorted(rows) == [(line, 1) for line in LINES[:done]]


def test_nothing_of_somebody_forgotten_comes_back_in_a_line_that_has_not_read_so(
    store: Store,
) -> None:
    """What one line's learner knows of the moment holds for the turns of all."""
    record = Forgotten(id="f", principal="alice", reason="asked", who="op", created_ms=90_000)
    with store.transaction() as session:
        forget.apply(session, record, "main")
    read(store, "other", "turns", [turn(said("hi"), "a secret", line="other")])
    with store.reading() as session:
        assert session.exec(select(TurnRow)).all() == []
