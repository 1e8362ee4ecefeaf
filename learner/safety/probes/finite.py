"""Probe: the version's numbers are finite. Says nothing of what they are."""

from dataclasses import replace

from learner.safety.asking import Subject
from learner.safety.probe import Finding, Measurement, Probe, compared
from learner.settings import LearnerSettings


class Finite:
    """Fails what computes NaN or infinity; what does not has shown nothing else by it."""

    name, version, unit = "finite", 1, ""
    title = "prompts met with finite numbers"

    def ask(self, subject: Subject) -> Measurement:
        """Look at the log-odds of a refusal, in which every weight has a part."""
        return Measurement(int(subject.odds.isfinite().sum()), of=len(subject.odds))

    def compare(
        self, candidate: Measurement, *, serving: Measurement, base: Measurement
    ) -> Finding:
        """Fail a candidate with any number that is not finite."""
        found = compared(self, candidate, serving=serving, base=base, limit=0, worst=0)
        return found if found.outcome == "fail" else replace(found, outcome="uninformative")


def open_probe(_: LearnerSettings) -> Probe:
    """Open it; it has no limit."""
    return Finite()
