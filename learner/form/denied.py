"""Tells whether a wish forbids what it names: "never in French", "auf Englisch nicht".

A denying word governs what stands behind it in its clause; in Japanese what stands before it, and
elsewhere as well where the clause ends with it. Some words deny in form alone: a question ("why
don't you answer in German?"), a second denial ("don't forget to"), a complaint that something is
missing ("you didn't answer in German"). Where it is not sure that nothing is denied, it counts as
denied: a wish that is not read keeps its own words, one that is read wrong becomes its opposite.

Knows nothing of what is named (learner.form.directions).
"""

import re
from functools import cached_property
from typing import Final

from learner.form.denying import (
    AT_LEAST,
    BEHIND,
    DEMANDS,
    DENIES,
    GOES_ON,
    IS_NOT,
    JAPANESE_CLAUSE,
    KANA,
    LACKS,
    LAST,
    LESSENS,
    MORE_THAN,
    NO_DENIAL,
    NOT_ONLY,
    QUOTED,
    STOPS,
    THAT,
    TURNS,
    WITHOUT,
)

# A denying word governs no more than so much behind it, and so much tells how a clause goes on.
GOVERNS_CHARS: Final = 200
LOOKS_ON_CHARS: Final = 20
_SENTENCE_ENDS: Final = ".!?;\n。！？；"


class Denials:
    """What of a text is denied."""

    def __init__(self, text: str) -> None:
        """Take the text; places are counted in it."""
        self._text = text

    @cached_property
    def _strict(self) -> str:
        return _without(self._text, NO_DENIAL)

    @cached_property
    def _lenient(self) -> str:
        return _without(self._strict, LACKS)

    @cached_property
    def _counted(self) -> str:
        return _without(self._lenient, MORE_THAN)

    def is_denied(self, match: re.Match[str], *, counts: bool = False, missed: bool = True) -> bool:
        """Tell whether a wish forbids what was found in the text.

        counts: whether it is a number, of which no more may be wished
        missed: whether it may be said of the reply that it is not there
        """
        start, stop = match.span()
        if match[0].casefold().startswith("too "):  # "not too long" wishes what "too long" does
            return IS_NOT.search(self._text[max(0, start - GOVERNS_CHARS) : start]) is not None
        text = self._counted if counts else self._lenient if missed else self._strict
        if self._text[stop:].casefold().startswith(" enough"):
            return False  # "not brief enough"
        return (
            self._is_governed(text, start)
            or LESSENS.search(text[max(0, start - GOVERNS_CHARS) : start]) is not None
            or LAST.match(self._strict, stop) is not None
            or self._is_denied_behind(start, stop)
        )

    def is_the_least(self, match: re.Match[str]) -> bool:
        """Tell whether a number is a lower bound: "at least two sentences", "more than two"."""
        start = match.start()
        before = self._counted[max(0, start - GOVERNS_CHARS) : start]
        return AT_LEAST.search(before) is not None

    def is_no_denial(self, match: re.Match[str]) -> bool:
        """Tell whether what begins with a denying word denies nothing.

        It is asked for ("why not use a list?"), or denied itself ("never without a list").
        """
        start = match.start()
        first = match[0].split()[0].casefold()
        if self._strict[start] != self._text[start]:
            return True
        leaves = first in ("without", "ohne", "sans", "sin", "sem", "senza")
        return leaves and self._is_governed(self._lenient, start)

    def _is_governed(self, text: str, place: int) -> bool:
        """Tell whether a denying word stands before a place in its clause."""
        began = max(0, place - GOVERNS_CHARS)
        began = max(began, *(text.rfind(sign, began, place) + 1 for sign in _SENTENCE_ENDS))
        if NOT_ONLY.search(text, began, place):
            return True
        behind = text[place : place + LOOKS_ON_CHARS]
        text, place = _without(text[began:place], QUOTED) + behind, place - began
        clause = 0
        for stop in re.finditer(STOPS, text[:place]):
            before = text[clause : stop.start()]
            if GOES_ON.search(before) or THAT.match(text, stop.start()):
                return DENIES.search(before) is not None
            clause = stop.end()
        for ended in WITHOUT.finditer(text, clause):
            if ended.end() <= place:
                clause = ended.end()
        for turn in TURNS.finditer(text, clause):
            if turn.end() > place:
                break
            denials = list(DENIES.finditer(text, clause, turn.start()))
            if not denials or text[denials[-1].end() : turn.start()].strip():
                clause = turn.end()
        return DENIES.search(text[clause:place] + " ") is not None

    def _is_denied_behind(self, start: int, stop: int) -> bool:
        if not KANA.search(self._text):
            return False
        clause = JAPANESE_CLAUSE.match(self._text, stop)
        rest = clause[0] if clause is not None else ""
        asked = DEMANDS.search(self._text[start:stop] + rest)
        began = max(0, start - GOVERNS_CHARS)
        began = max(began, *(self._text.rfind(sign, began, start) + 1 for sign in "。！？!?\n"))
        why = re.search(r"なんで|なぜ|どうして", self._text[began:start])
        return asked is None and why is None and BEHIND.search(rest) is not None


def denies(text: str) -> bool:
    """Tell whether a denying word stands in a text."""
    return DENIES.search(text) is not None


def _without(text: str, words: re.Pattern[str]) -> str:
    """Return a text in which these words are blank; places stay."""
    return words.sub(lambda found: "·" * len(found[0]), text)
