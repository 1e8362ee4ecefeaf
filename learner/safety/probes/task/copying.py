"""Probe: the budget of the small task `copying`."""

from learner.safety.probe import Probe
from learner.safety.probes.task.budget import budget
from learner.settings import LearnerSettings


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    return budget("copying", settings)
