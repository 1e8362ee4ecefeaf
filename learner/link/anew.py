"""Tells one question that a client has put into other surroundings each time, without saying so.

What was retrieved for a question moves from request to request, and many clients put it around the
old questions anew, with no tag or label that says where the question begins. The question itself
stays: it is the last that is asked in both texts, or their first sentence, or, where nothing is
asked, their last line, unless that closes a client's tag. A template's own words stay as well, and
many replies are short; so the less a reply says, the more of the question must be shared.

Other clients put a head or a foot of their own around every message, in which only numbers and ids
move: a request's id, where the speaker is, how many turns are left. What stands between is the
message. What has no word in it, or no number, is no such head or foot: people number their
questions, and write asides.

Knows nothing of turns; whether two turns are meant alike is learner.link.layers' to see.
"""

import re
from collections.abc import Iterable
from typing import Final

from learner.link.letters import bare, untagged
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
# An id, as programs make them, or a number.
_MOVES: Final = re.compile(
    r"(?<![^\W_])(?=[a-f]{0,40}\d)[\da-f]{4,64}(?![^\W_])|\d{1,32}(?:[.,]\d{1,32}){0,4}"
    r"|\bjust now\b",
    re.IGNORECASE,
)
# An id that no person has before a colon, as "RTX-3080:" or "#48213:".
_LONG_ID: Final = re.compile(
    r"(?<![^\W_])(?=[a-f]{0,40}\d)(?=\d{0,40}[a-f])[\da-f]{6,64}(?![^\W_])", re.IGNORECASE
)
# Lines of what is what, with an empty one behind them; in brackets; before a colon.
_IN_BRACKETS: Final = r"[\[(（【][^\[\]()（）【】\n]{1,60}[\])）】]"
_HEAD: Final = re.compile(
    r"(?:[^\W\d_][\w -]{0,30}[:：][ \t][^\n?？]{1,60}\n){2,12}(?=[ \t]*\n)"
    rf"|{_IN_BRACKETS}|(?P<id>[\w#.-]{{4,60}}[:：](?=\s))"
)
_FOOT: Final = re.compile(_IN_BRACKETS)
_WORD: Final = re.compile(r"[^\W\d_]{2}")
# "1 turn left", "2 turns left"
_PLURAL: Final = re.compile(r"s\b")


def parted(text: str) -> tuple[str, str, str]:
    """Return what a client may have put before a message, the message, and what is behind it.

    >>> parted("(turn 2 of 9) Why?\\n[17 credits]"), parted("(a) Why? [2]")
    (('(turn 2 of 9)', 'Why?', '[17 credits]'), ('', '(a) Why? [2]', ''))
    """
    words = text.strip()
    found = _HEAD.match(words)
    head = found[0] if found and _may_move(found) else ""
    words = words[len(head) :].strip()
    before, _, last = words.rpartition("\n")
    found = _FOOT.fullmatch(last.strip())
    foot = found[0] if found and before.strip() and _may_move(found) else ""
    return head.strip(), before.strip() if foot else words, foot


def moved(one: str, other: str) -> bool:
    """Return whether two heads or feet of messages are one, in which only numbers and ids moved.

    >>> moved("req-9f3a1c:", "req-77be02:"), moved("(2 eggs)", "(3 egg)"), moved("[a 1]", "[b 1]")
    (True, True, False)
    """
    return _without_numbers(one) == _without_numbers(other)


def asked_anew(one: str, other: str, *, said_chars: int) -> bool:
    """Return whether two texts have one question in them, in other surroundings.

    said_chars: normal characters of the reply that both had

    >>> asked_anew("Wool felt. What may I wash hot?", "Tea set. What may I wash hot?", said_chars=9)
    True
    >>> asked_anew("Wool felt. What may I wash hot?", "Wool felt. What may I dry?", said_chars=9)
    False
    """
    if _is_framed_anew(one, other, said_chars=said_chars):
        return True
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


def _is_framed_anew(one: str, other: str, *, said_chars: int) -> bool:
    """Return whether two texts are the same between a head and a foot in which numbers moved."""
    (head, words, foot), (other_head, other_words, other_foot) = parted(one), parted(other)
    if not (head or foot) or not (moved(head, other_head) and moved(foot, other_foot)):
        return False
    shared = bare(words)
    if not shared or shared != bare(other_words):
        return False
    return _size(shared) >= ASKED_CHARS or said_chars >= SAID_CHARS


def _may_move(found: re.Match[str]) -> bool:
    if found.groupdict().get("id"):
        return _LONG_ID.search(found[0]) is not None
    return _MOVES.search(found[0]) is not None and _WORD.search(found[0]) is not None


def _without_numbers(text: str) -> str:
    return _PLURAL.sub("", _MOVES.sub("0", text))


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
