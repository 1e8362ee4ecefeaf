"""Where a JSON object ends, and where a text stops being one, character by character.

Strict, as RFC 8259 is: what is taken can always be gone on with to an object that parses, and is
text that can be written (no half of a surrogate pair).
"""

import copy
import re
from typing import Final, Self

# Nothing that a tool takes is deeper, and programs that read JSON by recursion end somewhere.
MAX_DEPTH: Final = 200
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_WORD: Final = re.compile(rf"{_NUMBER}|true|false|null")
_NUMBER_BEGUN: Final = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:(?<=[0-9])[eE][+-]?[0-9]*)?)?"
)
_CLOSES: Final = {"{": "}", "[": "]"}


class JsonObject:
    """An object that grows."""

    def __init__(self, *, halves: bool = False) -> None:
        """Wait for its first brace.

        halves: halves of surrogate pairs are taken, too, as grammars of JSON allow them
        """
        self._halves = halves
        self.ended = False
        self.broken = False  # something came that no object has there
        self._wants = "object"  # what comes next, beside white space
        self._open: list[str] = []  # the braces and brackets around
        self._word = ""  # a number, true, false or null so far
        self._quoted = self._is_name = False  # within a string, and a name's
        self._escape = ""  # of a character in a string, so far
        self._is_half = False  # the first half of a surrogate pair has come

    def copy(self) -> Self:
        """The same object as it is by now, to grow apart from this one."""
        made = copy.copy(self)
        made._open = self._open.copy()
        return made

    def take(self, text: str) -> int:
        """Count the characters of a text that belong to the object."""
        for at, char in enumerate(text):
            self.broken = not self._takes(char)
            if self.broken or self.ended:
                return at + self.ended
        return len(text)

    def _takes(self, char: str) -> bool:
        if self._quoted:
            return self._in_string(char)
        if self._word:
            if _is_begun(self._word + char):
                self._word += char
                return True
            if not _WORD.fullmatch(self._word):
                return False
            self._word, self._wants = "", "comma or end"
        return char in " \t\n\r" or self._between(char)

    def _between(self, char: str) -> bool:
        """Take a character that is in no string, number or white space."""
        wants = self._wants
        if self._open and char == _CLOSES[self._open[-1]] and wants.endswith("or end"):
            self._open.pop()
            self._wants, self.ended = "comma or end", not self._open
        elif wants == "comma or end" and char == ",":
            self._wants = "name" if self._open[-1] == "{" else "value"
        elif wants == "colon" and char == ":":
            self._wants = "value"
        elif char == '"' and wants.startswith(("name", "value")):
            self._quoted, self._is_name = True, wants.startswith("name")
        elif wants.startswith("value") and char not in _CLOSES and _is_begun(char):
            self._word = char
        elif char in _CLOSES and (wants.startswith("value") or (wants == "object" and char == "{")):
            self._open.append(char)
            self._wants = "name or end" if char == "{" else "value or end"
            return len(self._open) <= MAX_DEPTH
        else:
            return False
        return True

    def _in_string(self, char: str) -> bool:
        if self._escape:
            return self._in_escape(char)
        if self._is_half and char != "\\":
            return False
        if char == "\\":
            self._escape = char
        elif char == '"':
            self._quoted = False
            self._wants = "colon" if self._is_name else "comma or end"
        return char >= " "

    def _in_escape(self, char: str) -> bool:
        if self._escape == "\\" and char != "u":
            self._escape = ""
            return char in '"\\/bfnrt' and not self._is_half
        self._escape += char
        digits = self._escape.removeprefix("\\u")
        if not all(each in "0123456789abcdefABCDEF" for each in digits):
            return False
        if len(digits) < 4:
            return True
        code, was_half = int(digits, 16), self._is_half
        self._escape, self._is_half = "", 0xD800 <= code < 0xDC00 and not self._halves
        return self._halves or was_half == (0xDC00 <= code < 0xE000)


def _is_begun(word: str) -> bool:
    """Whether a number, true, false or null may begin so."""
    return bool(_NUMBER_BEGUN.fullmatch(word)) or any(
        each.startswith(word) for each in ("true", "false", "null")
    )
