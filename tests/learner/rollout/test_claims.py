"""What the log decided is projected into rows: who won, who was beaten."""

from pathlib import Path
from typing import Any

import pytest

from learner.rollout import claims
from streams.errors import VerbRefusedError
from streams.line import verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow

LINE = Line("main", ("base",))
OPERATOR = Audit("ann", "because", 5, "r")


def entered(line: Line, settings: RolloutSettings = RolloutSettings()) -> list[Rollout]:  # noqa: B008
    """Let the generation's child enter service."""
    return claims.entry(line, "child", settings, generation="g", reason="good", created_ms=5)


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
    one, two = (entered(LINE) for _ in range(2))
    assert one == two
    assert [record.who for record in one] == [LEARNER]


def test_a_generation_that_won_stays_released(store: Store) -> None:
    """Its own promotion came first."""
    assert state_after(store, *entered(LINE)) == "released"


@pytest.mark.parametrize(
    ("policy", "state", "share"),
    [
        ("staged", "running", 0.05),
        ("shadow", "running", 0.0),
        ("approve", "pending", 0.0),
        ("two-person", "pending", 0.0),
    ],
)
def test_the_policy_says_how_a_child_enters_service(policy: Any, state: str, share: float) -> None:
    """Only `direct` promotes at once; where a person must start it, it answers nobody yet."""
    (record,) = entered(LINE, RolloutSettings(policy=policy))
    assert (record.verb, record.candidate, record.version) == ("start", "child", "base")
    assert (record.state, record.share) == (state, share)


def test_a_newer_candidate_waits_or_replaces_as_the_settings_say() -> None:
    """With `replace` the trial that is on ends first; with `wait` there is no way in."""
    line = LINE.take(verbs.start(LINE, "older", OPERATOR, share=0.5))
    with pytest.raises(VerbRefusedError, match="older is on trial"):
        entered(line, RolloutSettings(policy="staged"))
    records = entered(line, RolloutSettings(policy="staged", pile_up="replace"))
    assert [(r.seq, r.verb, r.candidate) for r in records] == [
        (2, "abort", "older"), (3, "start", "child"),
    ]  # fmt: skip
    assert len({record.id for record in records}) == 2


def test_a_generation_whose_child_is_put_on_trial_is_not_beaten(store: Store) -> None:
    """A trial of the same child in its place is no rival."""
    assert state_after(store, verbs.start(LINE, "child", OPERATOR, share=0.1)) == "released"


def test_a_generation_that_came_second_is_held(store: Store) -> None:
    """Somebody else's change has its place: it is held, with who and why."""
    assert state_after(store, verbs.promote(LINE, "other", OPERATOR)) == "held"
    with store.reading() as session:
        reason = session.get_one(GenerationRow, "g").reason
    assert reason == "promote by ann came first: because"
