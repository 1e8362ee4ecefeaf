"""Says in words what the planner waits for, so that nobody has to guess why nothing is learned.

Knows nothing of tables or the clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from learner.batch.choose import Conditions, JudgedTurn
from learner.batch.window import Counts
from learner.trust.crowd import ENOUGH

_ROUNDING: Final = 1e-9
_NUMBERS: Final = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
)  # fmt: skip
# Lessons whose lack of company is told, the fullest first: a page holds no more.
TOLD: Final = 200


@dataclass(frozen=True, slots=True)
class Alone:
    """Strong verdicts whose wish too few people share so far, of those that are looked at.

    lessons: lesson → how many people are behind it, and how many it needs
    others: whether a fresh one that asks for something has people enough
    """

    verdicts: int = 0
    lessons: dict[str, list[float]] = field(default_factory=dict)
    others: bool = True


def alone(
    turns: Sequence[JudgedTurn], agreed: Iterable[JudgedTurn], conditions: Conditions
) -> Alone:
    """Return which wishes wait for others who wish the same.

    agreed: those of the turns whose wish has people enough
    """
    enough = {turn.turn_id for turn in agreed}
    left = [turn for turn in turns if turn.verdict.starts and turn.turn_id not in enough]
    behind = conditions.behind(turns) if left else {}
    lessons = {t.lesson: [round(behind[t.wish], 2), float(conditions.needed(t))]
               for t in left if t.lesson}  # fmt: skip
    fullest = sorted(lessons, key=lambda id: (-lessons[id][0], id))[:TOLD]
    asking = [turn for turn in turns if turn.asks and turn.is_fresh]
    return Alone(
        len(left),
        {id: lessons[id] for id in fullest},
        others=not asking or any(turn.turn_id in enough for turn in asking),
    )


def waits_for(
    counts: Counts,
    conditions: Conditions,
    heard: float | None = None,
    *,
    alone: Alone = Alone(),
) -> str:
    """Return what is missing for the next generation.

    counts: of a moment at which none was due
    heard: how many people the strong verdicts stand for that are not alone; None: as many as gave
        them

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
    few = heard is not None and heard < conditions.people - _ROUNDING
    if alone.verdicts and (few or not alone.others):
        return _company(conditions, alone)
    if counts.fresh and few:
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
    if counts.fresh:
        return "a fresh complaint or wish: praise alone starts nothing"
    if counts.used:
        return "a fresh strong verdict"
    if counts.weak:
        return "a strong verdict: weak ones start nothing"
    return "a verdict: a correction in a chat, or a thumb"


def _company(conditions: Conditions, alone: Alone) -> str:
    have = "has" if alone.verdicts == 1 else "have"
    newcomers = any(part < 1 - _ROUNDING for part in conditions.standing.values())
    claims = conditions.claims if conditions.claims > conditions.agree else 0
    return (
        f"others who wish the same: {_why(conditions)}, and {_verdicts(alone.verdicts)} {have} too"
        f" few people behind the wish{'; newcomers count for a part' if newcomers else ''}"
        f"{f'; what may state something needs {claims} people' if claims else ''}"
    )


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
