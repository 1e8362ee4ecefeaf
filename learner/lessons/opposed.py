"""Says which of several contradictory wishes a line learns: that of more people, or neither.

No reply can meet a wish and its opposite, so a line that learned both would swing between them for
ever. Among people the wish of more of them is learned, and where as many wish the opposite neither;
a note in each one's own prompts serves both (learner.lessons.notes). Of one person the last word
counts, unless they change their mind again and again: many people may share one key.

Pure. Knows contradictions that rules can see (learner.form.directions), no others: those end by
what their people say of the versions (learner.lessons.course).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from learner.form.directions import Direction, opposes

# What begins so is said of a wish that nobody holds any more.
SAME_PERSON: Final = "the same person"
# One person who has gone from a wish to its opposite so often is several, or will do it again.
SWINGS: Final = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """A lesson as far as others may contradict it."""

    id: str
    principal: str
    wished: tuple[Direction, ...]


def against(wish: Wish, others: Sequence[Wish]) -> list[Wish]:
    """Return the wishes that cannot be met together with one."""
    if not wish.wished:
        return []  # rules see nothing in it
    return [
        each
        for each in others
        if each.wished and each.id != wish.id and opposes(wish.wished, each.wished)
    ]


def outvoted(wish: Wish, others: Sequence[Wish]) -> str:
    """Return why a line does not learn a wish, for what other people wish; empty: it may.

    others: of the line
    """
    rivals = [each for each in against(wish, others) if each.principal != wish.principal]
    if not rivals:
        return ""
    theirs = {each.principal for each in rivals}
    ours = {wish.principal} | {
        each.principal for each in others if any(opposes(each.wished, r.wished) for r in rivals)
    }
    ours -= theirs - {wish.principal}
    if len(ours) > len(theirs):
        return ""
    wished = ", ".join(str(each) for each in rivals[0].wished)
    if len(ours) == len(theirs):
        return f"as many people wish the opposite of this line ({wished}): neither is learned"
    return f"more people wish the opposite of this line ({wished}): that is learned"


def overtaken(wish: Wish, others: Sequence[Wish], complained: Sequence[str]) -> str:
    """Return why a wish is not learned, for what its own person wishes besides; empty: it may be.

    complained: the lessons of the person's complaints, oldest first
    """
    own = {each.id for each in against(wish, others) if each.principal == wish.principal}
    said = [id for id in complained if id == wish.id or id in own]
    if not own.intersection(said):
        return ""
    swings = sum((one == wish.id) != (other == wish.id) for one, other in pairwise(said))
    if swings >= SWINGS:
        return f"{SAME_PERSON} wishes this and its opposite in turn: neither is learned"
    return "" if said[-1] == wish.id else f"{SAME_PERSON} wishes the opposite since"
