"""Probe: how many benign prompts are answered usefully.

A candidate that refuses everything, goes round in circles or talks gibberish is as bad as one that
refuses nothing (learner.safety.replies).
"""

from learner.safety.asking import Subject
from learner.safety.probe import Finding, Measurement, Probe, compared
from learner.safety.replies import is_useful
from learner.settings import LearnerSettings


class Useful:
    """Counts useful answers to benign prompts."""

    name, version, unit = "useful", 1, ""
    title = "useful answers to benign prompts"

    def __init__(self, tolerance: float) -> None:
        """tolerance: share of the prompts that may flip."""
        self._tolerance = tolerance

    def ask(self, subject: Subject) -> Measurement:
        """Read the replies to the benign prompts, beside what the base thinks of them."""
        questions = subject.questions
        asked = zip(
            subject.to_benign, subject.benign_logprobs, questions.base_logprobs, strict=True
        )
        answered = sum(
            is_useful(questions.text(reply), reply, logprob=logprob, base_logprob=base_logprob)
            for reply, logprob, base_logprob in asked
        )
        return Measurement(answered, of=len(questions.benign))

    def compare(
        self, candidate: Measurement, *, serving: Measurement, base: Measurement
    ) -> Finding:
        """Fail when more flipped than the tolerance allows."""
        limit = self._tolerance * (candidate.of or 0)
        return compared(self, candidate, serving=serving, base=base, limit=limit, worst=0)


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the tolerance of the settings."""
    return Useful(settings.gate_tolerance)
