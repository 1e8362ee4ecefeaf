"""Turns the bytes of a request's body into a JSON object that every later step can handle.

What passes has finite numbers, whole characters, bounded nesting and no name twice, so that the
chat template, the tokenizer and the canonical JSON of the wire records meet nothing that they would
choke on, and nothing that was said is lost.

Knows nothing of HTTP, nor of what the object means.
"""

import json
import math
import re
from collections import Counter
from typing import Any, Final, NoReturn

from agent.errors import InvalidError
from streams.records import Json

MAX_DEPTH = 64  # the chat template and the wire records recurse over a request's tools
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(body: bytes) -> Json:
    r"""Read a JSON object that is safe to handle: finite numbers, no lone surrogates, not deep.

    raises: InvalidError

    >>> read_json(b'{"n": 1}')
    {'n': 1}
    >>> read_json(b'{"n": NaN}')
    Traceback (most recent call last):
    agent.errors.InvalidError: the body is not JSON: NaN is not a JSON number
    """
    try:
        text = body.decode("utf-8-sig")
        value = _DECODER.decode(text)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidError(
            "the body holds half of a surrogate pair: send whole characters"
        ) from None
    except ValueError as cause:
        raise InvalidError(f"the body is not JSON: {cause}") from None
    except RecursionError:
        raise InvalidError(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    if not isinstance(value, dict):
        raise InvalidError("the body must be a JSON object")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deep(value):
        raise InvalidError(f"the body is nested deeper than {MAX_DEPTH} levels")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _once(pairs: list[tuple[str, Any]]) -> Json:
    """An object; a name that stands in it twice says two things, of which one would be lost."""
    value = dict(pairs)
    if len(value) < len(pairs):
        name = next(each for each, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise InvalidError(f"the body names {name[:100]!r} twice in one object: send it once")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


_DECODER: Final = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once
)


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return any(isinstance(value, (dict, list)) for value in level)
