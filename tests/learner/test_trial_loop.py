"""A candidate from the gate to its end, on the tiny model, through the real log and store."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from sqlmodel import Session, select

from kernels.contract import Backend
from learner.rollout.closer import Closer
from streams.errors import StoreUnavailableError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import counted, decided, offer
from streams.line.share import belongs
from streams.line.verbs import Audit
from streams.model.open import BaseModel
from streams.records import Feedback, Mask, Rollout
from streams.settings import RolloutSettings
from streams.store.tables import GenerationRow, PlannerRow, TrialRow
from tests.learner.test_loop import SETTINGS, School, open_school
from tests.learner.turns import said, turn

STAGED = RolloutSettings(
    policy="staged", steps=(0.3, 0.6), soak_s=30, deadline_s=600, min_principals=3, voice_turns=1
)
# The log's clock is the machine's; the learner's of these tests is far behind it, and only moves.
PEOPLE = 70


@dataclass
class Service:
    """A learner with a candidate on trial, and people who are answered as the agent would."""

    school: School
    people: int = 0

    @property
    def line(self) -> Line:
        line = decided(self.school.log, "main")
        assert line is not None
        return line

    def step(self, *, wait_s: float = 3.0) -> None:
        """Let time pass, and the learner use what was said and what it has offered."""
        self.school.clock.now_s += wait_s
        self.school.step()
        self.school.learner.catch_up()

    def talk(self, *, candidate: Literal[-1, 1], stable: Literal[-1, 1]) -> None:
        """Many people ask once, and judge what answered them."""
        line, school = self.line, self.school
        now_ms = int(school.clock() * 1000)
        turns, feedback = [], []
        for person in range(self.people, self.people + PEOPLE):
            asked, trial = said(f"question {person}"), line.trial
            first = turn(asked, "reply", id=f"t{person}", principal=f"p{person}", created_ms=now_ms)
            own = trial and belongs(first.session, trial.version, trial.share)
            served = trial.version if trial and own else line.version
            turns.append(first.model_copy(update={"version": served}))
            given = Feedback(
                id=f"f{person}", turn_id=first.id, line="main", principal=first.principal,
                session=first.session, score=candidate if own else stable, created_ms=now_ms,
            )  # fmt: skip
            feedback.append(given)
        school.say(*turns)
        school.say(*feedback, topic="feedback")
        self.people += PEOPLE

    def told(self) -> list[Rollout]:
        return counted(self.school.log, "main")


@pytest.fixture
def service(tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend) -> Service:
    """Two corrections have become a candidate, which has its first share."""
    # thumbs of many, each on a reply of their own, teach here: no wish needs company
    # the candidate's name says who meets it: with this noise as many do as its shares say
    settings = SETTINGS.model_copy(update={"wish_quorum": False, "noise": "screened"})
    school = open_school(tmp_path, tiny_base, tiny_mask, backend, rollout=STAGED, settings=settings)
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    service = Service(school)
    service.step()
    trial = service.line.trial
    assert trial is not None
    assert (trial.state, trial.share) == ("running", 0.3)
    assert service.line.version == tiny_base.name
    return service


def test_a_bad_candidate_is_aborted_in_the_first_share_by_evidence_alone(service: Service) -> None:
    """The gate let it through, and people did not; what served, serves; learning goes on."""
    service.talk(candidate=-1, stable=1)
    service.step()
    last = service.told()[-1]
    assert (last.verb, last.state, last.step) == ("abort", "aborted", 0)
    assert "judged worse" in last.reason
    assert (service.line.version, service.line.trial) == (service.school.base.name, None)
    assert service.school.learner.step(wait_s=0)  # the complaints teach the next candidate
    newest = max(service.school.rows(GenerationRow), key=lambda row: row.number)
    assert newest.parent == service.school.base.name


def test_a_good_candidate_is_promoted_step_by_step(service: Service) -> None:
    """Each step soaks; nothing is planned meanwhile; then it serves, and learning stands on it."""
    candidate = service.line.trial
    assert candidate is not None
    for _ in range(2):
        service.talk(candidate=1, stable=-1)
        assert not service.school.step()
        seq = service.line.seq
        service.step(wait_s=31.0)
        for _ in range(20):  # replies are read a few at a look
            if service.line.seq == seq:
                service.step()
    assert [(each.verb, each.state) for each in service.told()] == [
        ("start", "running"), ("step", "running"), ("step", "completed"),
    ]  # fmt: skip
    assert (service.line.version, service.line.trial) == (candidate.version, None)
    (row,) = service.school.rows(TrialRow)
    assert row.body["judged"]["low"] > -STAGED.margin
    assert service.school.learner.step(wait_s=0)
    assert max(g.number for g in service.school.generations()) == 2
    assert service.school.generations()[-1].parent == candidate.version


def test_without_a_word_nothing_is_promoted(service: Service) -> None:
    """A service that nobody judges holds its candidate, and says why."""
    service.step(wait_s=601.0)
    last = service.told()[-1]
    assert (last.verb, last.state) == ("hold", "held")
    assert last.reason.startswith("no data: 0 of 3 principals")


def test_a_store_that_fails_costs_no_closer_look(service: Service) -> None:
    """What could not be written is asked and written again; what the gate did not ask stays."""
    school = service.school
    parts, line = school.learner._parts, school.learner._line
    with school.store.transaction() as session:
        (row,) = session.exec(select(GenerationRow))
        row.gate = {"passed": True, "quick": True, "rows": [{"probe": "held_out"}]}
        session.add(row)

    def broken() -> AbstractContextManager[Session]:
        raise StoreUnavailableError("away")

    closer = Closer()
    with pytest.raises(StoreUnavailableError):
        closer.look(parts, line, broken)
    assert closer.look(parts, line, school.store.transaction)
    assert not closer.look(parts, line, school.store.transaction)
    (row,) = school.rows(GenerationRow)
    assert row.gate is not None
    assert not row.gate.get("quick")
    assert {"probe": "held_out"} in row.gate["rows"]


def test_a_candidate_is_asked_the_rest_while_it_is_tried(
    tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend
) -> None:
    """The quick probes let it in; what the others find ends the trial, with the reason."""
    school = open_school(tmp_path, tiny_base, tiny_mask, backend, rollout=STAGED)
    school.gate.passes_later = False
    school.corrected("a")
    school.corrected("b")
    waited: list[str] = []
    school.gate.while_asked = lambda: waited.extend(
        row.waits_for for row in school.rows(PlannerRow)
    )
    assert school.step()
    service = Service(school)
    for _ in range(2):
        service.step()
    assert waited[-1].startswith("the end of the trial of ")  # while the others are asked
    assert [(each.verb, each.state) for each in service.told()] == [
        ("start", "running"), ("abort", "aborted"),
    ]  # fmt: skip
    assert service.told()[-1].reason.startswith("the gate: as told")
    (candidate,) = {name for _, name in school.gate.asked}
    assert school.gate.asked == [(tiny_base.name, candidate)] * 2


REPLACE = STAGED.model_copy(update={"pile_up": "replace"})


def piled_up(service: Service, tiny_mask: Mask, backend: Backend, *, start: int = 2) -> Service:
    """The same home, where a newer candidate takes the place of the one on trial."""
    school = service.school
    school.learner.close()
    home, settings = school.streams.home, SETTINGS.model_copy(update={"wish_quorum": False})
    school = open_school(
        home, school.base, tiny_mask, backend, start=start, rollout=REPLACE, settings=settings
    )
    return Service(school, service.people)


def test_a_newer_candidate_takes_the_place_of_the_one_on_trial(
    service: Service, tiny_mask: Mask, backend: Backend
) -> None:
    """The end comes back from the log first, and then its start, whoever runs by then."""
    older = service.line.trial
    now = piled_up(service, tiny_mask, backend)
    now.school.corrected("c")
    now.school.corrected("d")
    assert now.school.step()
    assert [each.verb for each in now.told()] == ["start", "abort"]
    again = piled_up(now, tiny_mask, backend, start=3)
    again.step()
    newer = again.school.generations()[1]
    assert [(each.verb, each.candidate) for each in again.told()][:3] == [
        ("start", older and older.version), ("abort", older and older.version),
        ("start", newer.child),
    ]  # fmt: skip
    assert (newer.state, newer.seq) == ("released", 3)


@pytest.mark.parametrize("verb", ["reset", "promote-full", "abort"])
def test_what_an_operator_did_at_the_last_moment_stays(
    service: Service, tiny_mask: Mask, backend: Backend, verb: str
) -> None:
    """The learner has not read it when it offers a newer candidate, which is held, then."""
    now = piled_up(service, tiny_mask, backend)
    audit, line, log = Audit.new("ann", "now", 1), now.line, now.school.log
    made = {
        "reset": lambda: verbs.reset(line, now.school.base.name, audit),
        "promote-full": lambda: verbs.promote_full(line, audit),
        "abort": lambda: verbs.abort(line, audit),
    }[verb]()
    now.school.gate.while_asked = lambda: offer(log, made)
    now.school.corrected("c")
    now.school.corrected("d")
    assert now.school.step()
    after = now.line
    assert after.verb == verb
    now.school.gate.while_asked = lambda: None
    now.school.learner.catch_up()
    newest = now.school.generations()[-1]
    assert (newest.state, newest.reason) == ("held", f"{verb} by ann came first: now")
    for _ in range(3):
        now.step()
    assert now.line.version == after.version
    assert newest.child not in {each.candidate for each in now.told()}
