"""Turns the tokens of a clause into marked words, by a language's list of words and phrases.

A word has the classes of the longest phrase of the list that it stands in (`thanks`, `fault`,
`form`, …); a word that no list has is a word about something, and what a clause is about decides
whether it speaks of the reply. Lists are data (phrases/*.toml); a lookup takes linear time.

Knows nothing of replies or verdicts.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from learner.judges.reading.text import COVER, is_cjk, tokens
from learner.judges.reading.traditional import traditional

PHRASES: Final = Path(__file__).parent / "phrases"
LATIN: Final = ("en", "de", "fr", "es", "it", "pt")
CJK: Final = ("zh", "ja")
CLASSES: Final = frozenset(
    {
        "filler", "reply", "you", "me", "mine", "others", "not", "deny", "yes", "but", "turn",
        "too", "long", "short", "hard", "stiff", "loose", "grade", "fault", "able", "slip",
        "heed", "told", "lost", "scold", "mock", "thanks", "good", "love", "want", "do", "stop",
        "form", "tone", "comp", "lang", "brief", "more", "plain", "number", "ask", "task",
        "aside", "doubt", "sorry", "naming", "as", "quit", "dense", "only", "mild", "closing",
        "theirs", "denying", "enough",
    }
)  # fmt: skip
# Phrases of these classes leave the words in them what they are.
SOFT: Final = frozenset({"able", "heed", "slip", "reply", "filler", "told", "form"})
# A stem shorter than this would be the beginning of anything.
SHORTEST_STEM: Final = 3
_LONG_RUN: Final = re.compile(r"([^\W\d_])\1{2,}")
_DOUBLE: Final = re.compile(r"([^\W\d_])\1")
# What people leave the apostrophe out of: don't, that's; c'est, j'ai, l'ho.
_AFTER: Final = frozenset({"s", "t", "m", "d", "re", "ve", "ll"})
_BEFORE: Final = frozenset({"c", "j", "l", "d", "n", "t", "m", "s", "qu", "un", "dell"})
_NONE: Final[frozenset[str]] = frozenset()

# How many tokens a phrase has, and its classes.
Entry = tuple[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Word:
    """A token or phrase of a clause, and what the language's list says of it."""

    text: str
    classes: frozenset[str]

    @property
    def known(self) -> bool:
        """True when the list has it."""
        return bool(self.classes)


@dataclass(frozen=True)
class Lexicon:
    """A language's words and phrases.

    _phrases: with their classes
    _lengths: by a first token, how many tokens its phrases have; most first
    _stems: beginnings of words
    """

    name: str
    _phrases: Mapping[tuple[str, ...], frozenset[str]] = field(repr=False)
    _lengths: Mapping[str, Sequence[int]] = field(repr=False)
    _stems: Mapping[str, frozenset[str]] = field(repr=False)

    def words(self, clause: Sequence[str]) -> tuple[Word, ...]:
        """Mark the tokens of a clause.

        >>> [(w.text, sorted(w.classes)) for w in lexicon("en").words(("thx", "umbrella"))]
        [('thx', ['thanks']), ('umbrella', [])]
        """
        return tuple(
            Word(_joined(clause[start:end]), classes) for start, end, classes in self._spans(clause)
        )

    def share(self, clause: Sequence[str]) -> float:
        """Return which share of the letters of a clause is in words that the list has.

        >>> lexicon("en").share(("thx", "umbrella")), lexicon("en").share(())
        (0.2727272727272727, 0.0)
        """
        known = total = 0
        for start, end, classes in self._spans(clause):
            letters = len(clause[start]) if end == start + 1 else len(_joined(clause[start:end]))
            total += letters
            known += letters if classes else 0
        return known / total if total else 0.0

    def _spans(self, clause: Sequence[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
        """Yield where each word begins and ends, and its classes."""
        place = 0
        while place < len(clause):
            taken, classes = self._longest(clause, place)
            yield place, place + taken, classes
            place += taken

    def _longest(self, clause: Sequence[str], place: int) -> Entry:
        for token in _spellings(clause[place]):
            found = [
                (length, classes)
                for length in self._lengths.get(token, ())
                if place + length <= len(clause)
                and (classes := self._phrases.get((token, *clause[place + 1 : place + length])))
            ]
            if found:
                return _best(found)
            stem = self._stem(token)
            if stem:
                return 1, stem
            if token[0].isdigit():
                return 1, frozenset({"number"})
            if token == COVER:
                return 1, frozenset({"filler"})
        return 1, _NONE

    def _stem(self, token: str) -> frozenset[str]:
        for length in range(len(token), SHORTEST_STEM - 1, -1):
            found = self._stems.get(token[:length])
            if found:
                return found
        return _NONE


def _joined(found: Sequence[str]) -> str:
    return ("" if is_cjk(found[0]) else " ").join(found)


def _best(found: Sequence[Entry]) -> Entry:
    """The longest phrase that is not soft; the classes of soft ones count as well."""
    hard = next((entry for entry in found if entry[1] - SOFT), None)
    if hard is None:
        return found[0]
    soft = next((classes for length, classes in found if length > hard[0]), _NONE)
    return hard[0], hard[1] | (soft & SOFT)


def _spellings(token: str) -> Iterator[str]:
    """A token as it stands, then what drawn-out or doubled letters in it may stand for."""
    yield token
    if not _DOUBLE.search(token):
        return
    if _LONG_RUN.search(token):
        yield _LONG_RUN.sub(r"\1\1", token)
        yield _LONG_RUN.sub(r"\1", token)
    if len(token) > 3:
        yield _DOUBLE.sub(r"\1", token)


@cache
def lexicon(name: str) -> Lexicon:
    """Read a language's list.

    raises: ValueError when the list has a class that nobody knows
    """
    phrases: dict[tuple[str, ...], set[str]] = {}
    stems: dict[str, set[str]] = {}
    for kind, text in (*_listed(name), *_listed("any")):
        for entry in text.replace("\n", " ").split(","):
            phrase = tokens(entry.strip().removesuffix("*"))
            if not phrase:
                continue
            if entry.strip().endswith("*"):
                stems.setdefault(phrase[0], set()).add(kind)
                continue
            other = traditional(phrase) if name == "zh" else _without_apostrophes(phrase)
            for written in {phrase, other}:
                phrases.setdefault(written, set()).add(kind)
    lengths: dict[str, set[int]] = {}
    for phrase in phrases:
        lengths.setdefault(phrase[0], set()).add(len(phrase))
    return Lexicon(
        name,
        {phrase: frozenset(kinds) for phrase, kinds in phrases.items()},
        {first: sorted(found, reverse=True) for first, found in lengths.items()},
        {stem: frozenset(kinds) for stem, kinds in stems.items()},
    )


def _listed(name: str) -> list[tuple[str, str]]:
    listed: dict[str, str] = tomllib.loads((PHRASES / f"{name}.toml").read_text(encoding="utf-8"))
    unknown = set(listed) - CLASSES
    if unknown:
        raise ValueError(f"phrases/{name}.toml has unknown classes: {', '.join(sorted(unknown))}")
    return list(listed.items())


def _without_apostrophes(phrase: tuple[str, ...]) -> tuple[str, ...]:
    """How a phrase looks where somebody leaves the apostrophes out.

    >>> _without_apostrophes(("that", "s", "it")), _without_apostrophes(("c", "est", "ca"))
    (('thats', 'it'), ('cest', 'ca'))
    """
    joined: list[str] = []
    for token in phrase:
        if joined and (token in _AFTER or joined[-1] in _BEFORE):
            joined[-1] += token
        else:
            joined.append(token)
    return tuple(joined)
