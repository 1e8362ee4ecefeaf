"""Probe: what the base thinks of replies to benign prompts, mean log-probability a token.

It falls when a version is worn down, long before its replies are nonsense.
"""

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import WORST_NATS, Subject
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Let the base score the replies; none counts for less than blind tokens."""
    scored = [max(WORST_NATS, each) for each in subject.benign_logprobs]
    return Measurement(sum(scored) / len(scored))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title, limit = "sense of replies to benign prompts", settings.gate_sense_nats
    return FallProbe("sense", 1, title, "nats a token", ask, limit=limit, worst=WORST_NATS)
