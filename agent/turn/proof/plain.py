"""Tells jobs that are compiled in milliseconds, whoever sent them, from those that are tried first.

Plain is what is short and of keywords that add up: each is read once, in a time of its size. What
multiplies or meets (patterns, expressions, grammars, parts that hold together) is not, however
short. Most schemas and tools of clients are plain.

Knows nothing of how anything is compiled.
"""

from collections.abc import Iterable
from typing import Any, Final

from agent.turn.held.held import Rest
from agent.turn.held.schema import of_arguments
from agent.turn.proof.job import Job

MAX_CHARS: Final = 2**13  # of schemas, texts and what is begun, together
MAX_PARTS: Final = 200  # schemas, one within another or beside it
MAX_COUNT: Final = 1000  # of letters or items, as a schema bounds them

_NOTES: Final = frozenset({"title", "description", "default", "examples", "$schema", "deprecated"})
_COUNTS: Final = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_NAMED: Final = ("properties", "$defs", "definitions")
_INNER: Final = ("items", "additionalProperties")
_ADD_UP: Final = _COUNTS | {
    "type", "required", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", *_NAMED, *_INNER,
}  # fmt: skip
# What these name holds together with all that stands beside them.
_ALONE: Final = frozenset({"$ref", "anyOf"})


def is_plain(job: Job) -> bool:
    """Whether a job may be compiled at once.

    >>> from agent.tools.hermes import HERMES
    >>> from agent.turn.held.constraint import Constraint, TextForm
    >>> def text(kind, body):
    ...     return Job(Constraint("response_format", TextForm(kind, body)), (), HERMES)
    >>> is_plain(text("json_schema", {"properties": {"city": {"enum": ["Oslo"]}}}))
    True
    >>> is_plain(text("json_schema", {"pattern": "a?"})), is_plain(text("regex", "a?"))
    (False, False)
    """
    called = [job.asked.name] if isinstance(job.asked, Rest) else job.asked.calls
    functions = [tool["function"] for tool in job.tools if tool["function"]["name"] in called]
    schemas = [of_arguments(function.get("parameters")) for function in functions]
    texts: list[Any] = [job.begun, *called]
    if isinstance(job.asked, Rest):
        texts.append(job.asked.arguments)
    elif (text := job.asked.text) is not None:
        if text.kind in ("regex", "grammar"):
            return False
        texts.append(text.body)
        schemas += [text.body] if isinstance(text.body, dict) else []
    return _is_short([*texts, *schemas]) and _add_up(schemas)


def _is_short(values: Iterable[Any]) -> bool:
    """Whether all that values say has at most MAX_CHARS."""
    left, waiting = MAX_CHARS, list(values)
    while waiting and left >= 0:
        value = waiting.pop()
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, dict | list | tuple):
            left -= len(value)
            inner = [*value, *value.values()] if isinstance(value, dict) else value
            waiting += inner if left >= 0 else ()
        else:
            left -= len(str(value))
    return left >= 0


def _add_up(schemas: Iterable[Any]) -> bool:
    """Whether schemas have none but plain keywords. schemas: short ones"""
    waiting = list(schemas)
    for _ in range(MAX_PARTS):
        if not waiting:
            return True
        part = waiting.pop()
        if isinstance(part, bool):
            continue
        if not isinstance(part, dict) or not _is_of(part):
            return False
        waiting += [part[name] for name in _INNER if name in part]
        waiting += part.get("anyOf", ())
        for name in _NAMED:
            waiting += part.get(name, {}).values()
    return False


def _is_of(part: dict[str, Any]) -> bool:
    """Whether a schema has none but plain keywords, and these what they should."""
    names = part.keys() - _NOTES
    if not all(isinstance(part.get(name, {}), dict) for name in _NAMED):
        return False
    if names & _ALONE:
        return len(names - set(_NAMED[1:])) == 1 and isinstance(part.get("anyOf", []), list)
    return names <= _ADD_UP and all(
        isinstance(part[name], int) and part[name] <= MAX_COUNT for name in _COUNTS & names
    )
