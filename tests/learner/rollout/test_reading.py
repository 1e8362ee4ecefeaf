"""What the learner's models read of a trial's replies: first turns, once; of liked ones, more."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlmodel import select

from kernels.contract import Backend
from learner.rollout.evidence.first import First
from learner.rollout.evidence.reading import AT_ONCE, Reader
from learner.serving import Serving
from streams.line import ledger
from streams.model.open import BaseModel
from streams.records import Mask
from streams.settings import RolloutSettings
from streams.store.store import Store
from streams.store.tables import JudgementRow, TurnRow
from tests.agent.lineage import LAYERS, MODULES, Lineage
from tests.learner.rollout.stage import SETTINGS, Stage


@pytest.fixture
def stage(trials_store: Store, tiny_base: BaseModel) -> Stage:
    """A line whose candidate is a real version of the tiny model."""
    lineage = Lineage(tiny_base)
    recipe = lineage.next()
    stage = Stage(trials_store, base=tiny_base.name)
    with trials_store.transaction() as session:
        ledger.append(session, recipe, created_ms=1)
    stage.start(recipe.version)
    return stage


def reader_of(base: BaseModel, backend: Backend, rollout: RolloutSettings = SETTINGS) -> Reader:
    """Open a reader over the serving version."""
    mask: Mask = Lineage(base).mask
    serving = Serving(base, backend, mask, layers=LAYERS, modules=MODULES)
    return Reader(serving, rollout, backend=backend, pause=lambda: None)


def test_first_turns_are_read_a_few_at_a_look_and_once(
    stage: Stage, tiny_base: BaseModel, backend: Backend
) -> None:
    """Aboutness of both versions' replies; of what people liked, how likely it has become, too."""
    reader = reader_of(tiny_base, backend)
    stage.judged(6, candidate=1, stable=1)
    stage.judged(5, candidate=1, stable=1, principal="loud")
    with stage.store.reading() as session:
        read = [reader.step(session, stage.line) for _ in range(5)]
    assert read[0] == AT_ONCE
    assert read[-1] == 0
    versions = {row.id: row.version for row in rows(stage)}
    assert len(reader.found) < 11  # a voice is one turn here, however much somebody says
    for id, found in reader.found.items():
        assert "aboutness" in found
        assert ("liked" in found) == (versions[id] == tiny_base.name)
    assert any(abs(found.get("liked", 0.0)) > 0 for found in reader.found.values())


def test_however_much_one_principal_says_first_others_are_read(
    stage: Stage, tiny_base: BaseModel, backend: Backend
) -> None:
    """A batch job that fills the beginning of a trial keeps nobody else unread."""
    reader = reader_of(tiny_base, backend)
    stage.judged(1, candidate=1, stable=1, principal="batch job", all_by="stable")
    (one,) = rows(stage)
    stage.judged(2, candidate=1, stable=1, all_by="candidate")
    # as many of one key as were once looked through at all, and more, before anybody else's
    many = [
        one.model_dump() | {"id": f"{one.id}-{number}", "sequence": -number}
        for number in range(1, 2500)
    ]
    with stage.store.transaction() as session:
        session.execute(insert(TurnRow), many)
    with stage.store.reading() as session:
        read = [reader.step(session, stage.line) for _ in range(2)]
    assert read == [3, 0]
    spoken = {row.id: row.principal for row in rows(stage)}
    assert len({spoken[id] for id in reader.found}) == 3


def test_a_look_reads_no_more_records_than_it_needs(trials_store: Store) -> None:
    """Those of the turns at the beginning, and later none of anybody who has a voice by then."""
    stage = Stage(trials_store)
    stage.start()
    for person in range(2):
        stage.judged(100, candidate=1, stable=1, principal=f"p{person}", all_by="stable")
    first = First()

    def taken(most: int | None) -> tuple[list[str], int]:
        with stage.store.reading() as session, records_asked(stage.store) as asked:
            turns = first.of(session, stage.line, 0, size=2)
            return [turn.principal for turn in islice(turns, most)], sum(asked)

    assert taken(0) == ([], 0)
    assert taken(1) == (["p0"], 50)
    assert taken(None) == (["p0", "p0", "p1", "p1"], 50)
    assert taken(None) == (["p0", "p0", "p1", "p1"], 0)


def test_what_is_liked_later_is_read_again(
    stage: Stage, tiny_base: BaseModel, backend: Backend
) -> None:
    """A verdict comes with somebody's next words: what was read before knew of none."""
    reader = reader_of(tiny_base, backend)
    stage.judged(4, candidate=0, stable=0, unjudged=True, all_by="stable")
    with stage.store.transaction() as session:
        for row in rows(stage):
            held = session.get_one(TurnRow, row.id)
            held.state = "linked"
            session.add(held)
    with stage.store.reading() as session:
        reader.step(session, stage.line)
    assert not any("liked" in found for found in reader.found.values())
    first = rows(stage)[0]
    with stage.store.transaction() as session:
        held = session.get_one(TurnRow, first.id)
        held.state = "judged"
        session.add(held)
        session.add(
            JudgementRow(
                id=f"j-{first.id}", turn_id=first.id, principal=first.principal,
                source="explicit", score=1, confidence=1.0, evidence="said", created_ms=5,
            )
        )  # fmt: skip
    with stage.store.reading() as session:
        assert reader.step(session, stage.line) == 1
    assert "liked" in reader.found[first.id]


def test_where_neither_is_watched_nothing_is_read(
    stage: Stage, tiny_base: BaseModel, backend: Backend
) -> None:
    """Forward passes cost; and when the trial is over, nothing is kept."""
    off = SETTINGS.model_copy(update={"max_aboutness_nats": None, "max_liked_nats": None})
    reader = reader_of(tiny_base, backend, off)
    stage.judged(4, candidate=1, stable=1)
    with stage.store.reading() as session:
        assert reader.step(session, stage.line) == 0
    assert reader.found == {}


def rows(stage: Stage) -> list[TurnRow]:
    """Read the turns of the line."""
    with stage.store.reading() as session:
        return list(session.exec(select(TurnRow).where(TurnRow.line == stage.name)))


@contextmanager
def records_asked(store: Store) -> Iterator[list[int]]:
    """Note of how many turns each statement asks for the record."""
    asked: list[int] = []

    def note(_: Any, __: Any, statement: str, given: Any, ___: Any, ____: bool) -> None:
        if "turns.record" in statement:
            asked.append(len(given))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
