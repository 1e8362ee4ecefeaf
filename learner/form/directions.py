"""Reads from a wish what a program can check of a reply: its length, form, words, end or language.

A wish has as many directions as are found in it, often none: a tone or a persona is no matter of
rules. What is found says which wishes are one, and which two cannot both be met. Wishes are read in
eight languages where a phrase is common, in English else.

Knows nothing of replies (learner.form.obeys).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from learner.form.denied import Denials, Denied, denies
from learner.form.expressions import (
    CALLED,
    CALLS,
    ENDS,
    LANGUAGE,
    LEAST_WORDS,
    LINES,
    MARKED,
    MOST_WORDS,
    NOT_CALLS,
    NUMBERS,
    ONE_SENTENCE,
    SENTENCES,
    STARTING_SIGN,
    STARTS,
    USES,
    YEAR,
)

Kind = Literal[
    "most words", "most sentences", "shorter", "longer", "least words", "yes or no",
    "lines", "list", "no list", "plain text", "capitals", "table", "json", "emoji", "no emoji",
    "no apology",
    "ends with a question", "no question", "ends with", "starts with", "says", "says not",
    "called", "language",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Direction:
    """One thing that is wished of a reply.

    value: a number, a phrase or a language; empty where the kind says it all
    """

    kind: Kind
    value: str = ""

    def __str__(self) -> str:
        """The direction as people read it."""
        return f"{self.kind} {self.value}".strip()


# Of what is found again and again in a text, so much is looked at.
MOST_MATCHES: Final = 16
# What holds the phrase in an expression below.
_PHRASE_GROUPS: Final = ("phrase", "rest", "chinese", "japanese")
# A phrase that is to be said word for word is no longer than this.
PHRASE_CHARS: Final = 60

# Of a thing that is plainly forbidden: nothing stands between, and nothing behind ("for links").
_DO_NOT: Final = (
    r"\b(?:(?:do not|don't|dont|never|please not) (?:ever )?(?:use|make|add|write|send|put|"
    r"give me)|(?:no more|stop|avoid|quit)(?: using| making| adding| writing| sending)?) "
    r"(?:a |any |the )?"
)
_ENDS_THERE: Final = (
    r"(?= ?(?:please|any ?more|again|ever|at all|in (?:your|the) (?:answers|replies))*"
    r"(?: please)? ?(?:[.!;,]|\Z))"
)
# Whole phrases; the first kind of a line that is found counts, and stands for no other of it.
_WRITTEN: Final[tuple[tuple[Kind, str], ...]] = (
    ("yes or no", r"\b(?:only|just) (?:with )?(?:a )?yes or no\b|\byes or no only\b"),
    ("no list", r"\b(?:no|not|without|hate|drop the|kein\w*|ohne|pas de|sans|sin|sem|senza|não|"
     r"non) (?:a |an |use |usare |usar |utilise |make |bulleted |numbered |any |d'|une |un )*"
     r"(?:bullets?\b|bullet points|lists?\b|liste\w*\b|listas?\b|elench\w+|bold or lists)|"
     r"pas (?:une|de) liste|utilise pas de liste|不要列表|"
     r"箇条書き(?:に|で|を|は|も)?(?:なし|しないで|使わないで|やめて|禁止)|"
     rf"{_DO_NOT}(?:bulleted |numbered )?(?:lists?|bullets|bullet points){_ENDS_THERE}"),
    ("list", r"\b(?:as|in|with|make|use) (?:a |an )?(?:\w+ )?(?:bulleted |numbered )?(?:list|"
     r"bullet points|bullets|numbered steps|steps)\b|\bals liste\b|\ben liste\b|\ben lista\b|"
     r"分步骤|列表|箇条書き"),
    ("plain text", r"\bplain text\b|\b(?:no|without|not use) (?:markdown|bold|headings)\b"),
    ("table", r"\b(?:in|with|as|use) a table\b"),
    ("json", r"\b(?:only (?:with |in )?|as |in |with )json\b"),
    ("capitals", r"\ball cap(?:ital)?s\b|\b(?:in|with) (?:capital|upper ?case) letters\b"),
    ("no emoji", r"\b(?:no|not use|without|any more|ohne|keine|sans|sin|senza|non usare|sem) "
     r"(?:any |the )?(?:emojis?|smileys?|faccine)\b|不要表情|絵文字なし|"
     rf"{_DO_NOT}(?:emojis?|smileys?){_ENDS_THERE}"),
    ("emoji", r"\b(?:add|use|with|more|some|mit|avec|con|com) (?:\w+ )?emojis?\b"),
    ("no apology", r"\b(?:do not|don't|stop|no more|without) apolog\w+|\bno apolog\w+"),
    ("no question", r"\b(?:no|without a|stop asking|don't ask|do not ask|not end with an?) "
     r"(?:\w+ )?questions?\b|\bstop asking\b|最後に.{0,6}質問を?しないで|質問で終わらないで|"
     rf"\b(?:don't|dont|never|stop) (?:ever )?(?:end|finish|clos)(?:e|ing|ish)? "
     rf"(?:your (?:answers|replies) )?with (?:a )?questions?{_ENDS_THERE}"),
    ("ends with a question", r"\b(?:ends?|finish|close) with a (?:\w+ )?question\b|\bask me "
     r"(?:something|a question|anything)\b[^.]{0,20}(?:back|end|return)?|\bask (?:me )?back\b|"
     r"\bquestion (?:for me |to me |back )?at the end\b|mit einer frage|mich (?:am ende |etwas "
     r"|was )+(?:zu )?frag|最後に.{0,12}(?:質問|聞いて)"),
    ("longer", r"\b(?:longer|more detail(?:ed|s)?|elaborate|say more|in depth|länger|"
     r"ausführlicher|plus long|plus de détails|más largo|più lungo|mais longo)\b|更长|更详细|"
     r"長く|詳しく|\btoo short\b|"
     r"\b(?:do not|don't|dont|never) be (?:so|that|too) (?:brief|concise)\b|"
     r"\bstop being (?:so |that )?(?:brief|concise)\b|\bless (?:brief|concise)\b"),
    ("shorter", r"\b(?:shorter|brief(?:er|ly)?|keep it short|concise(?:ly)?|too long|less text|"
     r"kürzer|plus court|más corto|più corto|più breve|mais curto)\b|短一点|更短|短く|手短"),
)  # fmt: skip
_PHRASES: Final = tuple((kind, re.compile(words)) for kind, words in _WRITTEN)
# What forbids another kind says so in its own words; None: no kind wishes for the opposite.
_DENIED_KIND: Final[dict[Kind, Kind | None]] = {
    "no list": "list",
    "no emoji": "emoji",
    "no question": "ends with a question",
    "no apology": None,
}
_SAME: Final[tuple[frozenset[Kind], ...]] = (  # what says the same more exactly comes first
    frozenset({"most words", "most sentences", "yes or no", "shorter"}),
    frozenset({"least words", "longer"}),
    frozenset({"no list", "list"}),
    frozenset({"no emoji", "emoji"}),
    frozenset({"no question", "ends with a question"}),
)
_BRIEF: Final[frozenset[Kind]] = frozenset({"most words", "most sentences", "yes or no", "shorter"})
_AT_LENGTH: Final[frozenset[Kind]] = frozenset({"least words", "longer"})
_AGAINST: Final[tuple[tuple[frozenset[Kind], frozenset[Kind]], ...]] = (
    (_BRIEF, _AT_LENGTH),
    (frozenset({"list"}), frozenset({"no list"})),
    (frozenset({"emoji"}), frozenset({"no emoji"})),
    (frozenset({"ends with a question"}), frozenset({"no question"})),
)
# Kinds of which a reply can meet one value only.
_ONE_VALUE: Final[frozenset[Kind]] = frozenset({"language", "starts with", "ends with", "called"})


def directions_of(wish: str) -> tuple[Direction, ...]:
    """Return what a program can check of a wish, in a fixed order; nothing that it forbids.

    >>> [str(each) for each in directions_of("Answer in one short sentence only.")]
    ['most sentences 1']
    >>> [str(each) for each in directions_of('Start with the words: Dear Ada,')]
    ['starts with Dear Ada,']
    >>> [str(each) for each in directions_of("Call me Ada Weber, please.")]
    ['called Ada Weber']
    >>> directions_of("Answer like a pirate."), directions_of("Never answer in French.")
    ((), ())
    """
    return _in_one_language(each for each, denied in _read(wish) if denied == "not denied")


def forbidden_in(wish: str) -> tuple[Direction, ...]:
    """Return what a wish surely forbids, in a fixed order; what it wishes instead says so already.

    >>> [str(each) for each in forbidden_in("Please don't use a table.")]
    ['table']
    >>> forbidden_in("Answer in German, not in English."), forbidden_in("No lists, please.")
    ((), ())
    """
    return _unsaid(wish, "denied")


def says_more(wish: str) -> bool:
    """Tell whether its directions alone would lose something that a wish forbids, or may forbid.

    >>> says_more("Answer in German, in at least two sentences"), says_more("No lists, please.")
    (True, False)
    """
    return bool(_unsaid(wish, "denied", "unsure", "neither"))


def orders_of(sentence: str) -> tuple[tuple[Direction, ...], tuple[Direction, ...]]:
    """Return what a sentence of an operator's orders, and what it forbids.

    It complains of no reply ("You never use tables."), and what only may be forbidden is ordered:
    an operator's words stand.

    >>> ordered, forbidden = orders_of("Never reveal this and answer in German.")
    >>> [str(each) for each in ordered], forbidden
    (['language de'], ())
    """
    read = _read(sentence, complains=False)
    sure = [each for each, denied in read if denied == "not denied"]
    unsure = (each for each, denied in read if denied == "unsure" and not opposes((each,), sure))
    forbidden = dict.fromkeys(each for each, denied in read if denied == "denied")
    return _in_one_language([*sure, *unsure]), tuple(forbidden)


def _unsaid(wish: str, *states: Denied) -> tuple[Direction, ...]:
    """Return what is found in one of these states, where nothing that is wished says so."""
    wished = directions_of(wish)
    found = dict.fromkeys(each for each, denied in _read(wish) if denied in states)
    return tuple(each for each in found if each not in wished and not opposes((each,), wished))


def opposes(one: Sequence[Direction], other: Sequence[Direction]) -> bool:
    """Tell whether no reply can meet both.

    >>> opposes(directions_of("Shorter, please."), directions_of("Answer in more detail."))
    True
    """
    for a in one:
        for b in other:
            if a.kind == b.kind and a.kind in _ONE_VALUE and a.value != b.value:
                return True
            kinds = {a.kind, b.kind}
            if "says not" in kinds and kinds & {"says", "called"} and a.value == b.value:
                return True
            for left, right in _AGAINST:
                if (a.kind in left and b.kind in right) or (a.kind in right and b.kind in left):
                    return True
    return False


# What was found, and whether it is denied.
_Read = tuple[Direction, Denied]


def _read(wish: str, *, complains: bool = True) -> list[_Read]:
    """Return what is found in a wish. complains: whether it may speak of a reply"""
    text = " ".join(wish.split())
    low = text.casefold().replace("’", "'")
    denials = Denials(low, complains=complains)
    read = [*_numbers(low, denials), *_said(text, Denials(text, complains=complains))]
    read += _phrases(low, denials, {each.kind for each, denied in read if denied == "not denied"})
    return read + _languages(low, denials)


def _in_one_language(found: Iterable[Direction]) -> tuple[Direction, ...]:
    """Return each once, and no language where there are several: nobody knows which is meant."""
    once = dict.fromkeys(found)
    several = sum(each.kind == "language" for each in once) > 1
    return tuple(each for each in once if each.kind != "language" or not several)


def _numbers(low: str, denials: Denials) -> list[_Read]:
    read: list[_Read] = []

    def look(kind: Kind, words: re.Pattern[str]) -> None:
        for match in _matches(words, low):
            value = str(_number(match["n"])) if "n" in words.groupindex else "1"
            least = kind == "most sentences" and denials.is_the_least(match)
            denied = "neither" if least else denials.of(match, counts=True)
            read.append((Direction(kind, value), denied))

    look("most words", MOST_WORDS)
    look("least words", LEAST_WORDS)
    if all(denied != "not denied" for _, denied in read):
        look("most sentences", SENTENCES)
    look("lines", LINES)
    if all(denied != "not denied" for _, denied in read):
        look("most sentences", ONE_SENTENCE)
    return _first_of_each(read)


def _first_of_each(read: list[_Read]) -> list[_Read]:
    """Return of each kind the first that is wished, the first that is forbidden, and so on."""
    kept: dict[tuple[Kind, Denied], _Read] = {}
    for each, denied in read:
        kept.setdefault((each.kind, denied), (each, denied))
    return list(kept.values())


def _number(text: str) -> int:
    return int(text) if text.isdigit() else NUMBERS[text]


def _said(text: str, denials: Denials) -> list[_Read]:
    """Return the phrases that are to be said, or not to be said, word for word."""
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (
        ("starts with", STARTS), ("ends with", ENDS), ("says not", NOT_CALLS),
        ("called", CALLED), ("says", CALLS), ("says", USES),
    )  # fmt: skip
    read: list[_Read] = []
    for kind, words in kinds:
        if kind in ("says", "called") and any(each.kind == "says not" for each, _ in read):
            continue
        some: list[_Read] = []
        for match in _matches(words, text):
            forbids = kind == "says not"
            if forbids and denials.of_denying(match) != "not denied":
                continue
            groups = (match.groupdict().get(name) for name in _PHRASE_GROUPS)
            phrase = next((group for group in groups if group), "").strip()[:PHRASE_CHARS]
            phrase = phrase if kind == "starts with" else phrase.rstrip(".")
            if phrase:  # of dots alone nothing is left
                denied = denials.of(match, missed=kind != "says")
                some.append((Direction(kind, phrase), "not denied" if forbids else denied))
        read += _first_of_each(some)
    for sign in islice(STARTING_SIGN.finditer(text), 1):
        read.append((Direction("starts with", sign["sign"]), denials.of(sign)))
    for marked in islice(MARKED.finditer(text), 1):
        denied = denials.of(marked)
        read += [(Direction("says", mark), denied) for mark in marked.groups() if mark]
    for year in _matches(YEAR, text):
        read.append((Direction("says", year[0]), denials.of(year, missed=False)))
    return read


def _matches(words: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    return islice(words.finditer(text), MOST_MATCHES)


def _phrases(low: str, denials: Denials, known: Collection[Kind]) -> list[_Read]:
    """Return the whole phrases that are found.

    known: kinds that were found already
    """
    read: list[_Read] = []
    taken = {kind for each in known for same in _SAME if each in same for kind in same}
    for kind, words in _PHRASES:
        if kind in taken:
            continue
        found = {_denied(kind, match, denials) for match in _matches(words, low)}
        rival = _DENIED_KIND.get(kind)
        if "not denied" in found and rival is not None and _is_wished(rival, low, denials):
            read += [(Direction(each), "unsure") for each in (kind, rival)]
            taken.add(rival)  # "no list, just as bullet points": nobody knows
            continue
        read += [(Direction(kind), denied) for denied in sorted(found)]
        if "not denied" in found:
            taken |= {other for same in _SAME if kind in same for other in same}
    return read


def _denied(kind: Kind, match: re.Match[str], denials: Denials) -> Denied:
    if kind in _DENIED_KIND or (kind in ("plain text", "longer") and denies(match[0])):
        return denials.of_denying(match)
    within = kind in ("list", "emoji") and denies(match[0])  # "use no emojis"
    return "denied" if within else denials.of(match)


def _is_wished(kind: Kind, low: str, denials: Denials) -> bool:
    words = dict(_PHRASES)[kind]
    return any(_denied(kind, match, denials) == "not denied" for match in _matches(words, low))


def _languages(low: str, denials: Denials) -> list[_Read]:
    return [
        (Direction("language", name), denials.of(match))
        for name, words in LANGUAGE.items()
        for match in _matches(words, low)
    ]
