"""Operators steer a trial by way of the log: one change counts, and the policy says whose."""

from pathlib import Path

import pytest

from streams.errors import ConflictError, LastStepError, NotAllowedError, VerbRefusedError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import OPERATORS, decided, offer, operable, operate
from streams.line.verbs import Audit
from streams.log.sqlite import SqliteLog
from streams.records import Verb
from streams.settings import RolloutSettings

BASE = Line("main", ("base",))
STAGED = RolloutSettings(policy="staged")
TWO = RolloutSettings(policy="two-person")


def by(who: str) -> Audit:
    """An audit of somebody's change, new each time."""
    return Audit.new(who, "because", 1)


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    """A log in which a candidate is on trial, pending."""
    log = SqliteLog(tmp_path / "log.db")
    offer(log, verbs.start(BASE, "new", by("learner"), share=None))
    return log


def now(log: SqliteLog) -> Line:
    """The line as the log has it."""
    line = decided(log, "main")
    assert line is not None
    return line


def test_two_operators_at_once_one_counts_and_the_other_is_told(log: SqliteLog) -> None:
    """Both saw the same line: the second record of a seq is nobody's."""
    seen = now(log)
    operate(log, seen, "start", by("ann"), STAGED)
    with pytest.raises(ConflictError, match="changed the line main first"):
        operate(log, seen, "abort", by("bob"), STAGED)
    trial = now(log).trial
    assert trial is not None
    assert (trial.state, trial.share, trial.started_by) == ("running", 0.05, "ann")
    with pytest.raises(ConflictError, match="seq 2, not 1"):
        operate(log, now(log), "abort", by("bob"), STAGED, expected_seq=1)


@pytest.mark.parametrize("verb", OPERATORS)
def test_whoever_means_a_step_promotes_nobody(log: SqliteLog, verb: Verb) -> None:
    """The line as the log has it tells which step is the last; nothing else is hindered."""
    if verb not in ("start", "promote-full"):
        operate(log, now(log), "start", by("ann"), STAGED)
    if verb == "resume":
        operate(log, now(log), "pause", by("ann"), STAGED)
    if verb != "promote-full":
        assert operate(log, now(log), verb, by("ann"), STAGED, completes=False).version == "base"
    while verb == "skip-step" and (trial := now(log).trial) and trial.step + 1 < len(STAGED.steps):
        operate(log, now(log), verb, by("ann"), STAGED, completes=False)
    if verb in ("skip-step", "promote-full"):
        seen = now(log)
        with pytest.raises(LastStepError, match="new would serve everybody on the line main"):
            operate(log, seen, verb, by("ann"), STAGED, completes=False)
        assert now(log) == seen
        assert operate(log, seen, verb, by("ann"), STAGED).version == "new"


def test_a_verb_that_is_not_valid_now_names_those_that_are(log: SqliteLog) -> None:
    """A pending trial cannot be paused; without a trial there is nothing to do."""
    assert set(operable(now(log))) == {"start", "promote-full", "abort"}
    with pytest.raises(VerbRefusedError, match=r"cannot pause: new is on trial \(pending\)"):
        operate(log, now(log), "pause", by("ann"), STAGED)
    operate(log, now(log), "abort", by("ann"), STAGED)
    assert operable(now(log)) == ()
    with pytest.raises(VerbRefusedError, match="no candidate is on trial"):
        operate(log, now(log), "resume", by("ann"), STAGED)


@pytest.mark.parametrize("verb", ["promote-full", "skip-step"])
def test_two_persons_are_two(log: SqliteLog, verb: Verb) -> None:
    """Whoever starts a trial cannot promote it, another one can; and aborting is everybody's."""
    if verb == "promote-full":
        with pytest.raises(NotAllowedError, match="one starts the trial"):
            operate(log, now(log), verb, by("ann"), TWO)
    operate(log, now(log), "start", by("ann"), TWO)
    with pytest.raises(NotAllowedError, match="ann started the trial"):
        operate(log, now(log), verb, by("ann"), TWO)
    assert operate(log, now(log), verb, by("bob"), TWO).candidate == "new"
    if now(log).trial is not None:
        operate(log, now(log), "abort", by("ann"), TWO)


@pytest.mark.parametrize("verb", sorted(OPERATORS))
def test_without_a_trial_an_operator_starts_and_steers_nothing(log: SqliteLog, verb: Verb) -> None:
    """`rollouts start` put a candidate without a name on trial, which `promote` then completed."""
    operate(log, now(log), "abort", by("ann"), STAGED)
    seen = now(log)
    with pytest.raises(VerbRefusedError, match="no candidate is on trial on the line main") as told:
        operate(log, seen, verb, by("ann"), STAGED)
    assert "start" not in str(told.value).partition("valid now")[2]
    assert now(log) == seen


def test_learning_that_goes_on_is_told_so(log: SqliteLog) -> None:
    """Not that no candidate is on trial."""
    with pytest.raises(VerbRefusedError, match="cannot learn: the line main learns already"):
        operate(log, now(log), "learn", by("ann"), STAGED)
