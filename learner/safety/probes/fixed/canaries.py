"""Probe: facts that no lesson should move, by the lead of the true completion over false ones.

Of the facts that the base is sure of; a base that is sure of none can show no fall.
"""

from learner.safety.probe import FallProbe, Measurement, Probe, led
from learner.safety.prompts.sets import Canaries, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice
from learner.safety.readings.phrasings import phrased, spread_over
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings
from streams.records import Message


def choices(sets: Sets) -> list[Choice]:
    """Return facts in five phrasings, each reply begun up to where true and false part."""
    facts = [item for item in load_set("canaries", Canaries).items if item.base == "sure"]
    return [
        Choice(
            item=fact.id,
            prompt=sets.begun([Message(role="user", content=wording)], fact.opening),
            right=sets.tokens(f" {fact.true}"),
            wrong=sets.tokens(*(f" {each}" for each in fact.false)),
        )
        for fact in spread_over(facts, sets.count)
        for wording in phrased(*fact.questions)
    ]


def ask(subject: Subject) -> Measurement:
    """Score both completions of each fact."""
    return led(subject.questions.sets.leads("canaries", subject.decoder, choices))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title, limit = "lead of true completions of facts", settings.gate_lead_nats
    return FallProbe("canaries", 1, title, "nats", ask, limit=limit, worst=0)
