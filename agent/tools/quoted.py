"""Finds tags that stand outside of the strings of JSON: within one, a tag is what somebody says.

Knows no form of calls.
"""

import re
from typing import Final

_IN_STRING: Final = re.compile(r'(?:[^"\\\x00-\x1f]|\\.)*')


class Outside:
    """Looks for a tag outside of strings in a text that grows; no part of it is read twice."""

    def __init__(self, tag: str, start: int = 0) -> None:
        """Begin at `start`, which is outside of any string."""
        self._tag = tag
        self._at = start  # outside of any string: what stands before is read
        self._sought = start  # before this no tag begins that counts
        self._string = -1  # up to where a string is read that has no end yet; -1: there is none

    def find(self, text: str) -> tuple[int, bool]:
        """Return the first tag that is in no string, and whether that is certain; -1: none.

        text: what it was before, and more behind that
        """
        while (found := text.find(self._tag, self._sought)) >= 0:
            self._sought = found
            if self._string < 0:
                quote = text.find('"', self._at, found)
                if quote < 0:
                    return found, True
                self._string = quote + 1
            string = _IN_STRING.match(text, self._string)
            self._string = string.end() if string is not None else self._string
            end = self._string + text.startswith("\\", self._string)
            if not text.startswith('"', end):
                return found, end < len(text)
            self._at = self._sought = end + 1
            self._string = -1
        self._sought = max(self._sought, len(text) - len(self._tag) + 1)
        return -1, False


def find_outside(text: str, tag: str, start: int = 0) -> int:
    r"""Return where a tag stands in a text, at or behind `start`, outside of strings; -1: nowhere.

    A quote behind which a line ends, or another control character comes, begins no string.

    start: outside of any string

    >>> find_outside('{"a": "</x>"}</x>', "</x>"), find_outside('{"a": "</x>', "</x>")
    (13, -1)
    >>> find_outside('{"a": "b}</x>\n', "</x>")
    9
    """
    place, is_certain = Outside(tag, start).find(text)
    return place if is_certain else -1


def split_outside(text: str, tag: str) -> list[str]:
    """Split a text at each such tag."""
    parts, at = list[str](), 0
    while (found := find_outside(text, tag, at)) >= 0:
        parts.append(text[at:found])
        at = found + len(tag)
    return [*parts, text[at:]]
