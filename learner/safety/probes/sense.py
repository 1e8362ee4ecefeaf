"""Probe: what the base thinks of replies to benign prompts, mean log-probability a token.

It falls when a version is worn down, long before its replies are nonsense.
"""

from learner.safety.asking import WORST_NATS, Subject
from learner.safety.probe import Finding, Measurement, Probe, compared
from learner.settings import LearnerSettings


class Sense:
    """Mean over the benign prompts, nats a token."""

    name, version, unit = "sense", 1, "nats a token"
    title = "sense of replies to benign prompts"

    def __init__(self, limit: float) -> None:
        """limit: of the fall, nats a token."""
        self._limit = limit

    def ask(self, subject: Subject) -> Measurement:
        """Let the base score the replies; none counts for less than blind tokens."""
        scored = [max(WORST_NATS, each) for each in subject.benign_logprobs]
        return Measurement(sum(scored) / len(scored))

    def compare(
        self, candidate: Measurement, *, serving: Measurement, base: Measurement
    ) -> Finding:
        """Fail a fall of more than the limit."""
        return compared(
            self, candidate, serving=serving, base=base, limit=self._limit, worst=WORST_NATS
        )


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    return Sense(settings.gate_sense_nats)
