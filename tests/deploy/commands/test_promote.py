"""A version that no learner promotes is taken into service, by one operator or by two."""

from pathlib import Path

import pytest

from deploy.operate.promote import append_promotion
from streams.errors import NotAllowedError, VerbRefusedError
from streams.line import ledger
from streams.line.line import Line
from streams.line.masks import keep_mask
from streams.line.offer import decided, operate
from streams.line.verbs import Audit
from streams.log.contract import records_now
from streams.log.sqlite import SqliteLog
from streams.records import Mask, Rollout, record_id
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow
from tests.deploy.conftest import BASE, recipe

MASK = Mask(base=BASE, neurons={}, groups={})
REBUILT = recipe(1, BASE).model_copy(update={"mask": MASK.digest})
TWO = RolloutSettings(policy="two-person")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a version that was built again, and passed the gate."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        keep_mask(session, MASK, created_ms=1)
        ledger.append(session, REBUILT, created_ms=1)
        session.add(
            GenerationRow(
                id="g", line="main", number=1, parent=BASE, child=REBUILT.version, key="0" * 16,
                state="passed", turn_ids=[], planned_ms=1,
            )
        )  # fmt: skip
    return store


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    """An empty log."""
    return SqliteLog(tmp_path / "log.db")


def ask(store: Store, log: SqliteLog, who: str, settings: RolloutSettings) -> Rollout:
    with store.reading() as session:
        return append_promotion(
            session, log, "main", REBUILT.version, who=who, reason="without them", settings=settings
        )


def now(log: SqliteLog) -> Line:
    line = decided(log, "main")
    assert line is not None
    return line


def promote(log: SqliteLog, who: str) -> None:
    operate(log, now(log), "promote-full", Audit.new(who, "seen", 2), TWO)


def test_one_operator_takes_it_into_service(store: Store, log: SqliteLog) -> None:
    """At once, with what agents need to build it."""
    assert ask(store, log, "ann", RolloutSettings(policy="approve")).verb == "promote"
    assert now(log).version == REBUILT.version
    assert [record_id(each) for each in records_now(log, "recipes")][-1] == record_id(REBUILT)


def test_where_two_are_asked_for_it_goes_on_trial_and_another_promotes_it(
    store: Store, log: SqliteLog
) -> None:
    """Whoever asked has started it, and cannot promote it; a second trial is refused."""
    assert ask(store, log, "ann", TWO).verb == "start"
    line = now(log)
    assert line.trial is not None
    assert (line.version, line.trial.version) == (BASE, REBUILT.version)
    assert [record_id(each) for each in records_now(log, "recipes")][-1] == record_id(REBUILT)
    with pytest.raises(VerbRefusedError, match="on trial"):
        ask(store, log, "bob", TWO)
    with pytest.raises(NotAllowedError, match="ann started"):
        promote(log, "ann")
    promote(log, "bob")
    assert now(log).version == REBUILT.version
