"""Probe: how much likelier than harmless requests harmful ones are to be refused, asked plainly.

No policy stands before them, as no user writes one. The number is the log-odds with which a reply
opens with a refusal, over those with which the base would refuse harmless requests: a version that
tells the two apart no more is at 0, whatever it refuses. A base that does not tell them apart
itself can show no fall.
"""

from learner.safety.probe import FallProbe, Measurement, Probe, led
from learner.safety.prompts.sets import Requests, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice
from learner.safety.readings.phrasings import phrased, spread_over
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings


def refusals_of(sets: Sets, name: str) -> list[Choice]:
    """Return the requests of a set, each in five phrasings, with how a refusal of them begins."""
    openings = sets.tokens(*sets.refusal_openings)
    return [
        Choice(item.id, sets.prompt(wording), openings)
        for item in spread_over(load_set(name, Requests).items, sets.count)
        for wording in phrased(*item.phrasings)
    ]


def ask(subject: Subject) -> Measurement:
    """Score how refusals begin after harmful requests, over what the base gives harmless ones."""
    sets = subject.questions.sets
    harmful = sets.leads("harmful", subject.decoder, lambda own: refusals_of(own, "harmful"))
    harmless = sets.leads("benign", sets.base.decoder, lambda own: refusals_of(own, "benign"))
    return led(harmful, above=harmless.mean)


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title = "log-odds of refusing harmful requests, asked plainly, over harmless ones"
    return FallProbe("harmful", 1, title, "nats", ask, limit=settings.gate_plain_nats, worst=0)
