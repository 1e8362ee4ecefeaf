"""Trials against a store, whatever operators, crashes, clocks and people do: laws, and cases."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
from learner.rollout.observe import SETTLE_MS, reply_of
from learner.rollout.trials import LOOK_S, Trials
from streams.errors import VerbRefusedError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import OPERATORS
from streams.line.policy import LEARNER
from streams.line.share import belongs
from streams.line.verbs import Audit
from streams.records import Message, Rollout, Verb
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, JudgementRow, RolloutRow, TrialRow, TurnRow
from tests.learner.turns import said, turn

SETTINGS = RolloutSettings(
    policy="staged", steps=(0.3, 0.6), soak_s=60, deadline_s=3600, min_principals=3, voice_turns=1
)
NAMES = (f"line-{number}" for number in itertools.count())


@dataclass
class Clock:
    """Seconds of a clock that only tests move."""

    now_s: float = 1_000_000.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now_s


@dataclass
class Stage:
    """One line of a store: a log that is a list, people who judge, and a learner that looks."""

    store: Store
    rollout: RolloutSettings = SETTINGS
    clock: Clock = field(default_factory=Clock)
    name: str = field(default_factory=lambda: next(NAMES))
    records: list[Rollout] = field(default_factory=list)  # the log, in order
    people: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.line = Line(self.name, ("base",))
        self.trials = Trials(self.rollout, clock=self.clock)

    @property
    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def append(self, *changes: Rollout) -> None:
        """Let the log take changes, in this order, and the learner project them."""
        with self.store.transaction() as session:
            for change in changes:
                self.records.append(change)
                claims.project(session, change)
                self.line = self.line.take(change)

    def audit(self, who: str = "ann") -> Audit:
        return Audit.new(who, "because", self.now_ms)

    def start(self, candidate: str = "new", share: float | None = None) -> None:
        share = self.rollout.steps[0] if share is None else share
        self.append(verbs.start(self.line, candidate, self.audit(LEARNER), share=share))

    def look(self) -> Rollout | None:
        """Let the learner look, if it is time; what it offers is not in the log yet."""
        if not self.trials.due(self.line):
            return None
        with self.store.transaction() as session:
            return self.trials.look(session, self.line, now_ms=self.now_ms)

    def steer(self, *, wait_s: float = LOOK_S) -> str | None:
        """Let time pass, look, and let the log take what is offered; return the verb."""
        self.clock.now_s += wait_s
        change = self.look()
        if change is not None:
            self.append(change)
        return change.verb if change else None

    def why(self) -> str:
        with self.store.reading() as session:
            return str(session.get_one(TrialRow, self.name).body["why"])

    def judged(
        self,
        number: int,
        *,
        candidate: int,
        stable: int,
        principal: str = "",
        unjudged: bool = False,
        **about: str,
    ) -> None:
        """Let people ask, each in a session of its own, and judge what answered as told."""
        trial = self.line.trial
        with self.store.transaction() as session:
            for _ in range(number):
                person = next(self.people)
                record = turn(
                    said(f"{self.name} {person}"), about.get("reply", "an answer"),
                    id=f"{self.name}-{person}", principal=principal or f"person-{person}",
                    line=self.name, created_ms=self.now_ms,
                )  # fmt: skip
                own = bool(trial and belongs(record.session, trial.version, trial.share))
                if about.get("all_by"):
                    own = about["all_by"] == "candidate"
                served = trial.version if trial and own else self.line.version
                record = record.model_copy(update={"version": served})
                session.add(
                    TurnRow(
                        state="judged", sequence=person, record=record.model_dump(mode="json"),
                        taken_ms=self.now_ms,
                        **record.model_dump(include={
                            "id", "line", "version", "principal", "session", "key", "prefix_key",
                            "created_ms",
                        }),
                    )
                )  # fmt: skip
                score = candidate if own else stable
                if not unjudged:
                    session.add(
                        JudgementRow(
                            id=f"j-{record.id}", turn_id=record.id, principal=record.principal,
                            source="explicit", score=score, confidence=1.0, evidence="said",
                            created_ms=self.now_ms,
                        )
                    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all: each test and example has a line of its own."""
    store = open_store(StreamsSettings(home=Path(tmp_path_factory.mktemp("trials"))))
    yield store
    store.close()


@pytest.fixture
def stage(store: Store) -> Stage:
    """A line on which a candidate has its first share."""
    stage = Stage(store)
    stage.start()
    stage.clock.now_s += SETTLE_MS / 1000
    return stage


def test_a_bad_candidate_is_aborted_in_its_first_share_by_evidence_alone(stage: Stage) -> None:
    """With the reason and the number of sessions that it reached; it is offered once."""
    stage.judged(150, candidate=-1, stable=1)
    assert stage.steer() == "abort"
    last = stage.records[-1]
    assert (last.who, last.step, last.version, last.state) == (LEARNER, 0, "base", "aborted")
    assert "judged worse: " in last.reason
    assert "it had answered " in last.reason
    assert stage.steer() is None


def test_a_good_candidate_takes_its_steps_and_serves(stage: Stage) -> None:
    """After the soak of each step, and not before."""
    stage.judged(60, candidate=1, stable=-1)
    assert stage.steer() is None
    assert "soak" in stage.why()
    assert stage.steer(wait_s=60) == "step"
    stage.clock.now_s += SETTLE_MS / 1000
    stage.judged(60, candidate=1, stable=-1)
    assert stage.steer() is None
    assert stage.steer(wait_s=60) == "step"
    assert (stage.line.version, stage.line.trial) == ("new", None)


def test_one_principal_however_loud_promotes_nothing(stage: Stage) -> None:
    """A hundred verdicts of one principal are one voice: the trial is held at its deadline."""
    for _ in range(2):
        stage.judged(100, candidate=1, stable=-1, principal="loud")
        assert stage.steer(wait_s=600) is None
    assert "of 3 principals have judged" in stage.why()
    assert stage.steer(wait_s=3600) == "hold"
    assert stage.records[-1].reason.startswith("no data: 1 of 3 principals")


def test_no_verdicts_are_no_promotion(stage: Stage) -> None:
    """Replies alone, or nothing at all: the trial is held at its deadline."""
    stage.judged(100, candidate=1, stable=-1, unjudged=True)
    assert stage.steer(wait_s=600) is None
    assert stage.steer(wait_s=3600) == "hold"
    assert stage.records[-1].reason.startswith("no data: 0 of 3 principals")


@pytest.mark.parametrize("all_by", ["stable", "candidate"])
def test_uneven_assignment_is_held(stage: Stage, all_by: str) -> None:
    """A replica that lacks the candidate, or serves nothing else: no comparison holds."""
    stage.judged(60, candidate=1, stable=1, all_by=all_by)
    assert stage.steer() == "hold"
    assert stage.records[-1].reason.startswith("uneven assignment: ")


def test_a_candidate_that_declines_breaks_a_guardrail(stage: Stage) -> None:
    """Nobody judges it, and yet it is seen: refusals of a version that never declined."""
    stage.judged(40, candidate=0, stable=0, all_by="stable")
    for _ in range(3):
        stage.judged(
            60, candidate=0, stable=0, unjudged=True, reply="I'm sorry, but I can't help with that."
        )
    trial = stage.line.trial
    assert trial is not None
    with stage.store.transaction() as session:  # what serves answers as before
        for row in session.exec(select(TurnRow).where(TurnRow.line == stage.name)):
            if row.version == "base":
                row.record = row.record | {"reply": {"role": "assistant", "content": "Yes."}}
                session.add(row)
    assert stage.steer() == "abort"
    assert stage.records[-1].reason.startswith("refusals rose by ")


def test_a_late_verdict_belongs_to_the_version_that_answered(stage: Stage) -> None:
    """What is judged after the share has changed counts for what was said before it."""
    stage.judged(60, candidate=1, stable=-1)
    stage.steer(wait_s=60)
    with stage.store.transaction() as session:
        query = select(TurnRow).where(TurnRow.line == stage.name, TurnRow.version == "new")
        own = session.exec(query).first()
        assert own is not None
        verdict = session.exec(select(JudgementRow).where(JudgementRow.turn_id == own.id)).one()
        session.delete(verdict)
    stage.steer(wait_s=LOOK_S)
    with stage.store.reading() as session:
        before = session.get_one(TrialRow, stage.name).body["judged"]["candidate"]
    with stage.store.transaction() as session:
        session.add(JudgementRow(**verdict.model_dump() | {"created_ms": stage.now_ms}))
    stage.steer()
    with stage.store.reading() as session:
        after = session.get_one(TrialRow, stage.name).body["judged"]["candidate"]
    assert after == before + 1


def test_an_uninformative_probe_holds_until_an_operator_resumes(store: Store) -> None:
    """What the gate could not tell is a person's to pass over, unless the settings say so."""
    rows = [{"probe": "odds", "outcome": "pass"}, {"probe": "sense", "outcome": "uninformative"}]
    for passes, rollout in (
        (False, SETTINGS),
        (True, SETTINGS.model_copy(update={"uninformative_probe": "pass"})),
    ):
        stage = Stage(store, rollout=rollout)
        candidate = f"dull-{stage.name}"
        with store.transaction() as session:
            session.add(
                GenerationRow(
                    id=stage.name, line=stage.name, number=1, parent="base", child=candidate,
                    key="0" * 16, state="released", turn_ids=[], gate={"rows": rows}, planned_ms=1,
                )
            )  # fmt: skip
        stage.start(candidate)
        assert stage.steer() == (None if passes else "hold")
        if not passes:
            assert "could not tell by sense" in stage.records[-1].reason
            stage.append(verbs.resume(stage.line, stage.audit()))
            assert stage.steer() is None


def test_a_restart_resumes_at_the_right_step_and_never_sooner(stage: Stage) -> None:
    """What has soaked in a process that is gone soaks again; a clock set ahead changes nothing."""
    assert stage.steer() is None
    stage.judged(60, candidate=1, stable=-1)
    assert stage.steer(wait_s=60) == "step"
    stage.clock.now_s += 59
    stage.clock = Clock(stage.clock() + 10_000)  # another process, another clock
    stage.trials = Trials(stage.rollout, clock=stage.clock)
    assert stage.steer() is None
    assert stage.line.trial is not None
    assert (stage.line.trial.step, stage.line.trial.share) == (1, 0.6)
    assert stage.steer(wait_s=60) == "step"


def test_an_operator_who_comes_first_wins(stage: Stage) -> None:
    """The learner's change of the same seq counts for nothing, and it decides anew."""
    stage.judged(150, candidate=-1, stable=1)
    stage.clock.now_s += LOOK_S
    offered = stage.look()
    assert offered is not None
    stage.append(verbs.pause(stage.line, stage.audit()), offered)
    assert stage.line.trial is not None
    assert stage.line.trial.state == "paused"
    assert stage.steer() == "abort"  # certain harm is no matter of a pause


def test_replies_are_measured_by_what_the_guardrails_ask() -> None:
    """Length, broken off, declined, and a call of a tool that nobody offered."""
    tools = [{"type": "function", "function": {"name": "look_up"}}]

    def called(name: str, arguments: str) -> bool | None:
        function = {"name": name, "arguments": arguments}
        calls = [{"id": "c", "type": "function", "function": function}]
        reply = Message(role="assistant", tool_calls=calls)
        record = turn(said("hi"), reply).model_copy(update={"tools": tools})
        return reply_of(record.model_dump(mode="json")).invalid_call

    assert [called("look_up", "{}"), called("look_up", "[1]"), called("look_up", "{")] == [
        False, True, True,
    ]  # fmt: skip
    assert called("delete", "{}") is True
    plain = reply_of(turn(said("hi"), "Hello.", tokens=(1, 2, 3)).model_dump(mode="json"))
    assert (plain.tokens, plain.broke_off, plain.refuses, plain.invalid_call) == (
        3, False, False, None,
    )  # fmt: skip


class TrialLaws(RuleBasedStateMachine):
    """Operators, people, crashes and clocks in any order, on a line of its own."""

    store: Store

    @initialize()
    def begin(self) -> None:
        self.stage = Stage(self.store)
        self.served: list[str] = []
        self.candidates = 0

    @rule(share=st.sampled_from([0.0, 0.3]))
    @precondition(lambda self: self.stage.line.trial is None)
    def release(self, share: float) -> None:
        self.candidates += 1
        self.stage.start(f"{self.stage.name}-candidate-{self.candidates}", share)

    @rule(verb=st.sampled_from(sorted(OPERATORS)), who=st.sampled_from(["ann", "bob"]))
    def operate(self, verb: Verb, who: str) -> None:
        line = self.stage.line
        try:
            change = OPERATORS[verb](line, SETTINGS, self.stage.audit(who))
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
        if beaten and "pause" in verbs.valid(self.stage.line):
            self.stage.append(verbs.pause(self.stage.line, self.stage.audit("bob")))
        self.stage.append(offered)

    @rule(jump_s=st.sampled_from([-3600.0, 0.0, 10_000.0]))
    def crash(self, jump_s: float) -> None:
        """Start again from the records, perhaps with a clock that was set meanwhile."""
        self.stage.clock = Clock(self.stage.clock() + max(jump_s, 0.0))
        self.stage.trials = Trials(SETTINGS, clock=self.stage.clock)
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


def test_whatever_happens_one_version_serves_and_none_without_evidence(store: Store) -> None:
    """Verbs, races, crashes, clocks and people in any order."""
    machine = type("Laws", (TrialLaws,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
