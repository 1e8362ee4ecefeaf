"""How large a quorum and a cap are when nobody sets them: they follow the people who are active.

For n principals with judged turns on the line in the last 30 days:

    quorum = min(3, ⌊√n⌋, turns of a generation), at least 1        cap = 1 / quorum

    n        1    2    5    20   100
    quorum   1    1    2    3    3
    cap      1    1    1/2  1/3  1/3

So one person at home, or two or three who share a service, teach it alone; one of twenty or of a
hundred does not. The quorum ends at 3, so that an honest minority of three is heard however many
say nothing; the price is that three who have been here as long as others, and agree to lie, are
heard as well. A cap under 1 / quorum would silently ask for a larger quorum.

A principal is one voice: however many turns it brings, its weight is that of its age,

    w = a / (a + 14)        a = 1 + days since its first turn on the line, at most 31

so that a key of today has 1/15, one of a month 31/45: twenty fresh keys (1.33) weigh less than five
old ones (3.44). In the quorum a principal counts for 2 w / (the largest w on the line), at most 1:
beside people of a month, a key counts in full after a week, and for a fifth today; where everybody
is new, everybody counts in full.

Where the answers to some questions are known (learner.trust.gold), a voice is multiplied by

    (hits + 2) / (hits + misses + 2)

so that a key that praises what is known to be wrong loses half of its weight by two misses, and an
honest slip among many hits costs next to nothing. It is the weight alone that falls: an honest
minority with a slip is as many people as before.

A wish that may state something of the world (learner.trust.manner) needs more people than any share
of the crowd that could be of one mind to lie: of those who count in full, more than
`learner.claim_share` (5 %). Below sixty people that is the quorum of 3, of a hundred it is 6. Fresh
keys do not raise it.

Knows nothing of tables or the clock.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# What is looked back at, for who is active; nobody counts as older than that.
LOOK_BACK_DAYS: Final = 30
# More active principals than this change nothing.
ENOUGH: Final = 9
_LARGEST_QUORUM: Final = 3
# The fixed prior that pulls a voice towards nothing, in days of age.
_PRIOR_DAYS: Final = 14.0
# Hits that everybody is believed to have had before any.
_PRIOR_HITS: Final = 2


@dataclass(frozen=True, slots=True)
class Record:
    """How often somebody was right about replies of which it is known what they are worth."""

    hits: int
    misses: int

    @property
    def share(self) -> float:
        """What is left of the voice, 0..1.

        >>> Record(0, 0).share, Record(0, 2).share, Record(18, 1).share > 0.95
        (1.0, 0.5, True)
        """
        return (self.hits + _PRIOR_HITS) / (self.hits + self.misses + _PRIOR_HITS)


NO_RECORD: Final = Record(0, 0)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The people of a line, as known at one moment."""

    active: int  # principals with judged turns in LOOK_BACK_DAYS, at most ENOUGH
    days: Mapping[str, float]  # since the first turn of each principal who may be heard
    oldest_days: float  # since the first turn of anybody active
    settled: int = 0  # of the active, those who count in full; 0: not counted, as they are few
    records: Mapping[str, Record] = field(default_factory=dict)  # of those who have one

    @property
    def weights(self) -> dict[str, float]:
        """Return each principal's weight: by age, and by its record where there is one."""
        return {
            name: age_weight(days) * self.records.get(name, NO_RECORD).share
            for name, days in self.days.items()
        }

    @property
    def standing(self) -> dict[str, float]:
        """Return what each principal counts for in a quorum, 0..1."""
        oldest = max([self.oldest_days, *self.days.values()], default=0.0)
        return {name: standing_of(days, oldest) for name, days in self.days.items()}


def age_weight(days: float) -> float:
    """Return a voice's weight by the days since its first turn.

    >>> round(20 * age_weight(0), 2), round(5 * age_weight(30), 2)
    (1.33, 3.44)
    """
    age = 1 + min(max(days, 0.0), LOOK_BACK_DAYS)
    return age / (age + _PRIOR_DAYS)


def standing_of(days: float, oldest_days: float) -> float:
    """Return what a voice counts for in a quorum beside the oldest, 0..1.

    >>> round(standing_of(0, 30), 2), standing_of(7, 30) > 0.98, standing_of(0, 0)
    (0.19, True, 1.0)
    """
    return min(1.0, 2 * age_weight(days) / age_weight(oldest_days))


def claim_quorum_of(settled: int, *, quorum: int, share: float) -> int:
    """Return how many people must wish what may state something: more than a share of the crowd.

    settled: active people who count in full; share: 0: no more than for other wishes

    >>> [claim_quorum_of(n, quorum=3, share=0.05) for n in (9, 59, 60, 100, 1000)]
    [3, 3, 4, 6, 51]
    """
    return max(quorum, math.floor(share * settled + 1e-9) + 1) if share else quorum


def quorum_of(active: int, *, turns: int) -> int:
    """Return how many principals a generation needs.

    turns: what a generation holds: more people than that could never come together

    >>> [quorum_of(n, turns=6) for n in (1, 2, 5, 20, 100)]
    [1, 1, 2, 3, 3]
    """
    return max(1, min(_LARGEST_QUORUM, math.isqrt(active), turns))
