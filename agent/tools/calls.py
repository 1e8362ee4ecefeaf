"""A tool call as it is found in a reply, what was meant as one and is none, and how JSON is read.

Arguments are always a JSON object: what else a model writes there is no call.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool, as the model wrote it."""

    name: str
    arguments: str  # JSON, an object
    raw: str = field(
        default="", compare=False, repr=False
    )  # as it was sampled; of several, with the first


# malformed: it cannot be read; unknown: no such tool is offered; cut: the reply ended within it
Fault = Literal["malformed", "unknown", "cut"]


@dataclass(frozen=True, slots=True)
class Halt:
    """Where a call broke off that was told so far.

    at: as many characters of the whole reply are good
    listed: whether the call stands in a list
    """

    at: int
    listed: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """What was meant as a call, and is none. raw: as it was sampled, tags included."""

    raw: str
    fault: Fault = "malformed"
    halt: Halt | None = field(default=None, compare=False)


Found = str | Call | Broken


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call, of whose arguments nothing has come yet."""

    name: str


@dataclass(frozen=True, slots=True)
class CallGrown:
    """More of its arguments, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """Its arguments are whole."""


Growing = CallBegun | CallGrown | CallEnded | Found


def calls_of(values: Iterable[Any]) -> list[Call] | None:
    """Read objects with a name and arguments (or parameters); None when one of them is no call.

    >>> calls_of([{"name": "f", "arguments": {"x": 1}}])
    [Call(name='f', arguments='{"x": 1}')]
    >>> calls_of([{"name": "f", "arguments": [1]}])
    >>> calls_of([{"type": "function", "function": {"name": "f"}}])
    [Call(name='f', arguments='{}')]
    """
    calls: list[Call] = []
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("function"), dict):
            value = value["function"]  # as OpenAI's API has a call
        name = value.get("name") if isinstance(value, dict) else None
        if not isinstance(name, str) or not name or not is_writable(name):
            return None
        arguments = value.get("arguments", value.get("parameters"))
        if isinstance(arguments, str):  # some write the object as a text of JSON
            arguments = plain_json(arguments)
            if arguments is None:
                return None
        written = written_object({} if arguments is None else arguments)
        if written is None:
            return None
        calls.append(Call(name, written))
    return calls


def is_writable(text: str) -> bool:
    """Whether a text is of whole characters: JSON can escape half of one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def written_object(value: Any) -> str | None:
    """The JSON of an object; None when it is none, or cannot be written."""
    if not isinstance(value, dict):
        return None
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError, TypeError):
        return None
    return text


def plain_json(text: str) -> Any:
    """Read JSON that can be written again: finite, whole characters; None when it is not."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def json_values(text: str, *, between: str = "") -> list[Any] | None:
    """Read JSON values one after another; None when something else stands there.

    between: characters that may stand between two of them, beside white space

    >>> json_values('{"a": 1}; {"b": 2}', between=";")
    [{'a': 1}, {'b': 2}]
    """
    decoder, values, at = json.JSONDecoder(), list[Any](), 0
    text = text.strip()
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        values.append(value)
        while at < len(text) and (text[at].isspace() or text[at] in between):
            at += 1
    return values
