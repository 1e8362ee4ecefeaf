"""What the log decided is projected into rows: who won, who was beaten."""

from pathlib import Path

import pytest

from learner.rollout import claims
from streams.line import verbs
from streams.line.line import Line
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow

LINE = Line("main", ("base",))
OPERATOR = Audit("ann", "because", 5, "r")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which a generation's child claims the line's first place."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        session.add(
            GenerationRow(
                id="g", line="main", number=1, parent="base", child="child", key="0" * 16,
                state="released", seq=1, turn_ids=[], planned_ms=1, done_ms=2,
            )
        )  # fmt: skip
    return store


def state_after(store: Store, rollout: Rollout) -> str:
    """Project a rollout, and return what became of the generation."""
    with store.transaction() as session:
        assert claims.project(session, rollout)
        assert not claims.project(session, rollout)
    with store.reading() as session:
        return session.get_one(GenerationRow, "g").state


def test_a_promotion_says_the_same_when_it_is_made_again() -> None:
    """A crash between commit and publication repeats the record, and no second one."""
    one, two = (
        claims.promotion(LINE, "child", generation="g", reason="good", created_ms=5)
        for _ in range(2)
    )
    assert one == two
    assert one.who == claims.LEARNER


def test_a_generation_that_won_stays_released(store: Store) -> None:
    """Its own promotion came first."""
    own = claims.promotion(LINE, "child", generation="g", reason="good", created_ms=5)
    assert state_after(store, own) == "released"


def test_a_generation_whose_child_is_put_on_trial_is_not_beaten(store: Store) -> None:
    """A trial of the same child in its place is no rival."""
    assert state_after(store, verbs.start(LINE, "child", OPERATOR, share=0.1)) == "released"


def test_a_generation_that_came_second_is_held(store: Store) -> None:
    """Somebody else's change has its place: it is held, with who and why."""
    assert state_after(store, verbs.promote(LINE, "other", OPERATOR)) == "held"
    with store.reading() as session:
        reason = session.get_one(GenerationRow, "g").reason
    assert reason == "promote by ann came first: because"
