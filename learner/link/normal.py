"""Normal text: what is left of a text when all is taken out that clients change on the way.

A client stores what it was sent, and sends it back trimmed, with other line ends, composed
differently, escaped for HTML, or without what the model thought. Two texts that differ in nothing
else have one normal text. It has no white space at all, so that messages that a client has joined
or split are equal, too. It is for comparing and hashing, never for reading.

Linear in the text's length, whatever it holds.
"""

import html
import re
import unicodedata
from typing import Final

# What models think aloud, by the marks of their templates; Open WebUI keeps it in <details>.
_OPEN: Final = re.compile(
    r"<(?:think|thinking|thought|reasoning)>|<details type=\"reasoning\"|\[THINK\]|◁think▷", re.I
)
_CLOSE: Final = {"<details": "</details>", "[": "[/THINK]", "◁": "◁/think▷"}
# Some templates open the thought in the prompt, so that the reply only closes it.
_CLOSED: Final = re.compile(r"</(?:think|thinking|thought|reasoning)>|\[/THINK\]|◁/think▷", re.I)
# Zero-width space and joiners, byte order mark, soft hyphen, marks of direction, and those that
# choose between a sign and its picture: nobody sees them, editors and databases drop them.
_UNSEEN: Final = dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u061c\ufe0e\ufe0f")
)
# What was escaped twice by mistake is unescaped twice.
_ESCAPED: Final = 2


def normal(text: str | None) -> str:
    r"""Return the normal text of a text.

    >>> normal("Caf\u0065\u0301 &amp;\r\n bar ") == normal("Café & bar")
    True
    """
    if not text:
        return ""
    for _ in range(_ESCAPED):
        if "&" in text:
            text = html.unescape(text)
    joined = "".join(text.split())
    if joined.isascii():
        return joined
    return unicodedata.normalize("NFC", joined.translate(_UNSEEN))


def spoken(text: str | None) -> str:
    """Return what a reply says aloud: without what the model thought before it.

    >>> [spoken(x) for x in ("<think>Greet.</think>Hello!", "Greet.</think>Hello!", "<think>")]
    ['Hello!', 'Hello!', '']
    """
    if not text or not any(mark in text for mark in "<[◁"):
        return text or ""
    pieces, place = [], 0
    while (opened := _OPEN.search(text, place)) is not None:
        closing = _closing(opened[0])
        end = text.find(closing, opened.end())
        if end < 0:  # cut in the middle of a thought, or talk about such marks
            pieces.append(text[place : opened.start()])
            place = len(text) if not "".join(pieces).strip() else opened.start()
            break
        pieces.append(text[place : opened.start()])
        place = end + len(closing)
    said = "".join([*pieces, text[place:]])
    closed = _CLOSED.search(said)
    return said[closed.end() :] if closed else said


def _closing(opening: str) -> str:
    for begins, closing in _CLOSE.items():
        if opening.startswith(begins):
            return closing
    return f"</{opening[1:]}"
