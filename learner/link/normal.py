"""Normal text: what is left of a text when all is taken out that clients change on the way.

A client stores what it was sent, and sends it back trimmed, with other line ends, composed
differently, escaped for HTML, or without what the model thought. Two texts that differ in nothing
else have one normal text. It has no white space at all, so that messages that a client has joined
or split are equal, too. It is for comparing and hashing, never for reading.

Linear in the text's length, whatever it holds.
"""

import html
import re
import sys
import unicodedata
from typing import Final

# What models think aloud, by the marks of their templates; Open WebUI keeps it in <details>.
_NAMES: Final = r"(?:seed:|ant)?(?:think|thinking|thought|reasoning)"
_OPEN: Final = re.compile(
    rf"<({_NAMES})(?:\s[^<>]{{0,100}})?>|<\|begin_of_thought\|>|<details type=\"reasoning\""
    r"|<\|channel\|>analysis<\|message\|>"
    r"|\[THINK\]|◁think▷",
    re.IGNORECASE,
)
_CLOSE: Final = {
    "<|channel": "<|channel|>final<|message|>",
    "<details": "</details>", "[": "[/THINK]", "◁": "◁/think▷",
    "<|": "<|end_of_thought|>",
}  # fmt: skip
# Some templates open the thought in the prompt, so that the reply only closes it.
_CLOSED: Final = re.compile(
    rf"</{_NAMES}\s?>|<\|end_of_thought\|>|\[/THINK\]|◁/think▷", re.IGNORECASE
)
# What prompts ask for before an answer; alone, or behind one, it is the answer.
_DRAFT: Final = re.compile(r"\s*<(analysis|inner_monologue|reflection|scratchpad)>", re.IGNORECASE)
# Zero-width space and joiners, byte order mark, soft hyphen, marks of direction, and those that
# choose between a sign and its picture: nobody sees them, editors and databases drop them.
_UNSEEN: Final = dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u061c\ufe0e\ufe0f")
)
# What was escaped twice by mistake is unescaped twice.
_ESCAPED: Final = 2
# int() refuses more digits, and html.unescape with it: no character has such a number.
_DIGITS: Final = sys.int_info.default_max_str_digits
_LONG: Final = re.compile(rf"&(?=#[0-9]{{{_DIGITS + 1}}})")


def normal(text: str | None) -> str:
    r"""Return the normal text of a text.

    >>> normal("Caf\u0065\u0301 &amp;\r\n bar ") == normal("Café & bar")
    True
    """
    if not text:
        return ""
    joined = "".join(unescaped(text, times=_ESCAPED).split())
    if joined.isascii():
        return joined
    return unicodedata.normalize("NFC", joined.translate(_UNSEEN))


def unescaped(text: str, *, times: int) -> str:
    """Return a text that was escaped for HTML as it was; a number too long for anybody stays.

    times: how often it may have been escaped

    >>> unescaped("&amp;amp; &#65;", times=2)
    '& A'
    """
    for _ in range(times):
        if "&" in text:
            text = html.unescape(_LONG.sub("&amp;", text))
    return text


def spoken(text: str | None) -> str:
    """Return what a reply says aloud: without what the model thought before it.

    >>> [spoken(x) for x in ("<think>Greet.</think>Hello!", "Greet.</think>Hello!", "<think>")]
    ['Hello!', 'Hello!', '']
    """
    if not text or not any(mark in text for mark in "<[◁"):
        return text or ""
    pieces, place = [], 0
    while (opened := _OPEN.search(text, place)) is not None:
        closed = _closing(opened).search(text, opened.end())
        pieces.append(text[place : opened.start()])
        if closed is None:  # cut in the middle of a thought, or talk about such marks
            place = len(text) if not "".join(pieces).strip() else opened.start()
            break
        place = closed.end()
    said = "".join([*pieces, text[place:]])
    closed = _CLOSED.search(said)
    return _without_drafts(said[closed.end() :] if closed else said)


def _closing(opened: re.Match[str]) -> re.Pattern[str]:
    if opened[1]:
        return re.compile(rf"</{opened[1]}\s?>")
    ends = (end for begins, end in _CLOSE.items() if opened[0].startswith(begins))
    return re.compile(re.escape(next(ends)))


def _without_drafts(text: str) -> str:
    """Return a text without what stands in tags before an answer, if one follows."""
    end = 0
    while (opened := _DRAFT.match(text, end)) is not None:
        closing = f"</{opened[1]}>"
        found = text.find(closing, opened.end())
        if found < 0:
            break
        end = found + len(closing)
    return text[end:] if text[end:].strip() else text
