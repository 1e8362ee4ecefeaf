"""Tells a clause in which a person says that they need no more help: "no further help needed".

It has the words of a complaint ("no help"), and says nothing of the reply. All its words must be
such words (phrases/declining.toml), with a need, a no and help among them, so that whatever else it
says is read on.

Knows nothing of other kinds of clauses.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from learner.judges.acts.kinds import Found
from learner.judges.acts.lexicon import CJK, LATIN, PHRASES
from learner.judges.acts.part import Part
from learner.judges.reading.text import tokens
from learner.judges.reading.traditional import traditional


def declines(part: Part) -> Found:
    """ "I don't need any more help": it is over, whatever the reply was like."""
    if part.asks or not part.words:
        return None
    text = " ".join(word.text for word in part.words)
    if part.eastern:
        whole = re.sub(r"\W", "", text)
        found = any(pattern.fullmatch(whole) for pattern in _patterns())
    else:
        found = any(words.decline(text.split()) for words in _listed())
    return ("declined", "declines help") if found else None


@dataclass(frozen=True, slots=True)
class _Words:
    """One language's words, each in one token."""

    no: frozenset[str]
    need: frozenset[str]
    help: frozenset[str]
    filler: frozenset[str]
    me: frozenset[str]  # a no before it is an answer: "no I need help"

    def decline(self, said: list[str]) -> bool:
        """Tell whether it is made of these words, and says that none is needed."""
        if len(said) > 1 and said[0] in self.no and said[1] in self.me:
            said = said[1:]
        among = set(said)
        needed = (self.no, self.need, self.help)
        return all(among & words for words in needed) and among <= self.filler.union(*needed)


@cache
def _listed() -> tuple[_Words, ...]:
    data = _data()
    names = ("no", "need", "help", "filler", "me")
    return tuple(
        _Words(**{name: frozenset(tokens(data[language].get(name, ""))) for name in names})
        for language in LATIN
    )


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    patterns = [_data()[language]["whole"] for language in CJK]
    return tuple(re.compile(each) for each in (*patterns, "".join(traditional(tuple(patterns[0])))))


@cache
def _data() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((PHRASES / "declining.toml").read_text(encoding="utf-8"))
