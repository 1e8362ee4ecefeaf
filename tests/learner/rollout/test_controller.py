"""What becomes of a candidate: the next step, a hold, an end; never more than is proved."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.rollout.controller import Progress, decide
from learner.rollout.evidence.evidence import Difference
from learner.rollout.evidence.guardrails import Guardrail
from streams.line.line import Trial
from streams.records import State
from streams.settings import RolloutSettings

SETTINGS = RolloutSettings(
    policy="staged", steps=(0.1, 0.5), soak_s=60, deadline_s=600, min_principals=3
)
GOOD = Difference(-0.05, 0.1, 0.3, stable=40, candidate=20)
UNSURE = Difference(-0.6, -0.1, 0.4, stable=40, candidate=20)
WORSE = Difference(-0.9, -0.5, -0.1, stable=40, candidate=20)
FINE = Difference(-0.1, 0.0, 0.1, stable=40, candidate=20)
PROGRESS = Progress(
    seen_s=100.0,
    judged=GOOD,
    guardrails=(Guardrail("complaints", 0.1, FINE), Guardrail("invalid calls", 0.1, FINE)),
    sessions=100,
    candidate_sessions=50,
    touched=70,
)
LAST = Trial("b", "running", 1, 0.5)
FIRST = Trial("b", "running", 0, 0.5)


def test_a_candidate_that_is_not_worse_takes_its_steps_and_is_promoted() -> None:
    """At a middle step the estimate decides, at the last one the bound."""
    assert decide(FIRST, PROGRESS, SETTINGS).verb == "step"
    assert decide(FIRST, replace(PROGRESS, judged=UNSURE), SETTINGS).verb == "step"
    assert decide(LAST, PROGRESS, SETTINGS).verb == "step"
    waits = decide(LAST, replace(PROGRESS, judged=UNSURE), SETTINGS)
    assert waits.verb is None
    assert "its lower bound must be above -0.20" in waits.reason


def test_nothing_goes_on_before_its_soak() -> None:
    """However good the evidence, a step lasts so long."""
    decision = decide(LAST, replace(PROGRESS, seen_s=20.0), SETTINGS)
    assert (decision.verb, decision.reason[:19]) == (None, "40 s of this step's")


@pytest.mark.parametrize("state", ["running", "paused", "held"])
def test_harm_that_is_certain_ends_a_trial_at_once_in_any_state(state: State) -> None:
    """Neither soak nor an operator's pause keeps a harmful candidate before people."""
    trial = replace(FIRST, state=state)
    decision = decide(trial, replace(PROGRESS, judged=WORSE, seen_s=0.0), SETTINGS)
    assert decision.verb == "abort"
    assert decision.reason == (
        "judged worse: -0.50 (-0.90 to -0.10; 20 principals against 40); "
        "it had answered 70 sessions"
    )
    rail = Guardrail("errors", 0.05, Difference(0.2, 0.4, 0.6, 40, 20))
    broken = decide(trial, replace(PROGRESS, guardrails=(rail,)), SETTINGS)
    assert broken.verb == "abort"
    assert "errors rose by" in broken.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"judged": UNSURE}, "inconclusive"),
        ({"judged": replace(GOOD, candidate=0)}, "no data: 0 of 3 principals have judged the c"),
        ({"judged": replace(GOOD, stable=1)}, "no data: 1 of 3 principals have judged what ser"),
        (
            {"guardrails": (Guardrail("length", 9.0, replace(FINE, candidate=0)),)},
            "no data: length of 0 principals",
        ),
    ],
)
def test_what_cannot_be_decided_waits_and_is_held_at_the_deadline(
    change: dict[str, object], reason: str
) -> None:
    """Missing data never promotes: not before the deadline, and not after it."""
    progress = replace(PROGRESS, **change)  # type: ignore[arg-type]
    assert decide(LAST, progress, SETTINGS).verb is None
    late = decide(LAST, replace(progress, seen_s=600.0), SETTINGS)
    assert late.verb == "hold"
    assert reason in late.reason


def test_a_guardrail_that_nobody_can_measure_is_not_asked_for() -> None:
    """Where no tools are offered, no tool calls can be missed; where they are, they can."""
    unused = Guardrail("invalid calls", 0.1, Difference(-1, 0, 1, 0, 0), asked=False)
    assert decide(LAST, replace(PROGRESS, guardrails=(unused,)), SETTINGS).verb == "step"
    missing = replace(unused, found=Difference(-1, 0, 1, 9, 0))
    assert decide(LAST, replace(PROGRESS, guardrails=(missing,)), SETTINGS).verb is None


def test_uneven_sessions_and_a_probe_that_says_nothing_are_held_at_once() -> None:
    """No comparison holds where sessions were not shared out as they should be."""
    uneven = decide(FIRST, replace(PROGRESS, candidate_sessions=2), SETTINGS)
    assert uneven.verb == "hold"
    assert "2 of 100 sessions, where 50% were due" in uneven.reason
    probe = decide(FIRST, replace(PROGRESS, uninformative=("refusal",)), SETTINGS)
    assert probe.verb == "hold"
    assert "refusal" in probe.reason


@pytest.mark.parametrize("policy", ["approve", "two-person"])
def test_where_a_person_promotes_good_evidence_holds_the_last_step_for_them(policy: str) -> None:
    """The steps before it go by evidence."""
    settings = SETTINGS.model_copy(update={"policy": policy})
    assert decide(FIRST, PROGRESS, settings).verb == "step"
    decision = decide(LAST, PROGRESS, settings)
    assert decision.verb == "hold"
    assert "waits for an operator" in decision.reason


DIFFERENCES = st.builds(
    lambda low, width, stable, candidate: Difference(
        low, low + width / 2, low + width, stable, candidate
    ),
    st.floats(-2, 2), st.floats(0, 2), st.integers(0, 9), st.integers(0, 9),
)  # fmt: skip


@given(
    st.builds(
        Progress,
        seen_s=st.floats(0, 1000),
        judged=DIFFERENCES,
        guardrails=st.tuples(
            st.builds(Guardrail, st.just("complaints"), st.just(0.1), DIFFERENCES)
        ),
        sessions=st.integers(10, 10),
        candidate_sessions=st.integers(0, 10),
        touched=st.integers(0, 9),
    )
)
def test_the_last_step_is_taken_on_evidence_alone(progress: Progress) -> None:
    """Whatever the progress: who serves everybody was heard of by enough, and is not worse."""
    decision = decide(LAST, progress, SETTINGS)
    if decision.verb == "step":
        judged = progress.judged
        assert judged.low > -SETTINGS.margin
        assert min(judged.stable, judged.candidate) >= SETTINGS.min_principals
        assert progress.seen_s >= SETTINGS.soak_s
        assert not any(rail.broken for rail in progress.guardrails)
    assert decision.reason
