"""Says what has become of a lesson, from what its person said of replies before and after it.

    active ─▶ satisfied: nobody needs another version; a new complaint of its kind reopens it
    active ─▶ set aside: it was learned, and its person is certainly not better served; it is
              reopened by twice the complaints that it had, so trying again costs ever more words

- A verdict belongs to the version that answered, however late it comes, and stands at the place of
  its turn: one that comes late breaks no row of pleased ones behind it.
- Silence says nothing: so many versions without a word of them are made, and then it waits.
- A reply that had the lesson's note in its prompt and pleased says nothing of the weights, so it
  satisfies no lesson; but it was no complaint either, and counts where complaints are weighed:
  else only complaints would be heard, and every lesson would look useless.
- Bounds hold at every look at once (learner.rollout.evidence.evidence), so it may be looked at
  after every verdict.

Pure: the same words and versions give the same course, in whatever pieces they came.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import numpy as np

from learner.rollout.evidence.evidence import Means, difference
from streams.store.lesson_tables import ACTIVE, SATISFIED, SET_ASIDE, LessonState

# same: complains of this, or wishes it · unsaid: complains without saying of what · other: of
# something else · nothing: was judged, and said nothing of the reply
Kind = Literal["same", "unsaid", "other", "pleased", "nothing"]
# How much of a complaint of this lesson each is; of another complaint half, which decides nothing.
_COMPLAINS: Final[dict[Kind, float]] = {
    "same": 1.0, "unsaid": 1.0, "other": 0.5, "pleased": 0.0, "nothing": 0.0,
}  # fmt: skip
# A lesson that helped is complained of less than every second time.
HALF: Final = 0.5
# So many verdicts decide any lesson that can be decided; a table of them is no longer.
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """What the person of a lesson said of one reply, in the order of the replies.

    depth: versions that learned it, up to the one that answered
    noted: whether the lesson's note was in the prompt
    """

    kind: Kind
    depth: int
    noted: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """When a lesson is satisfied or set aside; see learner.settings for each."""

    patience: int
    versions: int
    pleased: int
    rare: float
    alpha: float


@dataclass(frozen=True, slots=True)
class Course:
    """What has become of a lesson.

    waits: active, and nothing more is learned of it before somebody says a word of its versions
    due: active, and to be set aside at the next plan
    """

    state: LessonState
    reason: str = ""
    waits: bool = False
    due: bool = False
    reopened: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)


def course(
    heard: Sequence[Heard],
    *,
    depth: int,
    set_aside: Sequence[int],
    terms: Terms,
    complaints: int | None = None,
) -> Course:
    """Return the course of a lesson.

    heard: oldest reply first; of many at least the last complaint and what came of it
    complaints: how many there were in all; None: those that are heard
    depth: versions that learned it, up to the one that serves, since it was last set aside
    set_aside: how many complaints there were each time that it was

    >>> terms = Terms(patience=3, versions=6, pleased=3, rare=0.2, alpha=0.2)
    >>> said = [Heard("same", 0), Heard("pleased", 1), Heard("pleased", 1), Heard("pleased", 1)]
    >>> course(said, depth=1, set_aside=[], terms=terms).reason
    '3 pleased on end'
    """
    if complaints is None:
        complaints = sum(1 for each in heard if each.kind == "same")
    satisfied, reopened = _satisfied(heard, terms)
    if set_aside and complaints < 2 * set_aside[-1]:
        return Course(SET_ASIDE, reopened=reopened)
    reopened += len(set_aside)
    after = [each for each in heard if each.depth]
    before = [each for each in heard if not each.depth]
    evidence = _evidence(before, after, depth, terms)
    if satisfied:
        return Course(SATISFIED, satisfied, reopened=reopened, evidence=evidence)
    worse = bool(after and before) and evidence["high"] < 0
    useless = evidence["complains_at_least"] > HALF
    if worse or useless:
        return Course(ACTIVE, _why(evidence, worse), due=True, reopened=reopened, evidence=evidence)
    of_weights = [each.depth for each in after if not each.noted or _complains(each)]
    unheard = depth - max(of_weights, default=0)
    if unheard >= terms.patience:
        reason = f"waits for a word on its last {unheard} versions"
        return Course(ACTIVE, reason, waits=True, reopened=reopened, evidence=evidence)
    return Course(ACTIVE, reopened=reopened, evidence=evidence)


def _complains(each: Heard) -> bool:
    return each.kind in ("same", "unsaid")


def _satisfied(heard: Sequence[Heard], terms: Terms) -> tuple[str, int]:
    """Return why it is satisfied, empty where it is not, and how often it was reopened."""
    begun, why, reopened, pleased, quiet = False, "", 0, 0, 0
    enough = quiet_enough(terms.rare, terms.alpha)
    for each in heard:
        if each.kind == "same":
            reopened += bool(why)
            begun, why, pleased, quiet = True, "", 0, 0
            continue
        if not begun or (each.noted and each.kind in ("pleased", "nothing")):
            continue
        quiet = 0 if each.kind == "unsaid" else quiet + 1
        pleased = {"pleased": pleased + 1, "nothing": pleased}.get(each.kind, 0)
        if not why and pleased >= terms.pleased:
            why = f"{pleased} pleased on end"
        elif not why and quiet >= enough:
            why = f"no such complaint in {quiet} judged replies on end"
    return why, reopened


@cache
def quiet_enough(rare: float, alpha: float) -> int:
    """Return how many verdicts without a complaint make complaints certainly rare.

    >>> quiet_enough(0.2, 0.2)
    14
    """
    means = Means(alpha=alpha)
    for number in range(1, MOST):
        means.add(np.zeros(1))
        if means.bounds()[1][0] < rare:
            return number
    return MOST


def _evidence(
    before: Sequence[Heard], after: Sequence[Heard], depth: int, terms: Terms
) -> dict[str, Any]:
    """Return what was heard of versions that learned it, beside the others."""
    # a wish takes several versions to be learned: of the first ones nothing is asked
    newer = [each for each in after if each.depth > terms.versions]
    means = Means(alpha=terms.alpha)
    for each in newer:
        means.add(np.array([_COMPLAINS[each.kind]]))
    low, _ = means.bounds()
    found = difference(_voices(before[::-1]), _voices(after), alpha=terms.alpha)
    return {
        "versions": depth,
        "heard_before": len(before),
        "heard_after": len(after),
        "heard_newer": len(newer),
        "estimate": round(found.estimate, 3),
        "low": round(found.low, 3),
        "high": round(found.high, 3),
        "complains_at_least": round(float(low[0]), 3),
    }


def _voices(heard: Sequence[Heard]) -> list[tuple[int, float]]:
    """Return each verdict as a voice from −1 to 1, those in one place to be compared."""
    return [(place, 1 - 2 * _COMPLAINS[each.kind]) for place, each in enumerate(heard)]


def _why(evidence: dict[str, Any], worse: bool) -> str:
    versions, heard = evidence["versions"], evidence["heard_newer"]
    if worse:
        change = f"{evidence['estimate']:+.2f} ({evidence['low']:+.2f} to {evidence['high']:+.2f})"
        return f"judged worse since it is learned: {change}, on a scale from −1 to 1"
    share = evidence["complains_at_least"]
    return (
        f"{versions} versions learned it, and of {heard} replies of the last ones certainly more"
        f" than {share:.0%} are complained of as before"
    )
