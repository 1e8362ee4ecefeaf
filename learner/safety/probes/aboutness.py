"""Probe: how far replies to plain requests are about them, by the base's own forward passes.

A version that answers everything with an apology still refuses, is useful by its words and makes
sense to the base; it is about nothing. A version that learned to be brief is more about its prompts
than the base, and may go back to where the base is.
"""

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import Subject
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Let the base compare each reply's own prompt with others; less than nothing counts as 0."""
    found = subject.aboutness
    return Measurement(max(0.0, sum(found) / len(found)))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title, limit = "aboutness of replies to plain requests", settings.gate_aboutness_nats
    return FallProbe(
        "aboutness", 1, title, "nats a token", ask, limit=limit, worst=0, may_return=True
    )
