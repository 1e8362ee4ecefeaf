"""A trial through faults: a controller that dies, a log or store that is away, two at once.

The learner is the real one, on the tiny model, over a real log and store: in a folder, and on Kafka
and PostgreSQL. Its mode is manual, so that it steers the trial and makes no generation.
"""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from learner.loop import Learner
from learner.parts import Parts
from streams.errors import ConflictError, LogUnavailableError, StoreUnavailableError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import counted, decided, operate
from streams.line.share import belongs
from streams.line.verbs import Audit
from streams.log.contract import Log, outgoing
from streams.open import open_log
from streams.records import Feedback, Record, Rollout, Verb
from streams.settings import RolloutSettings
from streams.store.lease import Clocks, Lease
from streams.store.store import Store, reach_store
from tests.flow.conftest import SETTINGS, Common, LearnerHome, Stack
from tests.flow.conversations import NOW_S
from tests.flow.crashes import Boundaries, KilledError
from tests.learner.turns import said, turn

pytestmark = pytest.mark.timeout(600)  # a broker and a database start, on few cores

STAGED = RolloutSettings(
    policy="staged", steps=(0.5,), soak_s=0, deadline_s=10**6, margin=1.0, min_principals=3,
    voice_turns=1, max_aboutness_nats=None, max_liked_nats=None,
)  # fmt: skip
MANUAL = SETTINGS.model_copy(update={"mode": "manual"})
PEOPLE = 24
END = [("start", "running"), ("step", "completed")]


class TrialHome(LearnerHome):
    """A home with a candidate on trial, and learners that steer it; time passes at every look."""

    def _parts(self, store: Store, log: Log, lease: Lease) -> Parts:
        parts = super()._parts(store, log, lease)
        times = itertools.count(NOW_S, 3.0)
        return dataclasses.replace(parts, rollout=STAGED, clock=lambda: next(times))

    def begin(self) -> None:
        """Put a candidate on trial, which people like better than what serves."""
        base = self.base.name
        start = verbs.start(Line("main", (base,)), "new", Audit("ann", "try it", 1, "s"), share=0.5)
        self.say([("rollouts", start)])
        spoken: list[tuple[Any, Record]] = []
        for person in range(PEOPLE):
            asked = turn(
                said(f"question {person}"), "reply", id=f"t{person}", principal=f"p{person}"
            )
            own = belongs(asked.session, "new", 0.5)
            spoken.append(("turns", asked.model_copy(update={"version": "new" if own else base})))
            given = Feedback(
                id=f"f{person}", turn_id=asked.id, line="main", principal=asked.principal,
                session=asked.session, score=1 if own else -1, created_ms=2,
            )  # fmt: skip
            spoken.append(("feedback", given))
        self.say(spoken)

    def changes(self) -> list[Rollout]:
        """Return the changes that count, by the log."""
        log = open_log(self.streams)
        try:
            return counted(log, "main")
        finally:
            log.close()

    @contextmanager
    def learner(self, store: Store, log: Log) -> Iterator[Learner]:
        """A learner over a store and a log of the test's choice."""
        clocks = Clocks(wall=lambda: NOW_S + 10**6)
        lease = Lease(store, self._group, holder="the test", clocks=clocks)
        assert lease.acquire()
        learner = Learner(self._parts(store, log, lease))
        try:
            yield learner
        finally:
            learner.close()


Homes = Callable[[str], TrialHome]


@pytest.fixture
def homes(stack: Stack, common: Common, tmp_path: Path) -> Homes:
    """Makes homes by name, each with the same trial and the same people."""

    def make(name: str) -> TrialHome:
        home = TrialHome(tmp_path / name, common, MANUAL, streams=stack(name))
        home.begin()
        return home

    return make


def told(changes: list[Rollout]) -> list[tuple[str, str]]:
    return [(each.verb, each.state) for each in changes]


def test_a_controller_that_dies_in_mid_step_takes_it_once(homes: Homes) -> None:
    """Killed before or after any commit or append: the next one ends the trial as it would have."""
    straight, boundaries = homes("straight"), Boundaries()
    straight.learn(boundaries)
    assert told(straight.changes()) == END
    # before it decides a learner only reads, which tests/flow/test_learner_faults.py kills
    last = boundaries.passed
    for place in range(last - 6, last + 1, 2) if straight.streams.log == "sqlite" else (last - 3,):
        home = homes(f"killed-{place}")
        with suppress(KilledError):  # elsewhere a poll may bring more at once
            home.learn(Boundaries(dies_at=place))
        home.learn()
        changes = home.changes()
        assert told(changes) == END
        assert [each.seq for each in changes] == [1, 2]
        assert changes[1].id == straight.changes()[1].id


class AwayLog:
    """A log that can be away."""

    def __init__(self, log: Log) -> None:
        self._log, self.away = log, False

    def __getattr__(self, name: str) -> Any:
        if self.away and name != "close":
            raise LogUnavailableError("the broker is away")
        return getattr(self._log, name)


class AwayStore(Store):
    """A store that can be away."""

    away = False

    @contextmanager
    def reading(self) -> Iterator[Session]:
        self._prove()
        with super().reading() as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self._prove()
        with super().transaction() as session:
            yield session

    def _prove(self) -> None:
        if self.away:
            raise StoreUnavailableError("the database is away")


def until_ended(learner: Learner, home: TrialHome) -> None:
    """Let a learner go on until nothing is on trial."""
    for _ in range(100):
        learner.step(wait_s=0.2)
        if home.changes()[-1].state == "completed":
            return
    raise AssertionError(f"the trial does not end: {told(home.changes())}")


@pytest.mark.parametrize("which", ["log", "database"])
def test_while_something_is_away_nothing_is_promoted(homes: Homes, which: str) -> None:
    """Both versions go on as they were; when it is back the trial goes on, and once."""
    home = homes("away")
    log = AwayLog(open_log(home.streams))
    store = AwayStore(reach_store(home.streams).url.render_as_string(False))
    away = log if which == "log" else store
    with home.learner(store, log) as learner:
        away.away = True
        for _ in range(5):
            with pytest.raises((LogUnavailableError, StoreUnavailableError)):
                learner.step(wait_s=0)
        assert told(home.changes()) == END[:1]
        away.away = False
        until_ended(learner, home)
        for _ in range(3):
            learner.step(wait_s=0)
    assert told(home.changes()) == END
    log._log.close()
    store.close()


def test_two_operators_at_once_one_counts(homes: Homes) -> None:
    """Both saw the same line and write at the same moment: one is told that the other was first."""
    home = homes("two")
    outcomes: list[str] = []
    ready = threading.Barrier(2)

    def use(verb: Verb, who: str) -> None:
        log = open_log(home.streams)
        line = decided(log, "main")
        assert line is not None
        ready.wait(60)
        try:
            operate(log, line, verb, Audit.new(who, "because", 5), STAGED)
            outcomes.append(f"{who} counts")
        except ConflictError:
            outcomes.append(f"{who} is told")
        log.close()

    verbs_of: dict[str, Verb] = {"ann": "promote-full", "bob": "abort"}
    threads = [threading.Thread(target=use, args=(verb, who)) for who, verb in verbs_of.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert sorted(text.split(" ", 1)[1] for text in outcomes) == ["counts", "is told"]
    changes = home.changes()
    assert [each.seq for each in changes] == [1, 2]
    assert f"{changes[1].who} counts" in outcomes


def test_a_learner_that_was_beaten_says_no_more(homes: Homes) -> None:
    """An operator ends the trial while the learner's step is on its way: it counts for nothing."""
    home = homes("beaten")
    log = open_log(home.streams)
    line = decided(log, "main")
    assert line is not None
    late = verbs.step(line, STAGED.shares, Audit("learner", "judged better", 9, "late"))
    operate(log, line, "abort", Audit("ann", "no", 8, "first"), STAGED)
    log.append([outgoing("rollouts", "main", late)])
    log.close()
    home.learn()
    assert told(home.changes()) == [("start", "running"), ("abort", "aborted")]
