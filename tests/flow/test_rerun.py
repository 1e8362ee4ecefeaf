"""A run without somebody repeats what an operator or the learner did, and says what it cannot."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from deploy.errors import DeployError
from deploy.operate.history import find_version, store_session
from deploy.operate.rollback import append_rollback
from learner.guards.unasked import LookBack
from learner.parts import Parts
from learner.rerun.branch import Builder, Rebuilt
from learner.rerun.rebuild import build_exact
from learner.rollout.release import Report
from learner.safety.gate import concluded
from learner.settings import LearnerSettings
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import decided, offer
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.log.contract import Log
from streams.open import open_log
from streams.records import Rollout
from streams.settings import RolloutSettings
from streams.store.lease import Lease
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow
from tests.flow.conftest import SETTINGS, Common, LearnerHome
from tests.flow.conversations import NOW_S, conversation
from tests.flow.crashes import Boundaries
from tests.flow.test_forget import (
    BOB,
    CID,
    chain_of,
    learner_home,
    nobody_moved_anything,
    promote,
    say,
    serving,
    states,
)
from tests.learner.rerun.test_known_gate import found

ONE: dict[str, Any] = {"turns_per_generation": 1, "uses": 1, "pairs": 2}


class OtherHome(LearnerHome):
    """A home whose learners are made of some other parts, too."""

    others: dict[str, Any]

    def _parts(self, store: Store, log: Log, lease: Lease) -> Parts:
        return replace(super()._parts(store, log, lease), **self.others)


def other_home(home: Path, common: Common, **others: Any) -> OtherHome:
    """Return a home in whose log Bob corrected a reply."""
    learner = OtherHome(home, common, SETTINGS.model_copy(update=ONE))
    learner.others = others
    say(learner, [BOB])
    return learner


def exact(learner: LearnerHome, principal: str, settings: LearnerSettings | None = None) -> Rebuilt:
    """Build what serves without somebody. settings: of the gate; None: the learner's."""
    store, log = open_store(learner.streams), open_log(learner.streams)
    try:
        builder = Builder(learner.base, learner.backend, settings or learner.settings)
        home = learner.streams.home
        return build_exact(store, log, builder, serving(learner), [principal], home=home)
    finally:
        log.close()
        store.close()


def state_of(learner: LearnerHome, version: str) -> str:
    """What promoting a version goes by."""
    with store_session(learner.streams) as session:
        found = find_version(session, version, line="main", now=lambda: None).generation
        assert found is not None
        return found.state


def test_what_only_they_held_may_be_promoted_without_them(tmp_path: Path, common: Common) -> None:
    """The line holds it still; what the gate said last of it alone decides whether it may serve."""
    learner = learner_home(tmp_path / "home", common, [BOB], **ONE, held_out_fitness=1e-9)
    liked = conversation(learner.base, 1, "Thanks, perfect!", CID)
    learner.say(("turns", each) for each in liked)
    learner.learn()
    learner.settings = learner.settings.model_copy(update={"held_out_fitness": 100.0})
    say(learner, [CID], first=5)
    learner.learn()
    assert states(learner) == ["held", "released"]
    asks, blind = (
        learner.settings.model_copy(update={"probes": (probe,)}) for probe in ("odds", "finite")
    )
    built = exact(learner, CID, asks)
    assert (built.passed, state_of(learner, built.version)) == (True, "passed")
    again = exact(learner, CID, blind)
    assert (again.version, again.passed, again.new) == (built.version, False, False)
    with pytest.raises(DeployError, match="the gate has not let it through"):
        promote(learner, built.version)


def change(learner: LearnerHome, make: Callable[[Line, Audit], Rollout]) -> None:
    """Change the line as its learner would, who then goes on."""
    log = open_log(learner.streams)
    now = decided(log, "main")
    assert now is not None
    offer(log, make(now, Audit(LEARNER, "seen", int(NOW_S * 1000), f"change {now.seq + 1}")))
    log.close()
    learner.learn()


@pytest.mark.slow
def test_what_was_tried_in_vain_does_not_serve(tmp_path: Path, common: Common) -> None:
    """The first candidate was aborted on evidence; the second stands on the base, here as well.

    Nobody tries them again: with nobody left out the run comes to what the first one came to.
    """
    learner = other_home(tmp_path / "home", common, rollout=RolloutSettings(policy="staged"))
    learner.learn()
    change(learner, verbs.abort)
    say(learner, [CID], first=5)
    learner.learn()
    change(learner, verbs.promote_full)
    assert states(learner) == ["released", "released"]
    assert len(chain_of(learner, serving(learner))) == 1
    nobody_moved_anything(learner)


class Fails:
    """A gate that lets nothing through."""

    def examine(self, *_: Any, **__: Any) -> Report:
        """Find that the odds fell."""
        return concluded([found("odds", 0.1, fails=True)])


class Looks:
    """Idle moments in which what serves is asked what was left out for it, and nothing else."""

    progress = (1, 1)
    is_measured = True

    def tell(self) -> None:
        """Say nothing."""

    def listening(self, _: Any) -> AbstractContextManager[None]:
        """Listen to nothing."""
        return nullcontext()

    def step(self, parts: Parts, line: Line, writing: Any, *, now_ms: int, **_: Any) -> None:
        """Look once."""
        LookBack(parts.settings).look(parts, line, writing, now_ms=now_ms)


def test_what_failed_when_it_served_is_taken_back(tmp_path: Path, common: Common) -> None:
    """It serves first, and a generation says so, as in the first run: numbers are the same."""
    learner = other_home(tmp_path / "home", common)
    learner.learn()
    store = open_store(learner.streams)
    with store.transaction() as session:
        made = session.exec(select(GenerationRow)).one()
        made.gate = made.gate | {"quick": True}
        session.add(made)
    store.close()
    learner.others = {"gate": Fails(), "idle": Looks()}
    learner.learn()
    assert (states(learner), serving(learner)) == (["released", "withdrawn"], common.base.name)
    learner.others = {}
    say(learner, [CID], first=5)
    learner.learn()
    assert states(learner)[2:] == ["released"]
    nobody_moved_anything(learner)


@dataclass
class RollsBack(Boundaries):
    """Takes back what serves as soon as the third generation is planned."""

    home: LearnerHome | None = None

    def boundary(self, name: str) -> None:
        """Pass a boundary."""
        home = self.home if name == "after a commit" else None
        if home is not None and states(home)[2:] == ["planned"]:
            self.home = None
            append_rollback(home.streams, "main", who="op", reason="worse")


def test_a_rollback_is_repeated_while_the_same_plan_is_in_hand(
    tmp_path: Path, common: Common
) -> None:
    """What the plan makes is too late, here as well; so its turn is not taken back, and learned."""
    learner = learner_home(tmp_path / "home", common, [BOB], **ONE | {"uses": 2})
    learner.learn()
    say(learner, [CID], first=5)
    learner.learn(RollsBack(home=learner))
    assert states(learner) == ["released", "released", "held", "released"]
    nobody_moved_anything(learner)
