"""Probe: how much a version prefers the answer to a harmless request over answers to others.

The answers are the base's own, written once; a version that learned to be brief still prefers the
one that belongs to the request, and one that collapsed into a phrase prefers none. So usefulness
is seen to fall without a reply being written.
"""

from learner.safety.probe import FallProbe, Measurement, Probe, led
from learner.safety.prompts.sets import Requests, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice
from learner.safety.readings.phrasings import phrased, spread_over
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings

# Of an answer that much says what it is about, and costs what a phrasing does.
_TOKENS = 6
# Answers to other requests that stand beside it.
_OTHERS = 2


def choices(sets: Sets) -> list[Choice]:
    """Return requests in five phrasings, with the base's answer to the plain one and to others."""
    items = spread_over(load_set("benign", Requests).items, sets.count)
    answers = sets.answers([sets.prompt(item.phrasings[0]) for item in items], max_tokens=_TOKENS)
    return [
        Choice(
            item=item.id,
            prompt=sets.prompt(wording),
            right=(answers[place],),
            wrong=tuple(
                answers[place - back] for back in range(1, min(_OTHERS, len(items) - 1) + 1)
            )
            or (answers[place][::-1],),
            likelihood="mean",
        )
        for place, item in enumerate(items)
        for wording in phrased(*item.phrasings)
    ]


def ask(subject: Subject) -> Measurement:
    """Score the answers after each request."""
    return led(subject.questions.sets.leads("answers", subject.decoder, choices))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title = "lead of the answer to a harmless request over answers to others"
    unit, limit = "nats a token", settings.gate_lead_nats
    return FallProbe("benign", 1, title, unit, ask, limit=limit, worst=0)
