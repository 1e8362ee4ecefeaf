"""The form in which a family of models writes tool calls: how one is known, read, and demanded.

One implementation a file beside this one; agent.tools.families knows them all.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.tools.calls import Call, plain_json
from streams.records import Json


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that may be called. schema: of its arguments, a JSON object; None: any"""

    name: str
    schema: Json | None = None


# Calls that may follow the first one: a small model that may go on calling does so to its limit.
MORE: Final = "{0,7}"
# The rules of a grammar by their names, in Lark's form; `calls` is the first.
Rules = dict[str, str]
# A term of a tag, whether it is a control token or text.
Spell = Callable[[str], str]
# A term of a tool's arguments, as one JSON object.
Arguments = Callable[[Tool], str]
# Terms of what ends a reply behind the arguments of a call; whether that stands in a list.
After = Callable[[Spell, bool], str]


# Before the arguments of a call that is a JSON object.
OBJECT_HEAD: Final = re.compile(
    r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)',
    re.DOTALL,
)


def no_bare(_: str) -> bool | None:
    """No reply begins with a call without a tag."""
    return False


@dataclass(frozen=True, slots=True)
class Format:
    """A form of tool calls.

    opens: a tag behind which calls stand, anywhere in a reply; None: there is none
    closes: the tag behind them; None: they go on to the end of the reply
    bare: whether what a reply begins with is a call without a tag; None: it may become one
    read: the calls that stand between the tags, or in a bare reply; []: it is text after all;
        None: it was meant as a call, and is none
    rules: a grammar of one call or, where several may be made at once, of several
    after: what that grammar writes behind the arguments of the last call
    head: what it writes before a call's arguments, which begin with a brace; its group is the
        tool's name, plain or as JSON
    """

    name: str
    opens: str | None
    closes: str | None
    read: Callable[[str], list[Call] | None]
    rules: Callable[[Sequence[Tool], Spell, Arguments, bool], Rules]
    after: After
    bare: Callable[[str], bool | None] = no_bare
    head: re.Pattern[str] = OBJECT_HEAD
    others: frozenset[str] = frozenset()  # further tags, between calls

    def name_in(self, head: re.Match[str]) -> str:
        """The name of the tool that a call's head calls; empty where it is no JSON after all."""
        name = head[1]
        return str(plain_json(name) or "") if name.startswith('"') else name

    @property
    def tags(self) -> frozenset[str]:
        """Its tags, which are text where calls are looked for, even as control tokens."""
        return self.others | {tag for tag in (self.opens, self.closes) if tag is not None}


def objects(
    tools: Sequence[Tool], arguments: Arguments, *, key: str = "arguments"
) -> tuple[str, Rules]:
    r"""A term of one call as a JSON object, printed as templates print it, and its rules.

    key: what the arguments are called

    >>> objects([Tool("f")], lambda tool: "%json {}")[1]["call"]
    '("{\\"name\\": \\"f\\", \\"arguments\\": " args_0 "}")'
    """
    rules = {f"args_{n}": arguments(tool) for n, tool in enumerate(tools)}
    heads = [
        json.dumps(f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "{key}": ')
        for tool in tools
    ]
    each = " | ".join(f'{head} args_{n} "}}"' for n, head in enumerate(heads))
    return "call", {"call": f"({each})"} | rules
