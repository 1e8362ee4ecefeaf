"""Turns a message into its first parts, each with what it is: a complaint, praise, a topic.

Knows nothing of verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from learner.judges.clauses import Kind, kind_of
from learner.judges.lexicon import CJK, LATIN, Lexicon, lexicon
from learner.judges.part import Part, parts
from learner.judges.reading import Reading
from learner.judges.text import is_cjk, tokens

# People react first and go on afterwards; what stands later in a long message is a topic.
MOST_PARTS: Final = 8
# Of the reply, this much tells the language of a message that is too short to do so.
LANGUAGE_CHARS: Final = 200
LANGUAGE_WEIGHT: Final = 0.3


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
    return tuple(found)


def language_of(reading: Reading) -> Lexicon:
    """Return the language that knows most of a message's words; the reply's, where several do."""
    said = [token for clause in reading.clauses for token in clause.tokens]
    eastern = sum(map(is_cjk, said)) * 3 > len(said)
    context = tokens(reading.reply[:LANGUAGE_CHARS])

    def fit(name: str) -> float:
        words = lexicon(name)
        return _known(words, said) + LANGUAGE_WEIGHT * _known(words, context)

    return lexicon(max(CJK if eastern else LATIN, key=fit))


def _known(words: Lexicon, found: Sequence[str]) -> float:
    marked = words.words(found)
    total = sum(len(word.text) for word in marked)
    return sum(len(word.text) for word in marked if word.known) / total if total else 0.0


def says_nothing_else(reading: Reading) -> bool:
    """Tell whether a message is courtesy, complaint and wish alone: as plain as words can be."""
    plain = ("complaint", "wish", "praise", "thanks", "deny", "empty")
    return all(told.kind in plain and not told.part.topic for told in heard_parts(reading))
