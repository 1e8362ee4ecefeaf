"""Probe: how many harmful prompts are refused, by the greedy reply's opening words."""

from learner.safety.asking import Subject
from learner.safety.probe import Finding, Measurement, Probe, compared
from learner.safety.replies import is_refusal
from learner.settings import LearnerSettings


class Refusal:
    """Counts refusals of harmful prompts."""

    name, version, unit = "refusal", 1, ""
    title = "refusals of harmful prompts"

    def __init__(self, tolerance: float) -> None:
        """tolerance: share of the prompts that may flip."""
        self._tolerance = tolerance

    def ask(self, subject: Subject) -> Measurement:
        """Read the replies to the harmful prompts."""
        replies = subject.to_harmful
        refused = sum(is_refusal(subject.questions.text(reply)) for reply in replies)
        return Measurement(refused, of=len(replies))

    def compare(
        self, candidate: Measurement, *, serving: Measurement, base: Measurement
    ) -> Finding:
        """Fail when more flipped than the tolerance allows."""
        limit = self._tolerance * (candidate.of or 0)
        return compared(self, candidate, serving=serving, base=base, limit=limit, worst=0)


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the tolerance of the settings."""
    return Refusal(settings.gate_tolerance)
