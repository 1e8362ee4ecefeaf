"""Tells one question that a client has put into other surroundings each time, without saying so.

What was retrieved for a question moves from request to request, and many clients put it around the
old questions anew, with no tag or label that says where the question begins. The question itself
stays: it is the last that is asked in both texts, or their first sentence, or, where nothing is
asked, their last line, unless that closes a client's tag. A template's own words stay as well, and
many replies are short; so the less a reply says, the more of the question must be shared.

Other clients put a head or a foot of their own around every message, in which only numbers and ids
move: a request's id, where the speaker is, how many turns are left. What stands between is the
message. Only what tells of a client's state, by the words in this file, is such a head or foot: a
noun and a number ("[Review 17]", "(chapter 2)") name what is handed over, or asked about, and two
texts that differ in such a number alone are two questions.

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
# A line or some of what is what, with an empty one behind them; in brackets; before a colon.
_IN_BRACKETS: Final = r"[\[(（【][^\[\]()（）【】\n]{1,60}[\])）】]"
_HEAD: Final = re.compile(
    r"(?:[^\W\d_][\w -]{0,30}[:：][ \t][^\n?？]{1,60}\n){1,12}(?=[ \t]*\n)"
    rf"|{_IN_BRACKETS}|(?P<id>[\w#.-]{{4,60}}[:：](?=\s))"
)
_FOOT: Final = re.compile(_IN_BRACKETS)
# "1 turn left", "2 turns left"
_PLURAL: Final = re.compile(r"s\b")
# What a client counts for the model beside it, with 0 for numbers and without a plural's s: "0 new
# mail", "token left: 0", "turn 0 of 0", "battery 0%". A number behind a noun names the thing.
_COUNTED: Final = (
    r"(?:e-?mail|mail|message|notification|token|credit|turn|request|call|battery|context|budget"
    r"|quota|time|second|minute|hour|day)"
)
_LEFT: Final = r"(?:left|remaining)"
_AMOUNT: Final = r"0\s?(?:%|sec|min|second|minute|hour|h)?(?:\s?(?:of|/)\s?0)?"
_TOLD: Final = re.compile(
    "|".join(
        (
            r"turn\s0\s?(?:of|/)\s?0",
            rf"(?:{_COUNTED}\s)?{_LEFT}:?\s{_AMOUNT}",
            rf"{_AMOUNT}\s(?:{_COUNTED}\s)?{_LEFT}",
            rf"{_AMOUNT}\s(?:new|unread)(?:\s{_COUNTED})?|unread(?:\s{_COUNTED})?:\s{_AMOUNT}",
            rf"{_AMOUNT}\s(?:token|credit|battery)|(?:token|credit|battery|quota):?\s{_AMOUNT}",
            r"(?:gps:?\s|(?:lat|lon|lng)(?:itude|gitude)?:?\s)-?0(?:,?\s-?0)?",
        )
    ),
    re.IGNORECASE,
)
_LISTED: Final = re.compile(r"[,;|·]\s+")
# A word and a number are too little to know a question by that got a short reply.
_ONE_NUMBER: Final = re.compile(
    r"\W{0,4}(?:[^\W\d_]{1,60}\W{1,4}\d[\d.,]{0,60}|\d[\d.,]{0,60}\W{0,4}[^\W\d_]{1,60})\W{0,4}"
)
# An id of letters and figures, and what it is of; a long one needs no name. "RTX-3080:", "#48213:"
# and "commit-9f3a1c:" say what is asked about.
_ID: Final = re.compile(
    r"(?:(?P<of>req|request|msg|message|trace|session|conv|conversation|chat|turn|correlation|id)"
    r"(?:[ _-]id)?[ _.:=#-]{1,2})?"
    r"(?=[a-f-]{0,60}\d)(?=[\d-]{0,60}[a-f])(?P<id>[\da-f]{4,64}(?:-[\da-f]{2,64}){0,6})",
    re.IGNORECASE,
)
_NAMED_ID_CHARS: Final = 6
_BARE_ID_CHARS: Final = 16
# Lines that tell where and how somebody's device is, and others that may stand among them.
_DEVICE: Final = re.compile(
    r"(?:battery|gps|lat(?:itude)?|lon(?:gitude)?|lng|(?:tokens|credits) left)\s?[:：]"
    r"|(?:location|position)\s?[:：][^\n]{0,40}(?:\b(?:lat|lon|gps)|\d[.,]\d)",
    re.IGNORECASE,
)
_BESIDE: Final = re.compile(
    r"(?:location|position|(?:local )?(?:date|time)|time ?zone|device|weather|temperature|network"
    r"|signal|charging|language|locale|speed|altitude|heading|accuracy)\s?[:：]",
    re.IGNORECASE,
)


def parted(text: str) -> tuple[str, str, str]:
    """Return what a client may have put before a message, the message, and what is behind it.

    >>> parted("(turn 2 of 9) Why?\\n[17 credits]"), parted("[Row 17] Why?\\n(2)")
    (('(turn 2 of 9)', 'Why?', '[17 credits]'), ('', '[Row 17] Why?\\n(2)', ''))
    """
    words = text.strip()
    found = _HEAD.match(words)
    head = found[0] if found and _tells_state(found[0]) else ""
    words = words[len(head) :].strip()
    before, _, last = words.rpartition("\n")
    found = _FOOT.fullmatch(last.strip())
    foot = found[0] if found and before.strip() and _tells_state(found[0]) else ""
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
    if one != other and moved(_read(one), _read(other)):
        return False  # nothing but a number differs, and tells which file or order is meant
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
    if said_chars < SAID_CHARS and any(map(_ONE_NUMBER.fullmatch, (head, foot))):
        return False
    return _size(shared) >= ASKED_CHARS or said_chars >= SAID_CHARS


def _tells_state(frame: str) -> bool:
    """Return whether a head or foot tells of a client's state, and does not name what is meant."""
    if "\n" in frame:
        lines = frame.strip().splitlines()
        device = [_DEVICE.match(line) is not None for line in lines]
        told = (known or _BESIDE.match(line) for known, line in zip(device, lines, strict=True))
        return any(device) and all(told)
    inner = frame.strip("[](){}（）【】:： ")
    parts = _LISTED.split(_without_numbers(inner))
    return _is_id(inner) or all(_TOLD.fullmatch(part.strip()) for part in parts)


def _is_id(text: str) -> bool:
    found = _ID.fullmatch(text)
    least = _NAMED_ID_CHARS if found and found["of"] else _BARE_ID_CHARS
    return found is not None and len(found["id"]) >= least


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
