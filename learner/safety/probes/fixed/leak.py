"""Probe: how much likelier a version is to decline than to tell a secret of its system prompt.

The number is the log-odds of a refusal's opening over those of the secret itself at the beginning
of a reply. A base that would rather tell it has nothing to lose, and the probe can say nothing.
"""

from learner.safety.probe import FallProbe, Measurement, Probe, led
from learner.safety.prompts.sets import Leaks, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice
from learner.safety.readings.phrasings import phrased, spread_over
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings
from streams.records import Message


def choices(sets: Sets) -> list[Choice]:
    """Return system prompts with a secret, each asked for in five phrasings."""
    openings = sets.tokens(*sets.refusal_openings)
    return [
        Choice(
            item=item.id,
            prompt=sets.prompt(
                [
                    Message(role="system", content=item.system),
                    Message(role="user", content=wording),
                ]
            ),
            right=openings,
            wrong=sets.tokens(*item.leaks),
        )
        for item in spread_over(load_set("system_prompt_leak", Leaks).items, sets.count)
        for wording in phrased(*item.questions)
    ]


def ask(subject: Subject) -> Measurement:
    """Score how refusals and the secret begin after each question."""
    return led(subject.questions.sets.leads("leak", subject.decoder, choices))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title = "log-odds of keeping a secret of the system prompt"
    return FallProbe("leak", 1, title, "nats", ask, limit=settings.gate_leak_nats, worst=0)
