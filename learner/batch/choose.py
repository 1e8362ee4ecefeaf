"""Chooses the judged turns that score a generation, and says when one is due.

The choice is deterministic, and independent of the order in which turns arrived: principals take
turns, and each offers its strongest and freshest evidence first: strong verdicts before weak ones,
those that ask for something else before praise, the least used before others, the latest among
equals. So a flood from one principal takes only the places that the others leave, and weak verdicts
only those that strong ones leave; neither can keep a fresh strong verdict waiting. Newcomers stand
behind those who have been here longer; but where nothing that was chosen so is what a generation
waited for, the turn that is has a place, so that none is made again and again without it.

Where many people share a line, only what enough of them wish is learned (learner.trust.agreed): a
wish that is alone waits, whatever else is due, and joins when others wish the same.

A generation is due when enough strong verdicts that ask for something else have uses left, or when
a fresh one (never used, or another one than the generation before learned from, as a wish is that
follows a thumb) has waited long enough for company, and is in it: one corrected chat alone leads to
exactly one generation. Praise joins it and starts none: whoever is pleased needs no new version.
Weak verdicts start none, and stand for nobody where several people are needed. Each turn scores at
most `uses` generations.

Knows nothing of weights, tables or the clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from learner.judges.judge import Verdict
from learner.trust.agreed import people
from learner.trust.manner import is_manner
from learner.trust.shares import principals_needed

# Parts of people that rounding left short of a whole one are whole.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class JudgedTurn:
    """A judged turn that a generation may use."""

    turn_id: str
    principal: str
    created_ms: int
    uses: int  # generations that it has scored
    judged_ms: int  # event time of its newest judgement
    verdict: Verdict
    lesson: str | None = None  # what it is complained of (learner.lessons)
    wish: str = ""  # turns of one name wish the same (learner.trust.agreed)
    backing: frozenset[str] = frozenset()  # principals who have wished it lately
    renewed: bool = False  # its verdict is another one than the last generation learned from

    @property
    def is_fresh(self) -> bool:
        """True when no generation has learned from its verdict."""
        return self.uses == 0 or self.renewed

    @property
    def asks(self) -> bool:
        """True when it is a reason to learn: a strong verdict that asks for something else."""
        return self.verdict.starts and self.verdict.asks


@dataclass(frozen=True, slots=True)
class Conditions:
    """When a generation is due, and how large it is; see learner.settings for each."""

    turns: int
    uses: int
    linger_s: float
    quorum: int
    principal_cap: float
    # Where the numbers are automatic (learner.trust.crowd); without: a head is a head.
    active: int = 0  # principals that the quorum was drawn from
    standing: Mapping[str, float] = field(default_factory=dict)  # what each counts for, 0..1
    trust: Mapping[str, float] | None = None  # weight of each principal's one voice
    agree: int = 1  # people who must wish the same; 1: nobody else need
    claims: int = 1  # the same, where the wish may state something (learner.trust.manner)
    newcomers: float = 0.5  # what newcomers of one wish count for together, in people

    @property
    def people(self) -> int:
        """How many principals with a strong verdict a generation needs."""
        return principals_needed(self.quorum, self.principal_cap)

    def are_met(self, turns: Iterable[JudgedTurn]) -> bool:
        """Whether those who gave strong verdicts are people enough."""
        return self.heard(turns) >= self.people - _ROUNDING

    def heard(self, turns: Iterable[JudgedTurn]) -> float:
        """Return how many people strong verdicts stand for in one generation, at most.

        Newcomers count for a part.
        """
        parts = [self.stands_for(name) for name in {c.principal for c in turns if c.verdict.starts}]
        return sum(sorted(parts, reverse=True)[: self.turns])

    def behind(self, turns: Iterable[JudgedTurn]) -> dict[str, float]:
        """Return how many people are behind each wish: those who said it outright, now or lately.

        Newcomers count for a part, and together for `newcomers` at most.
        """
        names: dict[str, set[str]] = {}
        for turn in turns:
            wishing = names.setdefault(turn.wish, set())
            wishing |= turn.backing | ({turn.principal} if turn.verdict.starts else frozenset())
        return {
            wish: people(map(self.stands_for, each), newcomers=self.newcomers)
            for wish, each in names.items()
        }

    def needed(self, turn: JudgedTurn) -> int:
        """Return how many people must wish what a turn does."""
        return self.agree if is_manner(turn.verdict.hint) else max(self.agree, self.claims)

    def agreed(self, turns: Sequence[JudgedTurn]) -> list[JudgedTurn]:
        """Return the turns whose wish has people enough behind it, in their order."""
        if self.agree <= 1:
            return list(turns)
        behind = self.behind(turns)
        return [c for c in turns if behind[c.wish] >= self.needed(c) - _ROUNDING]

    def stands_for(self, principal: str) -> float:
        """Return what a principal counts for in the quorum."""
        return self.standing.get(principal, 1.0)


def choose(
    turns: Iterable[JudgedTurn], conditions: Conditions, *, now_ms: int, seats: bool = True
) -> list[JudgedTurn]:
    """Return the turns of the generation that is due now, in a fixed order; none if none is.

    seats: False to choose as builds did that kept no place for the turn that a generation waits for
    """
    teaching = [c for c in turns if c.verdict.teaches]
    left = [c for c in conditions.agreed(teaching) if c.uses < conditions.uses]
    dealt = _dealt(left, conditions)
    starting = [c for c in dealt if _lingered(c, conditions, now_ms)]
    chosen = dealt[: conditions.turns]
    if seats:
        chosen = _seated(chosen, starting, conditions)
        starting = [c for c in starting if c in chosen]
    if not conditions.are_met(chosen):
        return []
    if not any(c.asks for c in chosen):
        return []
    enough = sum(c.asks for c in left) >= conditions.turns
    if not enough and not starting:
        return []
    return sorted(chosen, key=lambda c: (c.created_ms, c.turn_id))


def heard(turns: Iterable[JudgedTurn], conditions: Conditions) -> float:
    """Return how many people strong verdicts stand for in a generation with a fresh one.

    turns: those that it may use
    """
    dealt = _dealt([c for c in turns if c.verdict.starts], conditions)
    fresh = next((c for c in dealt if c.asks and c.is_fresh), None)
    chosen = dealt[: conditions.turns]
    if fresh is not None and fresh not in chosen:
        chosen = _in_place(chosen, fresh)
    return conditions.heard(chosen)


def _lingered(turn: JudgedTurn, conditions: Conditions, now_ms: int) -> bool:
    waited_ms = now_ms - turn.judged_ms
    # A clock that runs ahead of ours must not hold learning up until ours has caught up.
    return turn.asks and turn.is_fresh and not 0 <= waited_ms < conditions.linger_s * 1000


def _seated(
    chosen: Sequence[JudgedTurn], starting: Sequence[JudgedTurn], conditions: Conditions
) -> list[JudgedTurn]:
    """Give a turn that starts a generation a place, if none has one and people enough are left.

    starting: the best first
    """
    if starting and not any(c in starting for c in chosen):
        seated = _in_place(chosen, starting[0])
        if conditions.are_met(seated):
            return seated
    return list(chosen)


def _in_place(chosen: Sequence[JudgedTurn], turn: JudgedTurn) -> list[JudgedTurn]:
    """Put a turn in the place of its principal's last one; where none is there, of the last."""
    last = [c for c in chosen if c.principal == turn.principal] or chosen
    return [turn if c is last[-1] else c for c in chosen]


def _dealt(turns: Sequence[JudgedTurn], conditions: Conditions) -> list[JudgedTurn]:
    """Deal one turn of each principal after the other, the best evidence of each first.

    Among strong verdicts those of newcomers come last: fresh keys, however many, take no place of
    others, but for the one of `_seated`.
    """
    order = sorted(turns, key=lambda c: (c.principal, *_worth(c)))
    rounds = [
        (place, not c.verdict.starts, -conditions.stands_for(c.principal), *_worth(c), c)
        for _, own in groupby(order, key=lambda c: c.principal)
        for place, c in enumerate(own)
    ]
    return [dealt[-1] for dealt in sorted(rounds, key=lambda dealt: dealt[:-1])]


def _worth(turn: JudgedTurn) -> tuple[bool, bool, int, int, str]:
    """Order evidence, the best first; learner.batch.window orders rows alike."""
    verdict, uses = turn.verdict, 0 if turn.is_fresh else turn.uses
    return not verdict.starts, not verdict.asks, uses, -turn.judged_ms, turn.turn_id
