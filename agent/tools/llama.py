"""Calls as Llama 3 writes them: a reply that is nothing but JSON, or JSON behind <|python_tag|>.

    {"name": "weather", "parameters": {"city": "Oslo"}}

Several are separated by semicolons or tags, or stand in a list. JSON without parameters is an
answer, and stays text.
"""

import re
from collections.abc import Sequence
from typing import Final

from agent.tools.calls import Call, calls_of, json_values
from agent.tools.format import MORE, Arguments, Format, Rules, Spell, Tool, objects
from agent.tools.quoted import split_outside

_OPEN: Final = "<|python_tag|>"
# What the JSON of a call begins with, without white space.
_OBJECTS: Final = ('{"name":', '{"type":"function"', '{"function":')
_HEADS: Final = (*_OBJECTS, *(f"[{head}" for head in _OBJECTS))
_GIVES: Final = re.compile(r'"(parameters|arguments)"\s*:')


def _bare(text: str) -> bool | None:
    written = "".join(text.split())
    if any(written.startswith(head) for head in _HEADS):
        return True
    return None if any(head.startswith(written) for head in _HEADS) else False


def _read(text: str) -> list[Call] | None:
    parts = [json_values(part, between=";") for part in split_outside(text, _OPEN)]
    if None in parts or not any(parts):
        return None if _GIVES.search(text) or _bare(text) is False else []
    lists = (value for part in parts for value in part or [])
    values = [each for value in lists for each in (value if isinstance(value, list) else [value])]
    named = [
        {**each, "name": each.get("name", each.get("function"))} if isinstance(each, dict) else each
        for each in values
    ]
    if not any(isinstance(each, dict) and _gives(each) for each in named):
        return []
    return calls_of(named)


def _gives(value: dict[str, object]) -> bool:
    return "parameters" in value or "arguments" in value


def _rules(tools: Sequence[Tool], _: Spell, arguments: Arguments, several: bool) -> Rules:
    call, rules = objects(tools, arguments, key="parameters")
    more = f' ("; " {call}){MORE}' if several else ""
    return {"calls": f"{call}{more}"} | rules


def _after(_: Spell, listed: bool) -> str:
    return '"}]"' if listed else '"}"'


LLAMA: Final = Format("llama", _OPEN, None, _read, _rules, _after, _bare)
