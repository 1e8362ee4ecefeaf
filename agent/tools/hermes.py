"""Calls as Hermes models write them, and Qwen, SmolLM and many others after them:

    <tool_call>
    {"name": "weather", "arguments": {"city": "Oslo"}}
    </tool_call>

Several objects, or a list of them (SmolLM2), in one pair of tags are as many calls; a tag that
opens twice opens once. Templates that know no tools are given this form, too
(streams.model.tool_text).
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

from agent.tools.calls import Call, calls_of, json_values
from agent.tools.format import MORE, Arguments, Format, Rules, Spell, Tool, objects
from agent.tools.quoted import split_outside

_OPEN: Final = "<tool_call>"
# JSON that is fenced as code.
_FENCED: Final = re.compile(r"\s*```(?:json)?\s(.*)```\s*", re.DOTALL)


def _read(text: str) -> list[Call] | None:
    fenced = _FENCED.fullmatch(text)
    parts = split_outside(fenced[1] if fenced else text, _OPEN)
    values = [json_values(part, between=",") for part in parts if part.strip()]
    if None in values:
        return None
    each = chain.from_iterable(value or [] for value in values)
    lists = [value if isinstance(value, list) else [value] for value in each]
    return calls_of(chain.from_iterable(lists)) or None


def _rules(tools: Sequence[Tool], spell: Spell, arguments: Arguments, several: bool) -> Rules:
    call, rules = objects(tools, arguments)
    tagged = f'{spell("<tool_call>")} "\\n"? {call} "\\n"? {spell("</tool_call>")}'
    more = f' ("\\n"? tagged){MORE}' if several else ""
    return {"calls": f"tagged{more}", "tagged": tagged} | rules


def _after(spell: Spell, listed: bool) -> str:
    end = '"}]"' if listed else '"}"'
    return f'{end} "\\n"? {spell("</tool_call>")}'


HERMES: Final = Format("hermes", _OPEN, "</tool_call>", _read, _rules, _after)
