"""Tells one question that a client has put into other surroundings each time, without saying so.

What was retrieved for a question moves from request to request, and many clients put it around the
old questions anew, with no tag or label that says where the question begins. The question itself
stays: it is the last that is asked in both texts, or their first sentence, or, where nothing is
asked, their last line, unless that closes a client's tag. A template's own words stay as well, and
many replies are short; so the less a reply says, the more of the question must be shared.

Knows nothing of turns; whether two turns are meant alike is learner.link.layers' to see.
"""

import re
from collections.abc import Iterable
from typing import Final

from learner.link.letters import untagged
from learner.link.normal import normal

# So many letters of a question tell it from others; characters of Chinese and Japanese count twice.
ASKED_CHARS: Final = 16
# A reply of so many is rarely given twice: with it a short question will do, on a line of its own,
SAID_CHARS: Final = 12
# or, with this many, words that ask nothing ("Tell me …"), which may be a template's.
TOLD_CHARS: Final = 16
_EASTERN: Final = "\u2e80"
# No more of a text is read, at its beginning and at its end.
READ_CHARS: Final = 16_384
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|(?<=[。？！])|\n+")
_ASKS: Final = ("?", "？")
# Of tags around what a client tells: its last line is no person's.
_CLOSES: Final = re.compile(r"</[\w-]{1,40}>\Z")


def asked_anew(one: str, other: str, *, said_chars: int) -> bool:
    """Return whether two texts have one question in them, in other surroundings.

    said_chars: normal characters of the reply that both had

    >>> asked_anew("Wool felt. What may I wash hot?", "Tea set. What may I wash hot?", said_chars=9)
    True
    >>> asked_anew("Wool felt. What may I wash hot?", "Wool felt. What may I dry?", said_chars=9)
    False
    """
    texts = [_sentences(text) for text in (one, other)]
    if not all(texts):
        return False
    asked = [[each for each in text if each.endswith(_ASKS)] for text in texts]
    if all(asked):
        last = asked[0][-1] == asked[1][-1]
        first = texts[0][0] == texts[1][0] and texts[0][0].endswith(_ASKS)
        shared = asked[0][-1] if last else texts[0][0] if first else ""
        if shared:
            on_lines = all(_is_a_line(shared, text) for text in (one, other))
            return _size(shared) >= ASKED_CHARS or (on_lines and said_chars >= SAID_CHARS)
        return False
    end, other_end = (text[-1] for text in texts)
    if end != other_end or _CLOSES.search(end):
        return False
    return said_chars >= TOLD_CHARS and _size(end) >= ASKED_CHARS


def _sentences(text: str) -> list[str]:
    return [said for each in _SENTENCE.split(_read(text)) if (said := normal(each))]


def _is_a_line(sentence: str, text: str) -> bool:
    return any(normal(line) == sentence for line in _lines(text))


def _lines(text: str) -> Iterable[str]:
    return _read(text).splitlines()


def _read(text: str) -> str:
    if len(text) > 2 * READ_CHARS:
        text = f"{text[:READ_CHARS]}\n{text[-READ_CHARS:]}"
    return untagged(text)


def _size(text: str) -> int:
    return len(text) + sum(char >= _EASTERN for char in text)
