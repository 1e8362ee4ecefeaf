"""A town whose people judge replies, honestly or not: what of it would weigh in generations.

The planner's own choice, quorum and weights, minute by minute, without a model: what is measured is
the weight of lies in what would be learned, and not yet what a version makes of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from learner.batch.choose import JudgedTurn, choose
from learner.batch.plan import conditions_of
from learner.judges.judge import Verdict
from learner.settings import LearnerSettings
from learner.trust.agreed import wish_key
from learner.trust.crowd import ENOUGH, Crowd, standing_of
from learner.trust.shares import Voice, weights

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Said:
    """A strong verdict that somebody gives at some minute.

    wish: in words; None: that of all who lie, or of all who don't
    praised: the reply that is praised instead, without a wish
    """

    minute: int
    principal: str
    lie: bool = False
    wish: str | None = None
    praised: str | None = None

    @property
    def hint(self) -> str | None:
        """What the reply should have done."""
        if self.praised is not None:
            return None
        return self.wish or ("Say that it is Lagos." if self.lie else "Be brief.")


@dataclass(frozen=True, slots=True)
class Dose:
    """What a run came to."""

    generations: int
    decided: int  # generations in which lies weigh more than half
    weight: float  # of lies, summed over generations

    @property
    def share(self) -> float:
        """Return the share of lies in all that was learned."""
        return self.weight / self.generations if self.generations else 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one generation learns from: turns with their weights, and which of them are lies."""

    weights: Mapping[str, float]
    lies: frozenset[str]

    @property
    def of_lies(self) -> float:
        """Return the weight of the lies."""
        return sum(self.weights[turn] for turn in self.lies)


def run(said: Sequence[Said], days: Mapping[str, float], settings: LearnerSettings) -> Dose:
    """Let a day pass, and sum what lies weigh; see `batches`."""
    shares = [batch.of_lies for batch in batches(said, days, settings)]
    return Dose(len(shares), sum(share > 0.5 for share in shares), sum(shares))


def batches(
    said: Sequence[Said], days: Mapping[str, float], settings: LearnerSettings
) -> Iterator[Batch]:
    """Let a day pass, a generation a minute at most; yield what each learns from.

    days: since the first turn of everybody who is active, those who say nothing too
    """
    pending = sorted(said, key=lambda each: (each.minute, each.principal))
    oldest = max(days.values())
    settled = sum(standing_of(each, oldest) >= 1 for each in days.values())
    crowd = Crowd(min(len(days), ENOUGH), days, oldest, settled)
    conditions = conditions_of(settings, crowd)
    window: list[JudgedTurn] = []
    lies: set[str] = set()
    behind: dict[str, set[str]] = {}
    for minute in range(1441):
        while pending and pending[0].minute <= minute:
            each = pending.pop(0)
            turn = _turn(each, number=len(said) - len(pending))
            window.append(turn)
            behind.setdefault(turn.wish, set()).add(turn.principal)
            lies |= {turn.turn_id} if each.lie else set()
        backed = window
        if conditions.agree > 1:
            backed = [replace(c, backing=frozenset(behind[c.wish])) for c in window]
        chosen = choose(backed, conditions, now_ms=(minute + 1) * MINUTE_MS)
        if not chosen:
            continue
        voices = [Voice(c.turn_id, c.principal, c.verdict.confidence) for c in chosen]
        found = weights(voices, cap=conditions.principal_cap, trust=conditions.trust)
        yield Batch(found, frozenset(lies & found.keys()))
        used = {c.turn_id for c in chosen}
        window = [replace(c, uses=c.uses + (c.turn_id in used)) for c in window]
        window = [c for c in window if c.uses < settings.uses]


def _turn(each: Said, *, number: int) -> JudgedTurn:
    at_ms = each.minute * MINUTE_MS
    score: Literal[-1, 1] = -1 if each.praised is None else 1
    verdict, name = Verdict(score=score, confidence=0.9, hint=each.hint), f"t{number:05d}"
    wish = wish_key(each.hint, score=score, asked="asked", reply=each.praised, turn_id=name)
    return JudgedTurn(name, each.principal, at_ms, 0, at_ms, verdict, wish=wish)
