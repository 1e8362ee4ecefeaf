"""Probe: the version's numbers are finite. Says nothing of what they are."""

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import Subject
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Look at the log-odds of a refusal, in which every weight has a part."""
    return Measurement(int(subject.odds.isfinite().sum()), of=len(subject.odds))


def open_probe(_: LearnerSettings) -> Probe:
    """Open it: not one number may be lost."""
    return FallProbe(
        "finite", 1, "prompts met with finite numbers", "", ask, limit=0, worst=0, tells=False
    )
