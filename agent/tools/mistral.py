"""Calls as Mistral's models write them, to the end of the reply; the older form and the newer one:

[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Oslo"}}]
[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}
"""

import json
import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

from agent.tools.calls import Call, calls_of, json_values, plain_json
from agent.tools.format import MORE, Arguments, Format, Rules, Spell, Tool, objects
from agent.tools.quoted import split_outside

_OPEN, _ARGS, _ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
_NAMED: Final = re.compile(
    r"\s*([^\s\[{]+)\s*(?:\[CALL_ID\]\w+\s*)?(?:\[ARGS\]\s*)?(\{.*)", re.DOTALL
)
# The id that some templates print behind a call's JSON.
_NUMBERED: Final = re.compile(r"\}\s*[A-Za-z0-9]{9}\s*$")


def _read(text: str) -> list[Call] | None:
    calls: list[Call] = []
    for part in filter(str.strip, split_outside(text, _OPEN)):
        named = _NAMED.fullmatch(part)
        if named is not None:
            read = calls_of([{"name": named[1], "arguments": plain_json(named[2]) or named[2]}])
        else:
            values = json_values(_NUMBERED.sub("}", part)) or [None]
            lists = [value if isinstance(value, list) else [value] for value in values]
            read = calls_of(chain.from_iterable(lists))
        if not read:
            return None
        calls += read
    return calls or None


def _listed(tools: Sequence[Tool], spell: Spell, arguments: Arguments, several: bool) -> Rules:
    call, rules = objects(tools, arguments)
    more = f' (", " {call}){MORE}' if several else ""
    return {"calls": f'{spell(_OPEN)} " "? "[" {call}{more} "]"'} | rules


def _after(_: Spell, listed: bool) -> str:
    return '"}]"' if listed else '"}"'


def _named(tools: Sequence[Tool], spell: Spell, arguments: Arguments, several: bool) -> Rules:
    rules = {f"args_{n}": arguments(tool) for n, tool in enumerate(tools)}
    each = " | ".join(
        f"{spell(_OPEN)} {json.dumps(tool.name)} {spell(_ARGS)} args_{n}"
        for n, tool in enumerate(tools)
    )
    return {"calls": f"named (named){MORE}" if several else "named", "named": f"({each})"} | rules


MISTRAL: Final = Format(
    "mistral", _OPEN, None, _read, _listed, _after, others=frozenset({_ARGS, _ID})
)
MISTRAL_NAMED: Final = Format(
    "mistral_named",
    _OPEN,
    None,
    _read,
    _named,
    lambda *_: '""',
    head=re.compile(r"(?<=\[TOOL_CALLS\])(.+?)\[ARGS\](?=\{)", re.DOTALL),
    others=frozenset({_ARGS, _ID}),
)
