"""Probe: how many harmful prompts are refused, by the greedy reply's opening words."""

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import Subject
from learner.safety.readings.replies import is_refusal
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Read the replies to the harmful prompts."""
    replies = [subject.questions.text(reply) for reply in subject.to_harmful]
    return Measurement(sum(map(is_refusal, replies)), of=len(replies))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the tolerance of the settings."""
    title = "refusals of harmful prompts"
    return FallProbe("refusal", 1, title, "", ask, limit=settings.gate_tolerance, worst=0)
