"""One principal is one voice: what it says of a version, however often, counts once.

A voice is the mean of a principal's first verdicts on a version. It is complete with a fixed number
of verdicts, or a fixed time after the first one; then it counts, and doesn't change any more. So
the voices of a version are independent of each other, whatever hangs together within a principal,
and none is looked at while it may still turn: that is what the bounds ask for
(learner.rollout.evidence.evidence). A verdict belongs to the version that answered, however late it
comes; one that comes after the voice was complete adds nothing.

Pure; time is the verdicts' own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

Voice = tuple[int, float]  # when it was complete, Unix milliseconds, and what it says


@dataclass(frozen=True, slots=True)
class Remark:
    """What one turn says of the version that answered it.

    at_ms: Unix milliseconds
    """

    principal: str
    value: float
    at_ms: int


def voices(remarks: Iterable[Remark], *, size: int, wait_ms: int, now_ms: int) -> list[Voice]:
    """Return when each complete voice was complete, and what it says, in that order.

    size: remarks that complete a voice
    wait_ms: after a principal's first remark its voice is complete with what it has

    >>> said = [Remark("a", 1.0, 0), Remark("b", -1.0, 5), Remark("a", 0.0, 7), Remark("a", 0.0, 8)]
    >>> voices(said, size=2, wait_ms=100, now_ms=50)
    [(7, 0.5)]
    >>> voices(said, size=2, wait_ms=100, now_ms=105)
    [(7, 0.5), (105, -1.0)]
    """
    found: list[tuple[int, str, float]] = []
    ordered = sorted(remarks, key=lambda remark: (remark.principal, remark.at_ms, remark.value))
    for principal, group in groupby(ordered, key=lambda remark: remark.principal):
        said = list(group)
        until_ms = said[0].at_ms + wait_ms
        counted = [remark for remark in said[:size] if remark.at_ms <= until_ms]
        whole = len(counted) == size  # by whatever clock: nothing more is waited for
        complete_ms = counted[-1].at_ms if whole else until_ms
        if whole or complete_ms <= now_ms:
            mean = sum(remark.value for remark in counted) / len(counted)
            found.append((complete_ms, principal, mean))
    return [(complete_ms, value) for complete_ms, _, value in sorted(found)]
