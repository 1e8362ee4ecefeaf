"""Tells what each clause of a message is: a complaint, a wish, praise, thanks, or something else.

The rules are the same in every language; what a language's words mean is data (phrases). A rule
asks which classes of words stand in which order, and what the clause is about: a word that no list
has, and that neither question nor reply had, is a topic of its own, and a clause about a topic says
nothing about the reply unless it speaks to the agent outright.

Knows nothing of verdicts, confidence or hints.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from learner.judges.acts import complaints, declining, moves, wishing
from learner.judges.acts.kinds import Kind, Rule
from learner.judges.acts.language import language_of
from learner.judges.acts.part import Part, parts
from learner.judges.reading.reading import Reading

# People react first and go on afterwards; what stands later in a long message is a topic.
MOST_PARTS: Final = 8
# Who likes something, and that they do, stands among so many of a sentence's first words.
OPENING: Final = 5
# The first that applies decides.
_RULES: Final[tuple[Rule, ...]] = (
    wishing.wishes_an_ending,
    declining.declines,
    declining.wants_of_life,
    moves.aside,
    complaints.mocks,
    moves.doubts,
    complaints.falls_short,
    complaints.suffices,
    complaints.is_not,
    complaints.denies_a_fault,
    complaints.scolds,
    complaints.puzzled,
    complaints.hard_to_follow,
    complaints.exceeds,
    complaints.leans,
    complaints.slips,
    complaints.lacks,
    complaints.insists,
    complaints.faults,
    complaints.corrects,
    wishing.wishes_no_more,
    wishing.wishes_a_name,
    wishing.forbids_a_manner,
    wishing.wishes_a_shape,
    moves.praises,
    moves.thanks,
    moves.says_nothing,
    moves.goes_on,
)


def kind_of(part: Part) -> tuple[Kind, str]:
    """Tell what a part is, and by which rule."""
    for rule in _RULES:
        found = rule(part)
        if found is not None:
            return found
    return "other", ""


@dataclass(frozen=True)
class Told:
    """A part of the message, and what it is."""

    kind: Kind
    rule: str
    part: Part

    @property
    def is_topic(self) -> bool:
        """True when the message has gone on to something else here."""
        if self.kind == "other":
            return bool(self.part.topic or self.part.shared)
        return self.kind in ("question", "task", "order", "aside")


@lru_cache(maxsize=256)  # judges ask one after the other
def heard_parts(reading: Reading) -> tuple[Told, ...]:
    """Return the message's first parts; none behind a colon, where somebody else's text begins."""
    words = language_of(reading)
    found: list[Told] = []
    begun: Part | None = None
    for clause in reading.clauses:
        for part in parts(clause, words, reading):
            whole = part if begun is None else begun.joined(part)
            begun = whole if whole.begins else None
            if begun is None or clause is reading.clauses[-1] or clause.announces:
                found.append(Told(*kind_of(whole), whole))
                begun = None
        if clause.announces and found and found[-1].kind not in ("complaint", "empty", "deny"):
            found.append(Told("task", "", found[-1].part))
            break
        if len(found) >= MOST_PARTS:
            break
    return tuple(found if len(found) >= MOST_PARTS else _with_denials(found))


def _with_denials(found: list[Told]) -> list[Told]:
    """Take denied wishes for such, where nothing but courtesy stands beside them.

    "It's longer, not shorter" and "I said shorter, not longer" are complaints.
    """
    alone = not any(told.kind in ("praise", "thanks") for told in found)
    denied = [declining.denies_a_wish(told.part, alone=alone) for told in found]
    beside = (told.kind for told, denies in zip(found, denied, strict=True) if not denies)
    if not any(denied) or not all(kind in ("praise", "thanks", "empty") for kind in beside):
        return found
    return [
        Told("denied", "denies a wish", told.part) if denies else told
        for told, denies in zip(found, denied, strict=True)
    ]


def tells_of_others(reading: Reading) -> bool:
    """Tell whether it says what somebody else likes or thinks: "my wife prefers it shorter"."""
    found = heard_parts(reading)
    if not found or any(told.part.has("you") for told in found):
        return False
    part = found[0].part
    words = [word for word in part.words if word.classes - {"filler"} or not word.known]
    if len(words) < 2:
        return False
    somebody = "others" in words[0].classes or (not words[0].known and not part.has("me"))
    if "mine" in words[0].classes:  # "my wife", and not "a mí me gusta"
        somebody = somebody or "others" in words[1].classes or not words[1].known
    return somebody and any("theirs" in word.classes for word in words[1:OPENING])


def approves_as_it_is(reading: Reading) -> bool:
    """Tell whether a wish is denied in it, and nothing but courtesy stands beside that."""
    return any(told.rule == "denies a wish" for told in heard_parts(reading))


def says_nothing_else(reading: Reading) -> bool:
    """Tell whether a message is courtesy, complaint and wish alone: as plain as words can be."""
    plain = ("complaint", "wish", "praise", "thanks", "declined", "deny", "empty")
    return all(told.kind in plain and not told.part.topic for told in heard_parts(reading))


def thanks_and_goes_on(reading: Reading) -> bool:
    """Tell whether a message is courtesy, and at most a task behind it: "Thanks. Now Rome." """
    courtesy = ("praise", "thanks", "empty")
    found = heard_parts(reading)
    return all(
        (told.kind in courtesy and not told.part.topic) or (told.kind == "task" and place > 0)
        for place, told in enumerate(found)
    )
