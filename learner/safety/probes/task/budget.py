"""The share of a small task that a version has right, held to a budget.

The task's items are those of the probe `tasks`, and laid out once for both.
"""

from functools import partial

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.probes.tasks import choices
from learner.safety.readings.asking import Subject
from learner.settings import LearnerSettings


def ask(subject: Subject, task: str) -> Measurement:
    """Read the share right, in points of a hundred."""
    sets = subject.questions.sets
    leads = sets.leads(f"tasks.{task}", subject.decoder, partial(choices, task=task))
    return Measurement(100 * leads.right)


def budget(task: str, settings: LearnerSettings) -> Probe:
    """Open the probe of one task."""
    title, limit = f"right answers to small tasks: {task}", settings.gate_task_points
    asked = partial(ask, task=task)
    return FallProbe(task, 1, title, "points", asked, limit=limit, worst=0)
