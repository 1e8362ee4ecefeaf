"""Checks that a program can make of a reply: whether it does what somebody wished.

A check is data, one key and its value, so that it can stand beside the wish in a file:
`{"max_words": 25}`, `{"all": [{"lists": true}, {"no_apology": true}]}`. It looks at the text of the
reply alone. It says whether the form is obeyed, never whether the reply is good, true or about the
question: babble in the right language with a question mark at its end obeys.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Language = Literal["de", "en", "es", "fr", "it", "ja", "pt", "zh"]
Phrases = tuple[str, ...]
Holds = Callable[[str, Any], bool]

# Words of grammar, which every text of some length has, and few that two languages share.
GRAMMAR: Final[dict[str, str]] = {
    "de": "der die das und ist nicht ein eine einen einem zu mit von den dem des sich auf für im "
    "werden wird sind auch es wenn weil oder aber man durch",
    "en": "the and is of to in that it for are with as by or this be from which you they an was "
    "not have can when how what",
    "es": "el la los las y es de que en un una por para con se del al su como más pero muy son "
    "está también cuando",
    "fr": "le la les et est de des du une que qui dans en un pour par sur avec ce se il elle pas "
    "plus sont au aux vous nous",
    "it": "il lo la gli le e è di che in un una per con si del della nel sono non come più ma "
    "anche alla dei delle",
    "pt": "o a os as e é de que em um uma por para com se do da dos das no na não mais como são "
    "também ao ou",
}
_WORDS: Final = {language: frozenset(words.split()) for language, words in GRAMMAR.items()}
# Fewer words of grammar than this say nothing of a language.
_LEAST_GRAMMAR: Final = 3
_KANA: Final = re.compile(r"[ぁ-ゖァ-ヺ]")
_HAN: Final = re.compile(r"[㐀-䶿一-鿿]")
_EAST: Final = re.compile(r"[ぁ-ゖァ-ヺ㐀-䶿一-鿿]")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

# An end of a sentence: marks, perhaps closing quotes, then white space or the end; the full stops
# of Chinese and Japanese need no space. "3.5" and "e.g.," are no ends.
_END: Final = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|\Z)|[。！？]+[」』”’）]*")
_HAS_WORD: Final = re.compile(r"\w")
_ITEM: Final = re.compile(
    r"^[ \t]*(?:[-*•–][ \t]+\S|\d{1,2}(?:[.)][ \t]+|[、．])\S|第?[一二三四五六七八九十](?:、|步))",
    re.MULTILINE,
)
# One such line is a dash in a text, or a year at the head of a line.
_LEAST_ITEMS: Final = 2
_APOLOGY: Final = re.compile(
    r"\b(?:sorry|apolog\w+|my mistake|entschuldig\w*|verzeih\w*|tut mir leid|désolée?|excusez|"
    r"excuse-moi|lo siento|perdón|disculp\w+|mi dispiace|scus\w+|desculp\w+|sinto muito)\b"
    r"|抱歉|对不起|不好意思|申し訳|すみません|ごめん",
    re.IGNORECASE,
)


def num_words(text: str) -> int:
    """Count what white space parts, and holds a letter or a figure.

    >>> num_words("Dear Ada – it is 3.5 metres.")
    6
    """
    return sum(1 for word in text.split() if _HAS_WORD.search(word))


def num_sentences(text: str) -> int:
    """Count sentences; a line without an end is one as well.

    >>> num_sentences("It is 3.5 metres. Really? Yes"), num_sentences("是的。水会沸腾。")
    (3, 2)
    """
    parts = (part for line in text.splitlines() for part in _END.split(line))
    return sum(1 for part in parts if _HAS_WORD.search(part))


def has_list(text: str) -> bool:
    """Tell whether two lines or more begin as items of a list do.

    >>> has_list("You need:\\n- flour\\n- salt"), has_list("In 1990 - or\\n1991 - it rained.")
    (True, False)
    """
    return len(_ITEM.findall(text)) >= _LEAST_ITEMS


def language_of(text: str) -> Language | None:
    """Return the language by script and by words of grammar; None when they do not tell.

    >>> language_of("Der Mond ist nicht aus Käse."), language_of("Babble bab."), language_of("猫だ")
    ('de', None, 'ja')
    """
    if _KANA.search(text):
        return "ja"
    words = [word.casefold() for word in _WORD.findall(text)]
    if len(_HAN.findall(text)) > len("".join(words)) / 2:
        return "zh"
    found = {name: sum(word in known for word in words) for name, known in _WORDS.items()}
    first, second = sorted(found, key=lambda name: -found[name])[:2]
    if found[first] < _LEAST_GRAMMAR or found[first] == found[second]:
        return None
    language: Language = first  # type: ignore[assignment]
    return language


def contains(text: str, phrase: str) -> bool:
    """Tell whether a phrase stands in a text, whatever its case, from where a word begins.

    >>> contains("A carry-on", "arr"), contains("Arrr!", "arr"), contains("我是老孙", "老孙")
    (False, True, True)
    """
    found = re.escape(phrase.casefold())
    # Chinese and Japanese put no spaces between words
    start = r"(?<![^\W\d_])" if phrase[0].isalpha() and not _EAST.match(phrase) else ""
    return re.search(start + found, text.casefold()) is not None


_HOLDS: Final[dict[str, Holds]] = {
    "max_words": lambda reply, most: num_words(reply) <= most,
    "max_sentences": lambda reply, most: num_sentences(reply) <= most,
    "starts_with": lambda reply, start: reply.casefold().startswith(start.casefold()),
    "ends_with": lambda reply, end: reply.casefold().endswith(end.casefold()),
    "contains_any": lambda reply, phrases: any(contains(reply, each) for each in phrases),
    "contains_none": lambda reply, phrases: not any(contains(reply, each) for each in phrases),
    "language": lambda reply, language: language_of(reply) == language,
    "regex": lambda reply, pattern: re.search(pattern, reply) is not None,
    "no_lists": lambda reply, _: not has_list(reply),
    "lists": lambda reply, _: has_list(reply),
    "no_apology": lambda reply, _: _APOLOGY.search(reply) is None,
    "every": lambda reply, checks: all(check.obeys(reply) for check in checks),
}


class Check(BaseModel):
    """What is checked of a reply: exactly one of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_words: int | None = Field(None, gt=0)
    max_sentences: int | None = Field(None, gt=0)
    starts_with: str | None = Field(None, min_length=1)
    ends_with: str | None = Field(None, min_length=1)
    contains_any: Phrases | None = Field(None, min_length=1)
    contains_none: Phrases | None = Field(None, min_length=1)
    language: Language | None = None
    regex: str | None = Field(None, min_length=1)
    no_lists: Literal[True] | None = None
    lists: Literal[True] | None = None
    no_apology: Literal[True] | None = None
    every: tuple["Check", ...] | None = Field(None, alias="all", min_length=2)

    @field_validator("regex")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as cause:
            raise ValueError(f"{pattern} is no regular expression: {cause}") from cause
        return pattern

    @model_validator(mode="after")
    def _is_one(self) -> "Check":
        if len(self._named()) != 1:
            raise ValueError(f"a check names one thing, not {self._named() or 'nothing'}")
        return self

    def obeys(self, reply: str) -> bool:
        """Tell whether a reply does what is checked; one without any word never does.

        >>> Check(max_words=3).obeys("It is green."), Check(max_words=3).obeys("...")
        (True, False)
        """
        text = unicodedata.normalize("NFC", reply).replace("’", "'").strip()
        (name,) = self._named()
        return _HAS_WORD.search(text) is not None and _HOLDS[name](text, getattr(self, name))

    def _named(self) -> list[str]:
        return [name for name in _HOLDS if getattr(self, name) is not None]
