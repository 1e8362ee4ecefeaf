"""Probe: how varied replies to plain requests are: the share of their trigrams that are distinct.

Taken over all replies together, so that one that goes round in circles lowers it, and so does one
phrase that answers everything. Beside it stand the mean length and the entropy of the words, for
the guard against collapse (learner.guards.collapse).
"""

import math
from collections import Counter

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import Subject
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Count trigrams, tokens and their lengths in the replies to plain requests."""
    replies = subject.to_plain
    trigrams = [
        each for reply in replies for each in zip(reply, reply[1:], reply[2:], strict=False)
    ]
    counts = Counter(token for reply in replies for token in reply)
    total = counts.total()
    entropy = -sum(n / total * math.log(n / total) for n in counts.values())
    distinct = len(set(trigrams)) / len(trigrams) if trigrams else 0.0
    return Measurement(distinct, length=total / len(replies), entropy=entropy if total else 0.0)


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title = "distinct trigrams in replies to plain requests"
    limit = settings.gate_variety
    return FallProbe("variety", 1, title, "of all", ask, limit=limit, worst=0, may_return=True)
