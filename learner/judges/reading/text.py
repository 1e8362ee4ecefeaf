"""Turns text as people type it into clauses of tokens.

A clause keeps its words as typed (for hints). Its tokens are folded, so that `ÇA NE VA PAS`,
`ca ne va pas` and `ça ne va  pas` are one: no case, no full-width forms, no accents on Latin
letters; each Chinese or Japanese character is a token. What is quoted or code is one token, COVER.
No more than READ_CHARS of a text are read, and everything here takes linear time.

Knows nothing of languages, replies or verdicts.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# No more of a message than this is read: what follows cannot be a reaction any more.
READ_CHARS: Final = 1000
# Stands in the place of what was quoted.
COVER: Final = "§"

_ACCENTS: Final = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_APOSTROPHES: Final = str.maketrans("’‘´`ʼ′", "''''''")
_CJK: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff々〆"
_EMOJI: Final = "\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff♥"
_TOKEN: Final = re.compile(
    rf"[{_CJK}]"
    rf"|[^\W\d_{_CJK}]+(?:-[^\W\d_{_CJK}]+)*"
    r"|\d+(?:[.,:/]\d+)*%?"
    rf"|[{_EMOJI}]|§+|[+%]"
)
_CJK_TOKEN: Final = re.compile(rf"[{_CJK}]")

_QUOTED: Final = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)"  # code
    r"|^[ \t]*>[^\n]*"  # a mail's quoted lines
    r"|`[^`\n]+`"
    r"|\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|»[^«]*«|「[^」]*」|『[^』]*』|《[^》]*》"
    r"|(?<![\w'’])['‘][^'’\n]{2,}['’](?![\w'’])",
    re.DOTALL | re.MULTILINE,
)
# A name where a word says that it is one, "a song called Too Long". Words in lower case are none:
# "a function called sort is wrong".
_NAMED: Final = re.compile(
    r"(?<!\w)(?:called|named|(?:en)?titled|namens|genannt|appelée?s?|nommée?s?|intitulée?s?"
    r"|llamad[oa]s?|titulad[oa]s?|chiamat[aeio]|intitolat[aeio]|chamad[oa]s?|intitulad[oa]s?"
    r"|songs?|films?|movies?|books?|novels?|bands?|albums?|poems?|series|podcasts?|play)\s+"
    r"(?P<name>[A-ZÀ-Þ][\w'’]*(?:\s+(?:(?:an?|and|for|in|of|or|the|to)\s+){0,2}[A-ZÀ-Þ][\w'’]*){1,9})"
)
# What ends a sentence, what parts clauses. A full stop, colon or comma inside of a number, a name
# or an address ends nothing, and neither does that of tl;dr.
_BREAK: Final = re.compile(
    r"(?P<end>[!?…！？。\n]+|\.+(?=[\s.!?)\"'”»§]|\Z))"
    r"|(?P<colon>[:：](?=\s|\Z|[^\x00-\x7f])|：)"
    r"|(?P<comma>(?<!\b[tT][lL])(?:[,;，；、()（）](?!\d)|(?<!\d)[,;])|\s[-–—]+\s|—+|\.{2,}|~+)"
)


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence."""

    raw: str  # as typed
    tokens: tuple[str, ...]
    sentence: int  # the number of its sentence
    question: bool  # a question mark stands behind it
    announces: bool  # a colon stands behind it, and more behind that
    start: int  # where it begins in the text
    stop: int  # where the signs behind it end


def tokens(text: str) -> tuple[str, ...]:
    """Return the tokens of a text.

    >>> tokens("That’s 3.5 – TOO  long 👎"), tokens("太长了"), tokens("say §§§§ twice")
    (('that', 's', '3.5', 'too', 'long', '👎'), ('太', '长', '了'), ('say', '§', 'twice'))
    >>> tokens("ÇA NE VA PAS"), tokens("Ｔｏｏ ｌｏｎｇ"), tokens("è più lungo")
    (('ca', 'ne', 'va', 'pas'), ('too', 'long'), ('è', 'piu', 'lungo'))
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return tuple(_bare(token) for token in _TOKEN.findall(folded))


@lru_cache(maxsize=8192)
def _bare(token: str) -> str:
    """A token without accents; a lone letter keeps its own: è is no e, à no a."""
    if token[0] == COVER:
        return COVER
    if len(token) == 1 or token.isascii():
        return token
    apart = unicodedata.normalize("NFKD", token)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart))


def is_cjk(token: str) -> bool:
    """Tell whether a token is a Chinese or Japanese character."""
    return _CJK_TOKEN.match(token) is not None


def cover(text: str) -> str:
    """Cover what is quoted, named or code, keeping every place and line where it is.

    >>> cover('He said "that is wrong" to me'), cover("the film called Too Long, please")
    ('He said §§§§§§§§§§§§§§§ to me', 'the film called §§§§§§§§, please')
    """
    covered = _QUOTED.sub(lambda found: _covered(found[0]), text)
    return _NAMED.sub(_named, covered)


def _named(found: re.Match[str]) -> str:
    name = found["name"]
    return found[0].removesuffix(name) + _covered(name)


def _covered(words: str) -> str:
    return re.sub(r"[^\n]", COVER, words)


def without_quotes(text: str, source: str) -> str:
    """Return a text without what it quotes of another: that is named, and not pasted.

    >>> without_quotes('Drop the "Dear Sir", "dear"', "Dear Sir, hello")
    'Drop the , '
    """
    within = source.casefold()

    def kept(found: re.Match[str]) -> str:
        words = found[0].strip("`\"“”„«»「」『』《》'‘’ .,。、").casefold()
        return "" if words and words in within else found[0]

    return _QUOTED.sub(kept, text)


def clauses(text: str) -> tuple[Clause, ...]:
    """Return the clauses of a text's opening; quoted text stays in `raw` alone.

    >>> [(c.raw, c.sentence, c.question) for c in clauses("Thanks, 3.5 it is. Is it?")]
    [('Thanks', 0, False), ('3.5 it is', 0, False), ('Is it', 1, True)]
    """
    return tuple(_clauses(text[:READ_CHARS]))


def _clauses(text: str) -> Iterator[Clause]:
    covered = cover(text)
    begin = sentence = 0
    held: list[tuple[int, int, int, bool]] = []  # of the sentence that is not ended yet
    for found in [*_BREAK.finditer(covered), None]:
        end = found.start() if found else len(covered)
        kind = found.lastgroup if found else "end"
        mark = found[0] if found else ""
        if tokens(covered[begin:end]):
            held.append((begin, end, end + len(mark), kind == "colon"))
        if kind == "end":
            question = "?" in mark or "？" in mark
            for start, end_of_words, stop, colon in held:
                yield Clause(
                    raw=text[start:end_of_words].strip(),
                    tokens=tokens(covered[start:end_of_words]),
                    sentence=sentence,
                    # "Thanks, and in Rome?": the mark is for what it stands behind
                    question=question and (stop == held[-1][2] or "¿" in covered[start:stop]),
                    announces=colon and bool(covered[stop:].strip()),
                    start=start,
                    stop=stop,
                )
            sentence += bool(held)
            held = []
        begin = found.end() if found else end
