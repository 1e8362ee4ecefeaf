"""Tells by rules whether a reply does what was wished of its length, form, words, end or language.

What is said may still be babble: whether a reply is about the question is no matter of rules
(learner.batch.rewriting.proof).
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from learner.form.directions import Direction, Kind

# A short sentence has no more words than this.
SHORT_WORDS: Final = 25
# "Shorter" is less than this share of the words; two words less are the same answer.
SHORTER: Final = 0.8
# One line that begins with a dash is a dash; two are a list.
LEAST_ITEMS: Final = 2

_ITEM: Final = re.compile(r"^[ \t]*(?:[-*•–][ \t]+\S|\d{1,2}(?:[.)][ \t]+|[、．])\S)", re.MULTILINE)
_STOP: Final = re.compile(r"[.!?…]+[\"'”’»)\]*_]*(?=\s|\Z)|[。！？]+[」』”’）]*")
_HAS_WORD: Final = re.compile(r"\w")
_ROW: Final = re.compile(r"^\s*\|[^\n]*\|[^\n]*\|", re.MULTILINE)
_EMOJI: Final = re.compile(r"[☀-➿🌀-🫿]")
_ASKS: Final = re.compile(r"(?:[?？]|か[。．]?)[\s\"'”’»)*_☀-➿🌀-🫿]*\Z")
_SORRY: Final = re.compile(
    r"\b(?:sorry|apolog\w+|my mistake|entschuldig\w*|verzeih\w*|tut mir leid|désolée?|excuse\w*|"
    r"lo siento|perdón|disculp\w+|mi dispiace|scus\w+|desculp\w+|sinto muito)\b"
    r"|抱歉|对不起|不好意思|申し訳|すみません|ごめん",
    re.IGNORECASE,
)
# Who says this before a name takes it for their own.
_OWN_NAME: Final = (
    r"(?:\b(?:i'm|i am|my name is|my name's|ich bin|ich hei(?:ß|ss)e|mein name ist|je suis|"
    r"je m'appelle|soy|me llamo|mi nombre es|io sono|mi chiamo|eu sou|sou o|sou a|me chamo|"
    r"chamo-me)\s+|我是|我叫|私は|僕は)"
)
# Words of grammar, which every text of some length has, and few that two languages share.
_GRAMMAR: Final = {
    "en": "the and is of to in that it for are with as by or this be from which you they was not",
    "de": "der die das und ist nicht ein eine einen zu mit von den dem des sich auf für im wird",
    "fr": "le la les et est des du une que qui dans un pour par sur avec ce se il elle pas plus",
    "es": "el la los las y es de que en un una por para con se del al su como más pero muy son",
    "it": "il lo la gli le è di che in un una per con si del della nel sono non come più anche",
    "pt": "o a os as é de que em um uma por para com se do da dos das no na não mais como são",
}
_WORDS: Final = {name: frozenset(words.split()) for name, words in _GRAMMAR.items()}


def num_words(text: str) -> int:
    """Count what white space parts and holds a letter or a figure."""
    return sum(1 for word in text.split() if _HAS_WORD.search(word))


def num_sentences(text: str) -> int:
    """Count sentences; a line without an end is one as well."""
    parts = (part for line in text.splitlines() for part in _STOP.split(line))
    return sum(1 for part in parts if _HAS_WORD.search(part))


def _speaks(text: str, language: str) -> bool:
    """Tell whether a text is in a language, as far as its signs and words of grammar tell."""
    if re.search("[ぁ-ゖァ-ヺ]", text):
        return language == "ja"
    letters = re.findall(r"[^\W\d_]+", text.casefold())
    if len(re.findall("[㐀-䶿一-鿿]", text)) * 2 > len("".join(letters)):
        return language == "zh"
    found = {name: sum(word in known for word in letters) for name, known in _WORDS.items()}
    best = max(found.values())
    return best > 0 and found.get(language, 0) == best


def _bare(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".!… \"'”")


def _num_lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


def _says(text: str, phrase: str) -> bool:
    """Tell whether a phrase stands in a text from where a word begins; in the east anywhere."""
    if not phrase:
        return False
    start = r"(?<![^\W\d_])" if phrase[0].isascii() and phrase[0].isalpha() else ""
    return re.search(start + re.escape(phrase.casefold()), text.casefold()) is not None


def _takes_for_own(text: str, name: str) -> bool:
    """Tell whether a reply gives itself a name that it is to call somebody else."""
    own = _OWN_NAME + re.escape(name.casefold()) + r"(?!\w)"
    return re.search(own, text.casefold().replace("’", "'")) is not None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


_Meets = Callable[[str, str, str, bool], bool]
_MEETS: Final[dict[Kind, _Meets]] = {
    "most words": lambda text, n, _, ended: ended and num_words(text) <= int(n),
    "most sentences": lambda text, n, _, ended: (
        ended and num_sentences(text) <= int(n) and num_words(text) <= SHORT_WORDS * int(n)
    ),
    "shorter": lambda text, _, given, ended: ended and num_words(text) < SHORTER * num_words(given),
    "longer": lambda text, _, given, ended: not ended or num_words(text) > num_words(given),
    "least words": lambda text, n, _, ended: not ended or num_words(text) >= int(n),
    "yes or no": lambda text, _, __, ended: ended and _bare(text) in ("yes", "no"),
    "lines": lambda text, n, _, ended: ended and _num_lines(text) == int(n),
    "list": lambda text, _, __, ___: len(_ITEM.findall(text)) >= LEAST_ITEMS,
    "no list": lambda text, _, __, ___: len(_ITEM.findall(text)) < LEAST_ITEMS,
    "plain text": lambda text, _, __, ___: not re.search(r"[*#`_]", text),
    "capitals": lambda text, _, __, ___: text == text.upper() and text != text.lower(),
    "table": lambda text, _, __, ___: _ROW.search(text) is not None,
    "json": lambda text, _, __, ended: ended and _is_json(text),
    "emoji": lambda text, _, __, ___: _EMOJI.search(text) is not None,
    "no emoji": lambda text, _, __, ___: _EMOJI.search(text) is None,
    "no apology": lambda text, _, __, ___: _SORRY.search(text) is None,
    "ends with a question": lambda text, _, __, ended: ended and _ASKS.search(text) is not None,
    "no question": lambda text, _, __, ended: ended and _ASKS.search(text) is None,
    "ends with": lambda text, phrase, _, ended: ended and _bare(text).endswith(_bare(phrase)),
    "starts with": lambda text, phrase, _, __: (
        text.lstrip(" \"'“*").casefold().startswith(phrase.casefold().rstrip(".,!"))
    ),
    "says": lambda text, phrase, _, __: _says(text, phrase),
    "called": lambda text, name, _, __: _says(text, name) and not _takes_for_own(text, name),
    "says not": lambda text, phrase, _, __: not _says(text, phrase),
    "language": lambda text, language, _, __: _speaks(text, language),
}


def apologises(text: str) -> bool:
    """Tell whether a text says sorry, in whatever language is read here."""
    return _SORRY.search(text) is not None


def missed(wished: Sequence[Direction], text: str, *, given: str, ended: bool) -> str:
    """Return in words what of a wish a reply does not do; empty: nothing that a program can see.

    given: the reply that was complained about
    ended: whether the reply came to its end; of one that did not, nothing is known of length or end
    """
    for each in wished:
        if not _MEETS[each.kind](text, each.value, given, ended):
            return str(each)
    return ""
