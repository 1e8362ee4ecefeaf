"""Tells a clause that sounds like a complaint or a wish, and is none.

"No further help needed" has the words of a complaint ("no help"), and says nothing of the reply.
All its words must be such words (phrases/declining.toml), with a need, a no and help among them, so
that whatever else it says is read on. "Don't make it shorter" and "days should be longer" have the
words of a wish; patterns of the whole clause tell them (phrases/denied.toml, phrases/lived.toml).

Knows nothing of other kinds of clauses.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from learner.judges.acts.kinds import Found
from learner.judges.acts.lexicon import CJK, LATIN, PHRASES
from learner.judges.acts.part import Part
from learner.judges.reading.text import is_cjk, tokens
from learner.judges.reading.traditional import traditional

# The words of a pattern of whole clauses, and not the sign of a group's name.
_WORDS: Final = re.compile(r"[^\W\d_]+(?!<)")


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


def denies_a_wish(part: Part, *, alone: bool) -> bool:
    """ "Please don't make it shorter", "no need to shorten it": no order to make it longer.

    alone: whether no courtesy stands beside it, so that a mere "nicht kürzer" is one, too
    """
    lists = ("whole", "alone") if alone else ("whole",)
    return not part.clause.question and _whole("denied", part, lists) is not None


def wants_of_life(part: Part) -> Found:
    """ "Days should be longer": of their own life, unless they had asked about that."""
    found = None if part.clause.question else _whole("lived", part, ("whole",))
    if found is None or any(map(part.reading.asked_about, _named(found["noun"]))):
        return None
    return "aside", "wants it of life"


def _named(noun: str) -> tuple[str, ...]:
    """The words of a noun, one or many; of Chinese and Japanese ones, each two characters."""
    if is_cjk(noun[0]) and len(noun) > 1:
        return tuple(noun[at : at + 2] for at in range(len(noun) - 1))
    return tuple(
        form for word in tokens(noun) for form in (word, f"{word}s", word.removesuffix("s"))
    )


def _whole(name: str, part: Part, lists: tuple[str, ...]) -> re.Match[str] | None:
    """Return what a pattern of phrases/<name>.toml finds, if it is all of the part."""
    said = part.clause.tokens
    gap = "" if is_cjk(said[0]) else " "
    text = gap.join(word.text for word in part.words)
    if text not in gap.join(said):
        return None  # "Don't, make it shorter" is two clauses
    patterns = (each for listed in lists for each in _of_clauses(name, listed))
    return next((found for each in patterns if (found := each.fullmatch(text))), None)


@cache
def _of_clauses(name: str, listed: str) -> tuple[re.Pattern[str], ...]:
    data = tomllib.loads((PHRASES / f"{name}.toml").read_text(encoding="utf-8"))
    filled = (each for language in data for each in _filled(language, data[language], listed))
    return tuple(map(re.compile, filled))


def _filled(language: str, lists: Mapping[str, str | list[str]], listed: str) -> Iterator[str]:
    """Yield a language's patterns as tokens are written, with what stands before and behind."""
    gap = "" if language in CJK else " "
    soft = lists.get("soft")
    named = {
        "{shape}": lists["shape"],
        "{thing}": lists.get("thing", ""),
        "{noun}": f"(?P<noun>{lists.get('noun', '')})",
    }
    for pattern in lists.get(listed, ()):
        whole = pattern
        if soft is not None:
            whole = f"(?:(?:{soft}){gap})*(?:{pattern})(?:{gap}(?:{soft}))*"
        for name, words in named.items():
            whole = whole.replace(name, str(words))
        if language in CJK:
            yield from {whole, "".join(traditional(tuple(whole)))}
        else:
            yield _WORDS.sub(lambda word: tokens(word[0])[0], whole)
