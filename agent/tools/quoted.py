"""Finds tags that stand outside of the strings of JSON: within one, a tag is what somebody says.

Knows no form of calls.
"""

import re
from typing import Final

_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*\\?')  # without its end


def find_outside(text: str, tag: str, start: int = 0) -> int:
    r"""Return where a tag stands in a text, at or behind `start`, outside of strings; -1: nowhere.

    A quote behind which a line ends, or another control character comes, begins no string.

    start: outside of any string

    >>> find_outside('{"a": "</x>"}</x>', "</x>"), find_outside('{"a": "</x>', "</x>")
    (13, -1)
    >>> find_outside('{"a": "b}</x>\n', "</x>")
    9
    """
    place, is_certain = _found(text, tag, start)
    return place if is_certain else -1


def sure(text: str, tag: str, start: int = 0) -> int:
    """Return how far a text is read alike, whether a string that has no end yet gets one or not.

    >>> sure('{"a": "</x>', "</x>"), sure('{"a": "</x>"', "</x>")
    (7, 12)
    """
    place, is_certain = _found(text, tag, start)
    return len(text) if is_certain or place < 0 else place


def split_outside(text: str, tag: str) -> list[str]:
    """Split a text at each such tag."""
    parts, at = list[str](), 0
    while (found := find_outside(text, tag, at)) >= 0:
        parts.append(text[at:found])
        at = found + len(tag)
    return [*parts, text[at:]]


def _found(text: str, tag: str, at: int) -> tuple[int, bool]:
    """The first tag that is in no string, and whether that is certain; -1: there is none."""
    while (found := text.find(tag, at)) >= 0:
        quote = text.find('"', at, found)
        string = _STRING.match(text, quote) if quote >= 0 else None
        if string is None:
            return found, True
        at = string.end() + 1
        if text[string.end() :][:1] != '"':
            return found, at <= len(text)
    return -1, False
