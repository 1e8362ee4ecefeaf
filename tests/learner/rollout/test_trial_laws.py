"""The laws of trials, whatever operators, races, crashes, clocks and people do."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import col, select

from learner.rollout import claims
from learner.rollout.evidence.observe import SETTLE_MS
from learner.rollout.trials import Trials
from streams.errors import VerbRefusedError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import OPERATORS
from streams.line.share import belongs
from streams.records import Verb
from streams.store.store import Store
from streams.store.tables import RolloutRow, TrialRow
from tests.learner.rollout.shadowed import SHADOW, Shadow
from tests.learner.rollout.stage import SETTINGS, Clock, Stage

# Guardrails that are asked for in every step, seen or unseen, by these settings.
ALWAYS_ASKED = ("refusals", "errors", "length")


class TrialLaws(RuleBasedStateMachine):
    """Operators, people, crashes and clocks in any order, on a line of its own."""

    store: Store

    def staged(self) -> Stage:
        return Stage(self.store)

    @initialize()
    def begin(self) -> None:
        self.stage = self.staged()
        self.served: list[str] = []
        self.candidates = 0

    @rule(pending=st.booleans())
    @precondition(lambda self: self.stage.line.trial is None)
    def release(self, pending: bool) -> None:
        self.candidates += 1
        self.stage.start(f"{self.stage.name}-candidate-{self.candidates}", pending=pending)

    @rule(verb=st.sampled_from(sorted(OPERATORS)), who=st.sampled_from(["ann", "bob"]))
    def operate(self, verb: Verb, who: str) -> None:
        line = self.stage.line
        try:
            change = OPERATORS[verb](line, self.stage.rollout, self.stage.audit(who))
        except VerbRefusedError:
            return
        self.stage.append(change)

    @rule()
    def roll_back(self) -> None:
        if self.stage.line.previous is not None:
            self.stage.append(verbs.rollback(self.stage.line, self.stage.audit("ann")))

    @rule(number=st.integers(1, 40), candidate=st.integers(-1, 1), stable=st.integers(-1, 1))
    def talk(self, number: int, candidate: int, stable: int) -> None:
        self.stage.judged(number, candidate=candidate, stable=stable)

    @rule(seconds=st.sampled_from([0.0, 5.0, 61.0, 3700.0]))
    def wait(self, seconds: float) -> None:
        self.stage.clock.now_s += seconds

    @rule(beaten=st.booleans())
    def look(self, beaten: bool) -> None:
        offered = self.stage.look()
        if offered is None:
            return
        assert offered == offered.model_copy(update={"seq": self.stage.line.seq + 1})
        if offered.state == "completed":
            self.prove_promotion()
        elif offered.verb == "step":
            self.prove_data()
        if beaten and "pause" in verbs.valid(self.stage.line):
            self.stage.append(verbs.pause(self.stage.line, self.stage.audit("bob")))
        self.stage.append(offered)

    @rule(jump_s=st.sampled_from([-3600.0, 0.0, 10_000.0]))
    def crash(self, jump_s: float) -> None:
        """Start again from the records, perhaps with a clock that was set meanwhile."""
        self.stage.clock = Clock(self.stage.clock() + max(jump_s, 0.0))
        self.stage.trials = Trials(self.stage.rollout, clock=self.stage.clock)
        line = Line(self.stage.name, ("base",))
        for record in self.stage.records:
            line = line.take(record)
        assert line == self.stage.line

    def prove_promotion(self) -> None:
        """What the learner promotes was judged by enough people, and is not worse."""
        with self.store.reading() as session:
            seen = session.get_one(TrialRow, self.stage.name)
        judged, trial = seen.body["judged"], self.stage.line.trial
        assert trial is not None
        assert (seen.candidate, trial.state) == (trial.version, "running")
        assert judged["low"] > -SETTINGS.margin
        assert min(judged["candidate"], judged["stable"]) >= SETTINGS.min_principals

    def prove_data(self) -> None:
        """No step on missing data: what is asked for was heard of enough people on both."""
        with self.store.reading() as session:
            body = session.get_one(TrialRow, self.stage.name).body
        trial = self.stage.line.trial
        assert trial is not None
        asked = [rail for rail in body["guardrails"] if rail["name"] in ALWAYS_ASKED]
        assert asked
        for found in asked if trial.unseen else [*asked, body["judged"]]:
            assert found["candidate"] >= SETTINGS.min_principals

    @invariant()
    def holds(self) -> None:
        """One version serves, the store says the same as the log, and no seq is left out."""
        if not hasattr(self, "stage"):
            return
        with self.store.reading() as session:
            query = select(RolloutRow.seq).where(RolloutRow.line == self.stage.name)
            seqs = list(session.exec(query.order_by(col(RolloutRow.seq))))
            known = claims.line_now(session, Line(self.stage.name, ("base",)))
        assert seqs == list(range(1, len(seqs) + 1))
        assert known == self.stage.line
        assert known.trial is None or known.trial.version != known.version


class ShadowLaws(TrialLaws):
    """The same, of candidates that at first answer beside what serves, seen by nobody."""

    def staged(self) -> Stage:
        return Shadow(self.store, rollout=SHADOW)

    @rule(number=st.integers(1, 8), declines=st.booleans())
    @precondition(lambda self: bool(self.stage.line.trial and self.stage.line.trial.unseen))
    def answer_beside(self, number: int, declines: bool) -> None:
        """People are answered by what serves; the candidate answers the same, unseen."""
        assert isinstance(self.stage, Shadow)
        unseen = "I'm sorry, but I can't help with that." if declines else "Paris"
        trial = self.stage.line.trial
        assert trial is not None
        self.stage.beside(number, "Paris", unseen, candidate=trial.version)
        self.stage.clock.now_s += SETTLE_MS / 1000

    @invariant()
    def is_seen_by_nobody(self) -> None:
        """An unseen candidate has no session, and is never what serves."""
        trial = self.stage.line.trial if hasattr(self, "stage") else None
        if trial is not None and trial.unseen:
            assert trial.share == 0
            assert not belongs("any session", trial.version, trial.share)


@pytest.mark.parametrize("laws", [TrialLaws, ShadowLaws])
def test_whatever_happens_one_version_serves_and_none_without_evidence(
    trials_store: Store, laws: type[TrialLaws]
) -> None:
    """Verbs, races, crashes, clocks and people in any order."""
    machine = type("Laws", (laws,), {"store": trials_store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
