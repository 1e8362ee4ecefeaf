r"""Sources of grammars, in Lark's form as llguidance reads it: terms, rules, and what JSON may be.

A schema's property order is the order in which properties are written. White space between the
tokens of JSON is bounded: a small model that may write it without end does.

Knows nothing of vocabularies, or of what the grammars are for.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streams.records import Json

# A line break and the indentation of eight levels; what models write beyond is a loop.
MAX_SPACE: Final = 17
_FLEXIBLE: Final[Json] = {"whitespace_pattern": f"[ \\n\\r\\t]{{0,{MAX_SPACE}}}"}
# As the chat templates of most families print JSON, and so as models were taught to write calls.
_PRINTED: Final[Json] = {
    "whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ",
}  # fmt: skip
_IN_SLASHES: Final = re.compile(r"\\[\s\S]|/|[\n\r]")


@dataclass(frozen=True, slots=True)
class Source:
    """A grammar that has not been compiled. text: rules in Lark's form, or in EBNF's (GBNF)."""

    text: str


def literal(text: str) -> str:
    r"""A term that is exactly this text.

    >>> literal('a"b')
    '"a\\"b"'
    """
    return json.dumps(text)


def control(token: int) -> str:
    """A term that is exactly this control token, which has no text."""
    return f"<[{token}]>"


def expression(regex: str) -> str:
    r"""A term of what a regular expression matches (the syntax of Rust's crate regex).

    Digits are 0 to 9, as whoever parses the reply expects, and not those of every script.

    >>> expression("a/b\\/c")
    '/a\\/b\\/c/'
    """
    return "/" + _IN_SLASHES.sub(_escaped, regex) + "/"


def _escaped(found: re.Match[str]) -> str:
    names = {"/": "\\/", "\n": "\\n", "\r": "\\r", "\\d": "[0-9]", "\\D": "[^0-9]"}
    return names.get(found[0], found[0])


def json_of(schema: Mapping[str, Any], *, loose: bool = False, printed: bool = False) -> str:
    """A term of the JSON that is valid under a schema.

    loose: keywords that cannot be kept to are passed over; otherwise they are faults
    printed: with the white space of Python's json.dumps, and no other
    """
    options = (_PRINTED if printed else _FLEXIBLE) | {"lenient": loose}
    return "%json " + json.dumps({**schema, "x-guidance": options})


def rules(**named: str) -> Source:
    """A grammar of rules by their names; `start` is the first.

    >>> rules(start="a+", a='"x"').text
    'start: a+\\na: "x"\\n'
    """
    return Source("".join(f"{name}: {body}\n" for name, body in named.items()))


def one_of(terms: Iterable[str]) -> str:
    """A term that is one of several.

    >>> one_of(["a", "b"])
    '(a | b)'
    """
    return f"({' | '.join(terms)})"
