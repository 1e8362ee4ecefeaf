"""Bounds what one principal can do to a generation: a capped share of its weight, and a quorum.

Poisoning the training data is this product's own risk (docs/SECURITY.md). However many turns one
principal brings, their shares of a generation's weight stay under the cap; and a cap of a quarter
says by itself that three principals are too few to learn from.

Knows nothing of what was said.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A share that the arithmetic of the cap pushed over it by rounding is not over it.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Voice:
    """One judged turn in a generation: whose it is, and how sure its verdict is."""

    turn_id: str
    principal: str
    confidence: float


def principals_needed(quorum: int, cap: float) -> int:
    """Return how many principals a generation needs: the quorum, or as many as the cap implies.

    >>> principals_needed(1, 1.0), principals_needed(1, 0.25), principals_needed(5, 0.25)
    (1, 4, 5)
    """
    return max(quorum, math.ceil(1 / cap - _ROUNDING))


def weights(
    voices: Sequence[Voice], *, cap: float, trust: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return each turn's weight in a generation: within a principal by confidence, capped in sum.

    cap: largest share of one principal
    trust: the weight of each principal's one voice, shared by its turns; None: principals weigh by
        the confidence of all their turns together
    returns: turn id → weight; they sum to 1, or to less when the principals are too few for the cap
    """
    totals: Counter[str] = Counter()
    for voice in voices:
        totals[voice.principal] += voice.confidence  # type: ignore[assignment]
    spoken: Mapping[str, float] = totals
    if trust is not None:
        turns = Counter(voice.principal for voice in voices)
        spoken = {name: trust[name] * total / turns[name] for name, total in totals.items()}
    shares = capped_shares(spoken, cap=cap)
    return {
        voice.turn_id: shares[voice.principal] * voice.confidence / totals[voice.principal]
        for voice in voices
        if totals[voice.principal] > 0
    }


def capped_shares(totals: Mapping[str, float], *, cap: float) -> dict[str, float]:
    """Share out 1 in proportion, none over the cap; what is cut off goes to the others.

    >>> capped_shares({"a": 8.0, "b": 1.0, "c": 1.0}, cap=0.5)
    {'a': 0.5, 'b': 0.25, 'c': 0.25}
    """
    capped: set[str] = set()
    while True:
        left = 1.0 - cap * len(capped)
        rest = sum(total for name, total in totals.items() if name not in capped)
        shares = {
            name: cap if name in capped else left * total / rest if rest > 0 else 0.0
            for name, total in totals.items()
        }
        over = {name for name, share in shares.items() if share > cap + _ROUNDING}
        if not over:
            return shares
        capped |= over
