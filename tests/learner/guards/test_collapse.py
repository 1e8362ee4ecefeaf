"""The guard against collapse: a model's rewards up while something else falls, no less."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from agent.watch.safety import watched
from learner.batch.plan import REWARDS
from learner.batch.when.mode import ORDER, Orders
from learner.guards.collapse import Guard, Seen, collapsing, guard, obstacle, seen_of
from learner.settings import LearnerSettings
from streams.errors import StoreUnavailableError
from streams.line.line import Line
from streams.line.offer import order_learning
from streams.line.verbs import Audit
from streams.log.sqlite import SqliteLog
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.states import WAITING
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, JudgementRow, OutboxRow

GOOD = {"canaries": 5.0, "aboutness": 1.5, "variety": 0.9, "length": 30.0, "entropy": 4.0}


def course(rewards: list[float], **late: float) -> list[Seen]:
    """Return versions with these rewards, whose second half has other signals."""
    middle = len(rewards) // 2
    return [
        Seen(f"v{n}", f"v{n - 1}", reward, GOOD | (late if n >= middle else {}))
        for n, reward in enumerate(rewards)
    ]


@pytest.mark.parametrize(
    "late", [{"canaries": 4.0}, {"aboutness": 1.0}, {"variety": 0.5}, {"entropy": 2.0},
             {"length": 60.0}, {"length": 10.0}],
)  # fmt: skip
def test_rewards_up_while_something_falls_is_collapse(late: Mapping[str, float]) -> None:
    """Each signal is enough, and it is named."""
    why = collapsing(course([0.1, 0.2, 0.6, 0.7], **late))
    assert why is not None
    assert f"{next(iter(late))} went from" in why


def test_what_is_no_collapse() -> None:
    """Rewards that rise alone, signals that fall alone, and too few versions."""
    assert collapsing(course([0.1, 0.2, 0.6, 0.7])) is None
    assert collapsing(course([0.5, 0.5, 0.5, 0.5], canaries=1.0)) is None
    assert collapsing(course([0.1, 0.9, 0.9], canaries=1.0)) is None
    assert collapsing(course([0.1, 0.2, 0.6, 0.7], canaries=4.9, length=25.0)) is None


def write(session: Session, source: str) -> None:
    """Keep four versions that learned from rewards of one source, ever better, knowing less."""
    for number in range(1, 5):
        rows = [{"probe": "canaries", "candidate": {"value": 5.0 - number}}]
        session.add(
            GenerationRow(
                id=f"g{number}", line="main", number=number, parent=f"v{number - 1}",
                child=f"v{number}", key="0" * 16, state="released", turn_ids=[f"t{number}"],
                gate={"rows": rows}, planned_ms=number,
            )
        )  # fmt: skip
        session.add(
            JudgementRow(
                id=f"j{number}", turn_id=f"t{number}", principal="p", source=source,
                score=1 if number > 2 else 0, confidence=1.0, evidence="", created_ms=number,
            )
        )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(StreamsSettings(home=tmp_path))


def test_the_line_goes_back_and_waits_for_an_operator(store: Store) -> None:
    """Back to where these versions began; nothing is planned until somebody orders it."""
    line = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4)
    with store.transaction() as session:
        write(session, "model")
    with store.transaction() as session:
        found = guard(session, line, LearnerSettings(), RolloutSettings(), now_ms=9)
        assert found is not None
        row, change = found
        session.add(row)
    assert change is not None
    assert (change.verb, change.version) == ("rollback", "v0")
    assert "rewards rose" in change.reason
    with store.reading() as session:
        why = obstacle(session, "main")
    assert why is not None
    assert "quickset learn" in why


def test_what_was_ordered_before_does_not_go_on(store: Store, tmp_path: Path) -> None:
    """An order that waited for something to learn from knew of no stop; a later one does."""
    line, log = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4), SqliteLog(tmp_path / "log.db")
    orders = Orders("main")
    order_learning(log, "main", Audit("ann", "now", 1, "before"))
    orders.read_all(log)
    with store.transaction() as session:
        write(session, "model")
        assert orders.open(session) is not None
    looks = Guard(LearnerSettings(), RolloutSettings(), orders)
    assert looks.look(store, store.transaction, line, now_ms=9) is not None
    again = Orders("main")
    again.read_all(log)
    for known in (orders, again):
        with store.reading() as session:
            assert known.open(session) is None
            assert obstacle(session, "main") is not None
    order_learning(log, "main", Audit("ann", "it was the judge", 10, "since"))
    orders.read_all(log)
    with store.transaction() as session:
        since = orders.open(session)
        assert since is not None
        session.add(generation(6, state="released", child="v5", horizon={ORDER: since.id}))
        session.flush()
        assert obstacle(session, "main") is None
    log.close()


def generation(number: int, **told: Any) -> GenerationRow:
    return GenerationRow(
        id=f"g{number}", line="main", number=number, parent="v0", key="0" * 16, turn_ids=[],
        planned_ms=number, **told,
    )  # fmt: skip


def test_only_an_order_goes_on(store: Store) -> None:
    """A lesson that is set aside, or a version taken back, lifts no stop; a second stop is one."""
    collapse = {"state": "withdrawn", "withdraws": {"collapse": True}, "reason": "collapse: so"}
    with store.transaction() as session:
        session.add(generation(1, **collapse))
        session.add(generation(2, state="withdrawn", withdraws={"lessons": ["l"], "to": "v0"}))
        session.add(generation(3, state="withdrawn", withdraws={"probes": True, "to": "v0"}))
    assert "collapse: so" in (why_stopped(store) or "")
    with store.transaction() as session:
        session.add(generation(4, state="void", horizon={"order": "o", "seq": 3}))
        session.add(generation(5, state="released", child="v5", horizon={"seq": 4}))
    assert why_stopped(store) is None
    with store.transaction() as session:
        session.add(generation(6, **collapse))
        session.add(generation(7, state="withdrawn", withdraws={"lessons": ["l"], "to": "v0"}))
    assert why_stopped(store) is not None


def why_stopped(store: Store) -> str | None:
    """Return why the line is stopped; the Safety page says so when the learner does."""
    with store.reading() as session:
        why = obstacle(session, "main")
        assert (watched(session, "main")["stopped"] is None) == (why is None)
    return why


@pytest.mark.parametrize(
    ("policy", "goes_back"),
    [("direct", True), ("staged", True), ("shadow", True), ("approve", False),
     ("two-person", False)],
)  # fmt: skip
def test_it_goes_back_unless_an_operator_is_asked(
    store: Store, policy: str, goes_back: bool
) -> None:
    """Whether candidates serve at once, in steps or unseen first; it stops in any case."""
    line = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4)
    rollout = RolloutSettings.model_validate({"policy": policy})
    with store.transaction() as session:
        write(session, "model")
        found = guard(session, line, LearnerSettings(), rollout, now_ms=9)
        assert found is not None
        row, change = found
        session.add(row)
        assert (change is not None) == goes_back
        assert obstacle(session, "main") is not None


def test_a_store_that_fails_hides_no_collapse(store: Store) -> None:
    """What could not be written is found and written again, and once."""
    line = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4)
    with store.transaction() as session:
        write(session, "model")

    def broken() -> AbstractContextManager[Session]:
        raise StoreUnavailableError("away")

    looks = Guard(LearnerSettings(), RolloutSettings(), Orders("main"))
    with pytest.raises(StoreUnavailableError):
        looks.look(store, broken, line, now_ms=9)
    why = looks.look(store, store.transaction, line, now_ms=9)
    assert why is not None
    assert "rewards rose" in why
    assert looks.look(store, store.transaction, line, now_ms=9) is None
    with store.reading() as session:
        assert len(session.exec(select(OutboxRow)).all()) == 1


def test_what_waits_for_its_judge_is_no_reward(store: Store) -> None:
    """Two versions of which nothing was said yet, and two of praise, are no rise."""
    line = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4)
    with store.transaction() as session:
        write(session, "model")
        for number in (1, 2):
            waits = session.get_one(JudgementRow, f"j{number}")
            waits.confidence, waits.evidence = 0.0, WAITING
            session.add(waits)
        assert [each.version for each in seen_of(session, line)] == ["v3", "v4"]
        assert guard(session, line, LearnerSettings(), RolloutSettings(), now_ms=9) is None


def test_an_answer_that_came_after_the_plan_is_no_reward_of_it(store: Store) -> None:
    """Its version did not learn from it: what the plan notes counts, nothing included."""
    line = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4)
    noted = {1: 0.2, 2: None, 3: 0.25, 4: 0.3}
    with store.transaction() as session:
        write(session, "model")
        for number, reward in noted.items():
            row = session.get_one(GenerationRow, f"g{number}")
            row.horizon = {REWARDS: reward}
            session.add(row)
        found = {each.version: each.reward for each in seen_of(session, line)}
        assert found == {"v1": 0.2, "v3": 0.25, "v4": 0.3}
        assert guard(session, line, LearnerSettings(), RolloutSettings(), now_ms=9) is None


def test_rewards_of_people_may_rise(store: Store) -> None:
    """What people said is no pseudo-reward: the gate and the rollout judge that."""
    line = Line("main", ("v0", "v1", "v2", "v3", "v4"), 4)
    with store.transaction() as session:
        write(session, "explicit")
        assert guard(session, line, LearnerSettings(), RolloutSettings(), now_ms=9) is None
        assert obstacle(session, "main") is None
