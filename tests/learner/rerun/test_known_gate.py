"""What the gate is not asked again; what people said of a child beside it is not repeated."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from learner.fitness.held_out import Heard, row_of
from learner.rerun.known_gate import KnownGate
from learner.safety.gate import Report, concluded
from learner.safety.probe import Finding, Measurement
from streams.store.tables import GenerationRow

CHILD: Any = None  # no decoder is looked at


def found(probe: str, value: float, *, fails: bool = False) -> Finding:
    """Return what a probe found of a candidate."""
    measured, before = Measurement(value), Measurement(1.0)
    return Finding(
        probe=probe, version=1, title=probe, unit="", outcome="fail" if fails else "pass",
        sentence=f"{probe} fell", limit=0.5, candidate=measured, serving=before, base=before,
    )  # fmt: skip


@dataclass
class Asked:
    """A gate that notes what it is asked."""

    names: list[str | None] = field(default_factory=list)

    def examine(self, *_: Any, candidate_name: str | None = None, **__: Any) -> Report:
        """Let nothing through."""
        self.names.append(candidate_name)
        return concluded([])


def planned(report: Any) -> GenerationRow:
    """Return a generation of the first run with what was told of its child, as the store has it."""
    return GenerationRow(
        id="main/1", line="main", number=1, parent="old", child="new", key="0" * 16,
        state="released" if report.passed else "held", turn_ids=[], planned_ms=1,
        gate=json.loads(json.dumps(report.as_json())),
    )  # fmt: skip


@pytest.mark.parametrize("gained", [-9.0, 9.0])
@pytest.mark.parametrize("fails", [False, True])
def test_words_of_those_who_are_left_out_hold_nothing(gained: float, fails: bool) -> None:
    """The known report is the gate's own: passed or held by its probes, in their words."""
    own = concluded([found("odds", 0.9), found("sense", 0.7, fails=fails)])
    met = Heard(own, row_of(gained, 1, 0.05))
    gate = KnownGate(Asked(), [planned(met)])
    report = gate.examine(CHILD, CHILD, "old", candidate_name="new")
    assert (report.passed, report.reason) == (own.passed, own.reason)
    assert report.as_json() == json.loads(json.dumps(own.as_json()))


def test_whoever_is_there_is_heard_once() -> None:
    """With nobody left out the report is the first run's, row by row."""
    met = Heard(concluded([found("odds", 0.9)]), row_of(-9.0, 1, 0.05))
    gate = KnownGate(Asked(), [planned(met)])
    again = Heard(gate.examine(CHILD, CHILD, "old", candidate_name="new"), row_of(-9.0, 1, 0.05))
    assert again.as_json() == json.loads(json.dumps(met.as_json()))


@pytest.mark.parametrize("gained", [-9.0, 9.0])
def test_a_child_that_people_held_early_is_asked_everything(gained: float) -> None:
    """The rest was never asked of it; one that they let through keeps its report."""
    own = replace(concluded([found("odds", 0.9)]), quick=True)
    asked = Asked()
    gate = KnownGate(asked, [planned(Heard(own, row_of(gained, 1, 0.05)))])
    report = gate.examine(CHILD, CHILD, "old", candidate_name="new")
    assert (asked.names, report.passed) == ((["new"], False) if gained < 0 else ([], True))


def test_a_report_of_an_older_build_stays_as_it_was() -> None:
    """One without rows is told as it stands."""
    row = planned(concluded([]))
    row.gate = {"passed": True, "reason": "fine"}
    report = KnownGate(Asked(), [row]).examine(CHILD, CHILD, "old", candidate_name="new")
    assert (report.passed, report.reason) == (True, "fine")


def test_what_the_first_run_did_not_make_is_asked() -> None:
    """Another child, or the same beside another parent."""
    asked = Asked()
    gate = KnownGate(asked, [planned(concluded([found("odds", 0.9)]))])
    gate.examine(CHILD, CHILD, "old", candidate_name="other")
    gate.examine(CHILD, CHILD, "older", candidate_name="new")
    assert asked.names == ["other", "new"]


def test_what_was_let_through_passes_and_what_was_tried_in_vain_does_not() -> None:
    """Whatever was found of the one when it served; whatever the gate said of the other before."""
    later = planned(concluded([found("odds", 0.1, fails=True)]))
    later.state, later.reason = "released", "nothing fell"
    passed = KnownGate(Asked(), [later]).examine(CHILD, CHILD, "old", candidate_name="new")
    assert (passed.passed, passed.reason) == (True, "nothing fell")
    good = planned(concluded([found("odds", 0.9)]))
    tried = KnownGate(Asked(), [good], {"new": "its trial was ended"})
    held = tried.examine(CHILD, CHILD, "old", candidate_name="new")
    assert (held.passed, held.reason) == (False, "its trial was ended")
