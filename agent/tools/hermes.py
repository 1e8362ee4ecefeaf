"""Calls as Hermes models write them, and Qwen, SmolLM and many others after them:

    <tool_call>
    {"name": "weather", "arguments": {"city": "Oslo"}}
    </tool_call>

A list of such objects in one pair of tags (SmolLM2) is as many calls. Templates that know no tools
are given this form, too (streams.model.tool_text).
"""

from collections.abc import Sequence
from typing import Final

from agent.tools.calls import Call, calls_of, plain_json
from agent.tools.format import MORE, Arguments, Format, Rules, Spell, Tool, objects


def _read(text: str) -> list[Call] | None:
    value = plain_json(text)
    return calls_of(value if isinstance(value, list) else [value]) or None


def _rules(tools: Sequence[Tool], spell: Spell, arguments: Arguments, several: bool) -> Rules:
    call, rules = objects(tools, arguments)
    tagged = f'{spell("<tool_call>")} "\\n"? {call} "\\n"? {spell("</tool_call>")}'
    more = f' ("\\n"? tagged){MORE}' if several else ""
    return {"calls": f"tagged{more}", "tagged": tagged} | rules


def _after(spell: Spell, listed: bool) -> str:
    end = '"}]"' if listed else '"}"'
    return f'{end} "\\n"? {spell("</tool_call>")}'


HERMES: Final = Format("hermes", "<tool_call>", "</tool_call>", _read, _rules, _after)
