"""Words of hints: what the reply should have done, by a complaint or wish and a person's words."""

from typing import Final

from learner.judges.acts.clauses import Told
from learner.judges.acts.part import Part
from learner.judges.reading.reading import Reading
from learner.judges.wishes import Hint, hint_of

# What the reply should have done, where a complaint names only what it should not; and what most
# people wish, worded as the embedded model follows it: to five questions its greedy replies had 54
# tokens of at most 64 with "That's too long. Shorter please." behind them, and 26 with the wish.
OWN_WORDING: Final = {
    "too long": "Answer in one short sentence only.",
    "too short": "Answer in more detail.",
    "too complicated": "Explain it in simple words.",
    "too stiff": "Use a less formal tone.",
    "too loose": "Use a more formal tone.",
    "asks for shorter": "Answer in one short sentence only.",
    "asks for more": "Answer in more detail.",
    "asks for simpler words": "Explain it in simple words.",
}
# Complaints that say themselves what should have been.
TELLING: Final = frozenset({"corrects it", "says what was asked", "faults the agent"})


def hint_for(reading: Reading, told: Told, *, wish: Told | None) -> Hint:
    """Return what the reply should have done, or why the words are no instruction.

    told: the complaint or wish that decides
    wish: the clause that says what should have been, where one does
    """
    if wish is not None and wish.rule in OWN_WORDING:
        return Hint(OWN_WORDING[wish.rule])
    if wish is not None:
        return _own_words(reading, wish.part)
    if told.rule in OWN_WORDING:
        return Hint(OWN_WORDING[told.rule])
    if told.rule in TELLING and told.part.says_something:
        return _own_words(reading, told.part, whole=True)
    return Hint(None)


def _own_words(reading: Reading, part: Part, *, whole: bool = False) -> Hint:
    """The person's words from where the part begins (whole: its sentence) to where they end.

    What they ask next is for the next reply.
    """
    clauses = reading.clauses
    first = part.clause
    if whole:
        first = next(c for c in clauses if c.sentence == part.clause.sentence)
    last = part.clause
    for clause in clauses[clauses.index(part.clause) + 1 :]:
        if clause.sentence != part.clause.sentence and (whole or clause.question):
            break
        last = clause
    return hint_of(reading.said[first.start : last.stop], within=reading.said)
