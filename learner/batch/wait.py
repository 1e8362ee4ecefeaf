"""Says in words what the planner waits for, so that nobody has to guess why nothing is learned.

Knows nothing of tables or the clock.
"""

from typing import Final

from learner.batch.choose import Conditions
from learner.batch.window import Counts
from learner.trust.crowd import ENOUGH

_ROUNDING: Final = 1e-9
_NUMBERS: Final = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)  # fmt: skip


def waits_for(counts: Counts, conditions: Conditions, heard: float | None = None) -> str:
    """Return what is missing for the next generation.

    counts: of a moment at which none was due
    heard: how many people the strong verdicts stand for; None: as many as gave them

    >>> asked = Conditions(turns=6, uses=8, linger_s=10, quorum=1, principal_cap=0.25)
    >>> waits_for(Counts(fresh=3, used=0, weak=0, people=2), asked)
    'two strong verdicts of other people needed: cap 0.25'
    """
    missing = conditions.people - counts.people
    if conditions.people > conditions.turns:
        return (
            f"{_why(conditions)} needs {conditions.people} people, and a generation holds"
            f" {conditions.turns} turns: nothing is learned until one of them is changed"
        )
    if missing > 0 and conditions.people > 1:
        return f"{_verdicts(missing)} of {_whose(counts, missing)} needed: {_why(conditions)}"
    if counts.fresh and heard is not None and heard < conditions.people - _ROUNDING:
        return (
            f"strong verdicts of people who have been here longer: {_why(conditions)}, and"
            f" newcomers count for a part ({heard:.1f} so far)"
        )
    if counts.waiting and not counts.fresh_asking:
        lessons = "a lesson" if counts.waiting == 1 else f"{counts.waiting} lessons"
        return f"a word on the last versions of {lessons}"
    if (counts.fresh or counts.used) and not counts.asking:
        return "a complaint or a wish: praise alone starts nothing"
    if counts.fresh and counts.fresh_asking:
        return f"company, {conditions.linger_s:g} s at most"
    if counts.fresh or counts.used:
        return "a fresh strong verdict"
    if counts.weak:
        return "a strong verdict: weak ones start nothing"
    return "a verdict"


def _why(conditions: Conditions) -> str:
    """Return which setting asks for so many people."""
    if conditions.people > conditions.quorum:  # never, where the cap is automatic
        return f"cap {conditions.principal_cap:g}"
    if not conditions.active:
        return f"quorum {conditions.quorum}"
    more = " or more" if conditions.active >= ENOUGH else ""
    return f"quorum {conditions.quorum}, as {conditions.active}{more} people are active"


def _verdicts(count: int) -> str:
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} strong verdict{'' if count == 1 else 's'}"


def _whose(counts: Counts, missing: int) -> str:
    if counts.people == 0:
        return "different people"
    return "other people" if missing > 1 else "somebody else"
