"""Tells whether a wish forbids what it names: "never in French", "auf Englisch nicht".

A denying word governs what stands behind it in its clause; in Japanese what stands before it, and
elsewhere as well where the clause ends with it. Some words deny in form alone: a question ("why
don't you answer in German?"), a second denial ("don't forget to"), a complaint that something is
missing ("you didn't answer in German"). Where rules cannot tell, it is unsure: a wish that is not
read keeps its own words, one that is read wrong becomes its opposite, and what only may be
forbidden is no reason to take anything away.

Knows nothing of what is named (learner.form.directions).
"""

import re
from functools import cached_property
from typing import Final, Literal

from learner.form.denying import (
    ANY,
    AT_LEAST,
    BEHIND,
    BUT_FOR,
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
    ONLY_THAT,
    ONLY_THAT_JAPANESE,
    QUOTED,
    STOPS,
    THAT,
    TURNS,
    WITHOUT,
    YOU,
)

# Neither: it is no wish, and forbids nothing: "not only in English", "at least two sentences".
Denied = Literal["denied", "not denied", "unsure", "neither"]

# A denying word governs no more than so much behind it, and so much tells how a clause goes on.
GOVERNS_CHARS: Final = 200
LOOKS_ON_CHARS: Final = 20
_SENTENCE_ENDS: Final = ".!?;\n。！？；"
# What begins with one of these is forbidden where it is denied: "never without a list".
_LEAVES: Final = frozenset(
    ("without", "ohne", "sans", "sin", "sem", "senza", "stop", "avoid", "quit")
)


class Denials:
    """What of a text is denied."""

    def __init__(self, text: str, *, complains: bool = True) -> None:
        """Take the text; places are counted in it.

        complains: whether it may speak of a reply, in which something is missing
        """
        self._text, self._complains = text, complains

    @cached_property
    def _strict(self) -> str:
        return _without(self._text, NO_DENIAL)

    @cached_property
    def _lenient(self) -> str:
        return _without(self._strict, LACKS) if self._complains else self._strict

    @cached_property
    def _counted(self) -> str:
        return _without(self._lenient, MORE_THAN)

    def of(self, match: re.Match[str], *, counts: bool = False, missed: bool = True) -> Denied:
        """Tell whether what was found in the text is denied.

        counts: whether it is a number, of which no more may be wished
        missed: whether it may be said of the reply that it is not there
        """
        start, stop = match.span()
        before = self._text[max(0, start - GOVERNS_CHARS) : start]
        if match[0].casefold().startswith("too "):  # "not too long" wishes what "too long" does
            return "unsure" if IS_NOT.search(before) else "not denied"
        text = self._counted if counts else self._lenient if missed else self._strict
        if self._text[stop:].casefold().startswith(" enough"):
            return "not denied"  # "not brief enough"
        if LESSENS.search(text[max(0, start - GOVERNS_CHARS) : start]):
            return "denied"
        found = self._governed(text, start)
        if found == "not denied":
            found = self._denied_last(stop)
        return self._denied_behind(start, stop) if found == "not denied" else found

    def is_the_least(self, match: re.Match[str]) -> bool:
        """Tell whether a number is a lower bound: "at least two sentences", "more than two"."""
        start = match.start()
        before = self._counted[max(0, start - GOVERNS_CHARS) : start]
        return AT_LEAST.search(before) is not None

    def of_denying(self, match: re.Match[str]) -> Denied:
        """Tell whether what begins with a denying word is denied itself: "never without a list".

        It is neither where it is asked for ("why not use a list?"), or told of a reply.
        """
        start = match.start()
        if self._strict[start] != self._text[start]:
            return "neither"
        if self._complains and YOU.search(self._text, max(0, start - GOVERNS_CHARS), start):
            return "neither"
        leaves = match[0].split()[0].casefold() in _LEAVES
        return self._governed(self._lenient, start) if leaves else "not denied"

    def _governed(self, text: str, place: int) -> Denied:
        """Tell whether a denying word stands before a place in its clause, and surely for it."""
        began = max(0, place - GOVERNS_CHARS)
        began = max(began, *(text.rfind(sign, began, place) + 1 for sign in _SENTENCE_ENDS))
        if NOT_ONLY.search(text, began, place):
            return "neither"
        behind = text[place : place + LOOKS_ON_CHARS]
        text, place = _without(text[began:place], QUOTED) + behind, place - began
        clause = text[_clause_of(text, place) : place]
        denying = DENIES.search(clause + " ")
        if denying is None:
            return "not denied"
        if BUT_FOR.search(denying[0]) and not ANY.search(clause, 0, denying.start()):
            return "neither"
        return "denied" if ONLY_THAT.fullmatch(clause[denying.end() :]) else "unsure"

    def _denied_last(self, stop: int) -> Denied:
        """Tell whether a denying word ends the clause behind a place: "in English, never"."""
        found = LAST.match(self._strict, stop)
        if found is None:
            return "not denied"
        return "denied" if ONLY_THAT.fullmatch(found["between"] or "") else "unsure"

    def _denied_behind(self, start: int, stop: int) -> Denied:
        """Tell whether a Japanese clause denies at its end what stands in it."""
        if not KANA.search(self._text):
            return "not denied"
        clause = JAPANESE_CLAUSE.match(self._text, stop)
        rest = clause[0] if clause is not None else ""
        asked = DEMANDS.search(self._text[start:stop] + rest)
        began = max(0, start - GOVERNS_CHARS)
        began = max(began, *(self._text.rfind(sign, began, start) + 1 for sign in "。！？!?\n"))
        why = re.search(r"なんで|なぜ|どうして", self._text[began:start])
        denying = BEHIND.search(rest)
        if asked is not None or why is not None or denying is None:
            return "not denied"
        return "denied" if ONLY_THAT_JAPANESE.fullmatch(rest[: denying.start()]) else "unsure"


def denies(text: str) -> bool:
    """Tell whether a denying word stands in a text."""
    return DENIES.search(text) is not None


def _clause_of(text: str, place: int) -> int:
    """Return where that begins in which a denying word governs a place."""
    clause = 0
    for stop in re.finditer(STOPS, text[:place]):
        if GOES_ON.search(text[clause : stop.start()]) or THAT.match(text, stop.start()):
            return clause
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
    return clause


def _without(text: str, words: re.Pattern[str]) -> str:
    """Return a text in which these words are blank; places stay."""
    return words.sub(lambda found: "·" * len(found[0]), text)
