"""What the log decided is projected into rows: who won, who was beaten."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from learner.rollout import claims
from streams.errors import VerbRefusedError
from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, RolloutRow, TurnRow
from tests.plans import plans

LINE = Line("main", ("base",))
OPERATOR = Audit("ann", "because", 5, "r")
SERVED = verbs.promote(LINE, "served", Audit("ann", "good", 5, "p"))
OLDER = verbs.start(LINE.take(SERVED), "older", Audit("ann", "try", 5, "s"), share=0.5)
TRIED = LINE.take(SERVED).take(OLDER)  # what served, and a candidate beside it
REPLACE = RolloutSettings(policy="staged", pile_up="replace")


def entered(line: Line, settings: RolloutSettings = RolloutSettings()) -> Rollout:  # noqa: B008
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


@pytest.fixture
def replacing(store: Store) -> Store:
    """A store in which a generation's child has offered to end the trial that is on."""
    with store.transaction() as session:
        generation = session.get_one(GenerationRow, "g")
        generation.parent, generation.seq, generation.reason = "served", 3, "good"
        session.add(generation)
        for change in (SERVED, OLDER):
            assert claims.project(session, change)
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
    assert one.who == LEARNER


def test_a_generation_that_won_stays_released(store: Store) -> None:
    """Its own promotion came first."""
    assert state_after(store, entered(LINE)) == "released"


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
    record = entered(LINE, RolloutSettings(policy=policy))
    assert (record.verb, record.candidate, record.version) == ("start", "child", "base")
    assert (record.state, record.share) == (state, share)


def test_a_newer_candidate_waits_or_replaces_as_the_settings_say() -> None:
    """With `replace` the trial that is on ends first; with `wait` there is no way in."""
    with pytest.raises(VerbRefusedError, match="older is on trial"):
        entered(TRIED, RolloutSettings(policy="staged"))
    record = entered(TRIED, REPLACE)
    assert (record.seq, record.verb, record.candidate) == (3, "abort", "older")


def test_a_newer_candidate_starts_once_the_end_of_the_older_has_counted(replacing: Store) -> None:
    """It claims the next place, also after a restart, and until its start has come back."""
    end = entered(TRIED, REPLACE)
    assert state_after(replacing, end) == "released"
    with replacing.reading() as session:
        line = claims.line_now(session, LINE)
        start, again = (claims.due(session, line, REPLACE) for _ in range(2))
        assert claims.awaited(session, "main") == 4
        assert claims.due(session, TRIED, REPLACE) is None
    assert start is not None
    assert (start, start.id == end.id) == (again, False)
    assert (start.seq, start.verb, start.candidate) == (4, "start", "child")
    assert (start.version, start.share, start.reason) == ("served", 0.05, "good")
    assert state_after(replacing, start) == "released"
    with replacing.reading() as session:
        assert claims.due(session, claims.line_now(session, LINE), REPLACE) is None


@pytest.mark.parametrize(
    ("verb", "ended"),
    [
        ("reset", False), ("rollback", False), ("promote_full", False), ("pause", False),
        ("abort", False), ("reset", True), ("rollback", True), ("promote", True),
    ],
)  # fmt: skip
def test_what_an_operator_does_to_the_trial_that_is_replaced_stays(
    replacing: Store, verb: str, ended: bool
) -> None:
    """Before its end, and before the next start: the newer candidate is held, and not served."""
    line = TRIED
    if ended:
        end = entered(TRIED, REPLACE)
        state_after(replacing, end)
        line = line.take(end)
    named = {"reset": ["base"], "promote": ["other"]}.get(verb, [])
    change = getattr(verbs, verb)(line, *named, OPERATOR)
    assert state_after(replacing, change) == "held"
    assert line.take(change).take(entered(TRIED, REPLACE)) == line.take(change)
    with replacing.reading() as session:
        now = claims.line_now(session, LINE)
        assert claims.due(session, now, REPLACE) is None
        assert claims.awaited(session, "main") == 0
    assert now == line.take(change)


@pytest.mark.parametrize(("verb", "goes_on"), [("pause", True), ("reset", False)])
def test_a_trial_that_went_on_meanwhile_is_replaced_and_a_reset_is_not(
    store: Store, verb: str, goes_on: bool
) -> None:
    """The same version serves as at planning in both cases; a reset stops what was under way."""
    started = verbs.start(LINE, "older", Audit("ann", "try", 5, "s"), share=0.5)
    tried = LINE.take(started)
    named = ["base"] if verb == "reset" else []
    change = getattr(verbs, verb)(tried, *named, OPERATOR)
    with store.transaction() as session:
        for made in (started, change):
            session.add(RolloutRow(**made.model_dump()))
    with store.reading() as session:
        found = claims.claimed(session, tried, "base", REPLACE)
    assert found.seq == (2 if goes_on else 1)


@pytest.mark.parametrize("ends", [("reset", "learn"), ("promote_full", "rollback"), ("pause",)])
def test_only_a_trial_beside_the_parent_is_replaced_while_a_generation_runs(
    store: Store, ends: tuple[str, ...]
) -> None:
    """That the parent serves again, and is learned on again, makes no reset or rollback undone."""
    line = LINE
    with store.transaction() as session:
        generation = session.get_one(GenerationRow, "g")
        generation.horizon, generation.state = {"seq": 0}, "planned"
        for verb in ("start", *ends):
            named = {"reset": ["base"], "start": ["older"]}.get(verb, [])
            rest = {"share": 0.5} if verb == "start" else {}
            change = getattr(verbs, verb)(line, *named, OPERATOR, **rest)
            session.add(RolloutRow(**change.model_dump() | {"id": verb}))
            line = line.take(change)
        found = claims.claimed(session, LINE, "base", REPLACE)
        generation.seq = found.seq + 1
        assert (line.version, line.learning, found) == ("base", True, line)
        assert claims.hold_if_late(session, generation) == (ends != ("pause",))
        if ends != ("pause",):
            first = ends[0].replace("_", "-")
            assert generation.reason == f"{first} by ann came first: because"


def test_a_generation_whose_child_is_put_on_trial_is_not_beaten(store: Store) -> None:
    """A trial of the same child in its place is no rival."""
    assert state_after(store, verbs.start(LINE, "child", OPERATOR, share=0.1)) == "released"


def test_a_generation_that_came_second_is_held(store: Store) -> None:
    """Somebody else's change has its place: it is held, with who and why."""
    assert state_after(store, verbs.promote(LINE, "other", OPERATOR)) == "held"
    with store.reading() as session:
        reason = session.get_one(GenerationRow, "g").reason
    assert reason == "promote by ann came first: because"


def test_what_is_taken_back_is_found_by_its_version_and_read_no_further(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the turns that a version taken back learned from are closed, by their ids alone."""
    with store.transaction() as session:
        session.get_one(GenerationRow, "g").turn_ids = ["a"]
        for id in "ab":
            session.add(
                TurnRow(
                    id=id, line="main", version="base", principal="ann", session="s", key="k",
                    prefix_key="", state="judged", sequence=1, record={}, created_ms=1, taken_ms=1,
                )
            )  # fmt: skip
    chains: dict[str, list[Any]] = {"child": [SimpleNamespace(version="child")]}
    monkeypatch.setattr(ledger, "chain", lambda _, version: chains.get(version, []))
    line = LINE.take(entered(LINE))
    back = verbs.rollback(line, OPERATOR)
    with store.transaction() as session:
        assert claims.project(session, entered(LINE))
    with plans(store.engine) as noted, store.transaction() as session:
        assert claims.project(session, back)
    with store.reading() as session:
        states = {id: session.get_one(TurnRow, id).state for id in "ab"}
    assert states == {"a": "closed", "b": "judged"}
    assert any("ix_generations_child" in step for steps in noted.found.values() for step in steps)
    assert not any("generations.fitness" in each and "child IN" in each for each in noted.found)
