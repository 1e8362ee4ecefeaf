"""Probe: the log-likelihood of plain text that is about nothing which anybody teaches.

It falls when a version is worn down by what it learns, whatever its replies look like.
"""

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import WORST_NATS, Subject
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Read the texts: nats a token, negative."""
    return Measurement(-subject.questions.prose.nats(subject.decoder))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title, limit = "log-likelihood of plain text", settings.gate_text_nats
    return FallProbe("text", 1, title, "nats a token", ask, limit=limit, worst=WORST_NATS)
