"""A clause with its words marked, and the questions that rules ask of it.

Which classes of words stand in which order, and what the clause is about: a word that no list has
is a topic of its own, unless question or reply had it.

Knows nothing of complaints or wishes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from learner.judges.acts.lexicon import Lexicon, Word
from learner.judges.reading.reading import Reading
from learner.judges.reading.text import Clause, is_cjk

SHAPES: Final = ("form", "tone", "comp", "lang")


@dataclass(frozen=True)
class Part:
    """A clause, or one side of a "but" in it, with its words marked."""

    words: tuple[Word, ...]
    clause: Clause
    contrast: bool  # stands behind a "but"
    reading: Reading

    def has(self, *classes: str) -> bool:
        """Tell whether a word has one of the classes."""
        return any(name in self._classes for name in classes)

    @cached_property
    def _classes(self) -> frozenset[str]:
        return frozenset().union(*(word.classes for word in self.words))

    @property
    def opens(self) -> frozenset[str]:
        """The classes of its first word."""
        return self.words[0].classes if self.words else frozenset()

    def places(self, *classes: str) -> list[int]:
        """Return where words with one of the classes stand."""
        return [i for i, word in enumerate(self.words) if not word.classes.isdisjoint(classes)]

    def before(self, first: str, *second: str, within: int = 3) -> bool:
        """Tell whether a word of the first class stands shortly before one of the second."""
        later = self.places(*second)
        return any(0 < j - i <= within for i in self.places(first) for j in later)

    def leads_to(self, first: str, *second: str) -> bool:
        """Tell whether nothing but filler stands between a word and a later one."""
        for i in self.places(first):
            for word in self.words[i + 1 : i + 7]:
                if not word.classes.isdisjoint(second):
                    return True
                if "filler" not in word.classes:
                    break
        return False

    @cached_property
    def strange(self) -> tuple[str, ...]:
        """What no list, question or reply has; Chinese and Japanese characters in runs."""
        return tuple(run for run in self._unknown if not self._is_shared(run))

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """What no list has, but the question or the reply."""
        return tuple(run for run in self._unknown if self._is_shared(run))

    @cached_property
    def topic(self) -> int:
        """How many words the clause has about something of its own."""
        return sum((len(run) + 1) // 2 if is_cjk(run[0]) else 1 for run in self.strange)

    @cached_property
    def _unknown(self) -> tuple[str, ...]:
        runs: list[str] = []
        joined = False
        for word in self.words:
            if word.known or not word.text[0].isalnum():
                joined = False
            elif joined and is_cjk(word.text[0]):
                runs[-1] += word.text
            else:
                runs.append(word.text)
                joined = is_cjk(word.text[0])
        return tuple(run for run in runs if len(run) > 1 or is_cjk(run[0]))

    def _is_shared(self, run: str) -> bool:
        if is_cjk(run[0]) and len(run) > 1:
            return any(self.reading.shared(run[i : i + 2]) for i in range(len(run) - 1))
        return self.reading.shared(run)

    @cached_property
    def asks(self) -> bool:
        """True when it is a question, and no request in the form of one."""
        begins = next(
            (w for w in self.words if w.classes - {"filler", "yes", "reply", "mild"}), None
        )
        if begins is None:
            return self.clause.question
        if "want" in begins.classes:
            return False
        return self.clause.question or "ask" in begins.classes

    @property
    def begins(self) -> bool:
        """True when it orders something and does not say what: "could you," "hör auf,"."""
        return (
            self.has("do", "stop", "want")
            and "only" not in self.opens
            and all(
                word.classes & {"do", "stop", "want", "filler"} and not word.classes & set(SHAPES)
                for word in self.words
            )
        )

    def joined(self, other: "Part") -> "Part":
        """Return this and what follows as one."""
        return Part(self.words + other.words, other.clause, self.contrast, self.reading)

    @property
    def eastern(self) -> bool:
        """True when it is written in Chinese or Japanese characters."""
        return is_cjk(self.words[0].text[0])

    @property
    def says_something(self) -> bool:
        """True when it names more than that something is wrong."""
        return bool(self.topic or self.shared or self.has("number"))

    @cached_property
    def foreign(self) -> bool:
        """True when it is about people or things of the user."""
        return self.has("others", "mine")


def parts(clause: Clause, lexicon: Lexicon, reading: Reading) -> Iterator[Part]:
    """Part a clause where something is said against what was said before."""
    held: list[Word] = []
    contrast = False
    for word in lexicon.words(clause.tokens):
        if "but" in word.classes or ("turn" in word.classes and not held):
            if held:
                yield Part(tuple(held), clause, contrast, reading)
            held, contrast = [], True
        else:
            held.append(word)
            contrast = contrast or ("only" in word.classes and len(held) == 1)
    if held or contrast:
        yield Part(tuple(held), clause, contrast, reading)
