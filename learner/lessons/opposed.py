"""Says which of several contradictory wishes a line learns: that of more people, or neither.

No reply can meet a wish and its opposite, so a line that learned both would swing between them for
ever. Among people the wish of more of them is learned, and where as many wish the opposite neither;
a note in each one's own prompts serves both (learner.lessons.notes). Of one person the last word
counts, unless they change their mind again and again: many people may share one key. Each one's
reason says that there are others, and never in whose words.

Pure. Knows contradictions that rules can see (learner.form.directions), no others: those end by
what their people say of the versions (learner.lessons.course).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Final

from learner.form.directions import Direction, opposes

# What begins so is said of a wish that nobody holds any more.
SAME_PERSON: Final = "the same person"
# What stands in the reason of a wish that others keep from being learned.
OPPOSITE: Final = "the opposite of this line"
# One person who has gone from a wish to its opposite so often is several, or will do it again.
SWINGS: Final = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """A lesson as far as others may contradict it."""

    id: str
    principal: str
    wished: tuple[Direction, ...]


@dataclass(slots=True)
class _Thing:
    """What is wished, and by whom.

    wishes: with their places among all
    people: as bits
    opposed: the numbers of what it contradicts, as bits; None: it was not compared yet
    """

    wished: tuple[Direction, ...]
    wishes: list[tuple[int, Wish]] = field(default_factory=list)
    people: int = 0
    opposed: int | None = None


class Wishes:
    """Wishes of a line, held against each other.

    Many people wish the same, so that each two things that are wished are compared once; what is
    wished and who wishes it are then bits of numbers.
    """

    def __init__(self, wishes: Iterable[Wish]) -> None:
        """Take the wishes, in the order in which they are named."""
        self._things: list[_Thing] = []
        self._numbers: dict[tuple[Direction, ...], int] = {}  # of what is wished
        self._people: dict[str, int] = {}  # the bit of each
        self._own: dict[str, list[tuple[int, Wish]]] = {}  # what each wishes, with its number
        for place, each in enumerate(wishes):
            if each.wished:  # rules see nothing in the others
                self._take(place, each)

    def _take(self, place: int, wish: Wish) -> None:
        number = self._numbers.setdefault(wish.wished, len(self._things))
        if number == len(self._things):
            self._things.append(_Thing(wish.wished))
        self._things[number].wishes.append((place, wish))
        self._things[number].people |= self._bit(wish.principal)
        self._own.setdefault(wish.principal, []).append((number, wish))

    def against(self, wish: Wish) -> list[Wish]:
        """Return the wishes that cannot be met together with one."""
        opposed = self._opposed(wish.wished)
        found = [
            placed
            for number, thing in enumerate(self._things)
            if opposed >> number & 1
            for placed in thing.wishes
        ]
        return [each for _, each in sorted(found, key=itemgetter(0)) if each.id != wish.id]

    def outvoted(self, wish: Wish) -> str:
        """Return why a line does not learn a wish, for what other people wish; empty: it may."""
        me, opposed = self._bit(wish.principal), self._opposed(wish.wished)
        rivals = theirs = 0
        for number, thing in enumerate(self._things):
            if opposed >> number & 1 and thing.people & ~me:
                rivals |= 1 << number
                theirs |= thing.people & ~me
        if not rivals:
            return ""
        ours = me
        for thing in self._things:
            if self._opposed(thing.wished) & rivals:
                ours |= thing.people
        num_ours, num_theirs = (ours & ~theirs).bit_count(), theirs.bit_count()
        if num_ours > num_theirs:
            return ""
        if num_ours == num_theirs:
            return f"as many people wish {OPPOSITE}: neither is learned"
        return f"more people wish {OPPOSITE}: that is learned"

    def overtaken(self, wish: Wish, complained: Sequence[str]) -> str:
        """Return why a wish is not learned, for what its own person wishes besides; empty: it may.

        complained: the lessons of the person's complaints, oldest first
        """
        opposed, theirs = self._opposed(wish.wished), self._own.get(wish.principal, ())
        own = {each.id for number, each in theirs if opposed >> number & 1} - {wish.id}
        said = [id for id in complained if id == wish.id or id in own]
        if not own.intersection(said):
            return ""
        swings = sum((one == wish.id) != (other == wish.id) for one, other in pairwise(said))
        if swings >= SWINGS:
            return f"{SAME_PERSON} wishes this and its opposite in turn: neither is learned"
        return "" if said[-1] == wish.id else f"{SAME_PERSON} wishes the opposite since"

    def _bit(self, principal: str) -> int:
        return 1 << self._people.setdefault(principal, len(self._people))

    def _opposed(self, wished: tuple[Direction, ...]) -> int:
        """Return, as bits, which things no reply can meet together with what is wished."""
        number = self._numbers.get(wished)
        if number is None:
            return sum(
                1 << n for n, each in enumerate(self._things) if opposes(wished, each.wished)
            )
        known = self._things[number].opposed
        if known is None:
            known = sum(1 << n for n in range(len(self._things)) if self._contradict(number, n))
            self._things[number].opposed = known
        return known

    def _contradict(self, one: int, other: int) -> bool:
        known = self._things[other].opposed  # what contradicts is contradicted
        if known is not None:
            return bool(known >> one & 1)
        return opposes(self._things[one].wished, self._things[other].wished)
