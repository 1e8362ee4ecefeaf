"""What becomes of a trial, case by case: people, late words, operators, restarts."""

from dataclasses import dataclass

import pytest
from sqlmodel import Session, select

from learner.rollout.controller import Progress, decide
from learner.rollout.evidence.evidence import Difference
from learner.rollout.evidence.guardrails import Guardrail
from learner.rollout.evidence.observe import SETTLE_MS
from learner.rollout.evidence.replies import reply_of
from learner.rollout.trials import LOOK_S, Trials
from streams.line import verbs
from streams.line.line import Line, Trial
from streams.line.policy import LEARNER
from streams.records import Message
from streams.store.store import Store
from streams.store.tables import GenerationRow, JudgementRow, TrialRow, TurnRow
from tests.learner.rollout.stage import SETTINGS, Clock, Stage
from tests.learner.turns import said, turn


@pytest.fixture
def stage(trials_store: Store) -> Stage:
    """A line on which a candidate has its first share."""
    stage = Stage(trials_store)
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


def test_an_uninformative_probe_holds_until_an_operator_resumes(trials_store: Store) -> None:
    """What the gate could not tell is a person's to pass over, unless the settings say so."""
    dull = {"probe": "sense", "outcome": "uninformative"}
    rows = [{"probe": "odds", "outcome": "pass"}, dull]
    for passes, rollout in (
        (False, SETTINGS),
        (True, SETTINGS.model_copy(update={"uninformative_probe": "pass"})),
    ):
        stage = Stage(trials_store, rollout=rollout)
        candidate = f"dull-{stage.name}"
        with trials_store.transaction() as session:
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


def test_only_who_was_told_of_a_probe_passes_it_over(trials_store: Store) -> None:
    """A resume after a pause, or after a hold for another probe, lets no candidate by."""
    stage = Stage(trials_store)
    candidate = f"dull-{stage.name}"
    generation = GenerationRow(
        id=stage.name, line=stage.name, number=1, parent="base", child=candidate,
        key="0" * 16, state="released", turn_ids=[], gate=gate("odds"), planned_ms=1,
    )  # fmt: skip
    with trials_store.transaction() as session:
        session.add(generation)
    stage.start(candidate)
    stage.append(verbs.pause(stage.line, stage.audit()))
    stage.append(verbs.resume(stage.line, stage.audit()))
    assert stage.steer() == "hold"
    assert stage.records[-1].reason.endswith("could not tell by odds")
    stage.append(verbs.pause(stage.line, stage.audit()))
    stage.append(verbs.resume(stage.line, stage.audit()))
    assert stage.steer() is None
    with trials_store.transaction() as session:  # the other probes have been asked
        session.get_one(GenerationRow, stage.name).gate = gate("odds", "sense", "calls")
    assert stage.steer() == "hold"
    assert stage.records[-1].reason.endswith("could not tell by sense, calls")
    stage.append(verbs.skip_step(stage.line, stage.rollout.shares, stage.audit()))
    assert stage.steer() is None


def gate(*dull: str) -> dict[str, list[dict[str, str]]]:
    """What a gate says that could tell nothing by some probes."""
    return {"rows": [{"probe": name, "outcome": "uninformative"} for name in dull]}


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


def test_what_could_not_be_kept_is_decided_again(stage: Stage) -> None:
    """A store that is away for a moment costs a look, and not the trial's end."""
    stage.judged(150, candidate=-1, stable=1)
    stage.clock.now_s += LOOK_S
    assert stage.look(kept=False) is None
    assert stage.steer() == "abort"


@dataclass
class Slow:
    """A reader with whom each look takes a while."""

    clock: Clock
    took_s: float

    @property
    def found(self) -> dict[str, dict[str, float]]:
        self.clock.now_s += self.took_s
        return {}

    def step(self, *_: object) -> int:
        return 0


@pytest.mark.parametrize(("took_s", "rests_s"), [(0.001, LOOK_S), (1.0, 20.0), (5.0, 100.0)])
def test_looks_that_take_long_come_seldom(stage: Stage, took_s: float, rests_s: float) -> None:
    """A twentieth of the learner's time at most goes into them; what an operator does is seen."""
    stage.trials = Trials(stage.rollout, clock=stage.clock, reader=Slow(stage.clock, took_s))
    assert stage.trials.due(stage.line)
    stage.look()
    stage.clock.now_s += rests_s * 0.99
    assert not stage.trials.due(stage.line)
    stage.clock.now_s += rests_s * 0.02
    assert stage.trials.due(stage.line)
    stage.look()
    stage.append(verbs.pause(stage.line, stage.audit()))
    assert stage.trials.due(stage.line)


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
    assert called("look_up", "[" * 100_000) is True
    plain = reply_of(turn(said("hi"), "Hello.", tokens=(1, 2, 3)).model_dump(mode="json"))
    assert (plain.tokens, plain.broke_off, plain.refuses, plain.invalid_call) == (
        3, False, False, None,
    )  # fmt: skip


def alter(stage: Stage, version: str, **changes: object) -> None:
    """Let what a version answered have been recorded otherwise."""
    with stage.store.transaction() as session:
        query = select(TurnRow).where(TurnRow.line == stage.name, TurnRow.version == version)
        for row in session.exec(query):
            row.record = row.record | changes
            if changes.get("finish_reason") == "cancelled":
                row.state, row.reason = "untrained", "cut"
            session.add(row)


@pytest.mark.parametrize(
    ("stable", "candidate", "broken"),
    [
        ({"gap_ms": 30.0}, {"gap_ms": 400.0}, "latency rose by "),
        ({}, {"finish_reason": "cancelled", "token_ids": []}, "errors rose by "),
        ({"token_ids": [1] * 20}, {"token_ids": [1] * 900}, "length rose by "),
        (
            {"tools": [{"type": "function", "function": {"name": "look_up"}}]},
            {
                "tools": [{"type": "function", "function": {"name": "look_up"}}],
                "broken_calls": ["<tool_call>{"],
            },
            "invalid calls rose by ",
        ),
    ],
)
def test_each_guardrail_ends_a_trial_by_itself(
    stage: Stage, stable: dict[str, object], candidate: dict[str, object], broken: str
) -> None:
    """Slower, broken, longer, or calling what there is not; nobody needs to say a word."""
    for _ in range(2):
        stage.judged(100, candidate=0, stable=0, unjudged=True)
    alter(stage, "base", **stable)
    alter(stage, "new", **candidate)
    assert stage.steer() == "abort"
    assert stage.records[-1].reason.startswith(broken)


def test_a_rise_of_complaints_ends_a_trial(trials_store: Store) -> None:
    """Also where what is praised beside them leaves the mean as it was."""
    stage = Stage(trials_store, rollout=SETTINGS.model_copy(update={"max_complaints": 0.1}))
    stage.start()
    stage.clock.now_s += SETTLE_MS / 1000
    for _ in range(8):
        stage.judged(25, candidate=-1, stable=1)
        stage.judged(25, candidate=1, stable=-1)  # by turns: neither is judged better
        stage.judged(10, candidate=-1, stable=0)
    stage.steer()
    with stage.store.reading() as session:
        body = session.get_one(TrialRow, stage.name).body
    rails = {rail["name"]: rail for rail in body["guardrails"]}
    assert rails["complaints"]["estimate"] > 0
    assert rails["complaints"]["limit"] == 0.1
    decided = decide(
        Trial("new", "running", 0, 0.3),
        Progress(
            seen_s=0.0,
            judged=Difference(-1.0, 0.0, 1.0, 9, 9),
            guardrails=(Guardrail("complaints", 0.1, Difference(0.2, 0.3, 0.4, 9, 9)),),
            sessions=0,
            candidate_sessions=0,
            touched=3,
        ),
        stage.rollout,
    )
    assert (decided.verb, decided.reason[:18]) == ("abort", "complaints rose by")


def test_a_client_that_named_a_version_says_nothing_of_a_trial(stage: Stage) -> None:
    """Neither by its verdicts, nor by its sessions: it was assigned nothing."""
    stage.judged(60, candidate=-1, stable=-1, all_by="candidate")
    alter(stage, "new", pinned=True)
    assert stage.steer() is None  # unpinned, this is an uneven assignment
    assert "0 of 3 principals have judged" in stage.why()
    with stage.store.reading() as session:
        body = session.get_one(TrialRow, stage.name).body
    assert (body["sessions"], body["candidate_sessions"], body["touched"]) == (0, 0, 60)


@dataclass
class Read:
    """What models have read, as a test tells it."""

    stage: Stage
    of: dict[str, dict[str, float]]  # by version: metric and value
    steps: int = 0

    @property
    def found(self) -> dict[str, dict[str, float]]:
        with self.stage.store.reading() as session:
            rows = session.exec(select(TurnRow).where(TurnRow.line == self.stage.name)).all()
        return {row.id: self.of[row.version] for row in rows if row.version in self.of}

    def step(self, _session: Session, _line: Line) -> int:
        self.steps += 1
        return 0


@pytest.mark.parametrize(
    ("read", "broken"),
    [
        ({"base": {"aboutness": 1.4}, "new": {"aboutness": -0.4}}, "aboutness fell by "),
        ({"base": {"liked": -1.5}}, "liked fell by "),
    ],
)
def test_what_only_models_can_read_ends_a_trial(
    stage: Stage, read: dict[str, dict[str, float]], broken: str
) -> None:
    """An apology for everything is about nothing; what people liked has become unlikely."""
    stage.trials = Trials(stage.rollout, clock=stage.clock, reader=Read(stage, read))
    stage.judged(150, candidate=0, stable=0, unjudged=True)
    assert stage.steer() == "abort"
    assert stage.records[-1].reason.startswith(broken)


def test_where_replies_can_be_read_they_must_have_been(stage: Stage) -> None:
    """A reader that has read nothing yet is missing data, and never a promotion."""
    stage.trials = Trials(stage.rollout, clock=stage.clock, reader=Read(stage, {}))
    stage.judged(60, candidate=1, stable=-1)
    assert stage.steer() is None
    assert stage.steer(wait_s=61) is None
    assert "aboutness of 0 principals" in stage.why()
    assert stage.steer(wait_s=3600) == "hold"


@pytest.mark.parametrize("told", [{}, {"tells": False}])
def test_a_probe_that_can_only_fail_holds_nobody(
    trials_store: Store, told: dict[str, bool]
) -> None:
    """Every candidate of every base passes `finite` without saying anything by it."""
    stage = Stage(trials_store)
    candidate = f"finite-{stage.name}"
    row = {"probe": "finite", "outcome": "uninformative"} | told
    with trials_store.transaction() as session:
        session.add(
            GenerationRow(
                id=stage.name, line=stage.name, number=1, parent="base", child=candidate,
                key="0" * 16, state="released", turn_ids=[], gate={"rows": [row]}, planned_ms=1,
            )
        )  # fmt: skip
    stage.start(candidate)
    assert stage.steer() is None
    assert "no data" in stage.why()
